"""Make the explorer: a folder of pages that shows every question of the run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.report.explorer import gold_results, read_made, shown_questions, summary, write_explorer
from sqljudge.sql.sandbox import Limits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    files: dict[str, list[str]],
    databases: str,
    page: str,
    *,
    display: dict[str, str],
    levels: list[str],
    limits: dict[str, Any],
    workers: int,
) -> None:
    """Write the explorer's folder."""
    made = read_made(files)
    golds = gold_results(made.questions, Path(databases), workers=workers, limits=Limits(**limits))
    count = write_explorer(Path(page).parent, summary(made, display, levels), shown_questions(made, golds))
    print(f"{count} questions; open {page}", file=sys.stderr)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            {kind: list(snakemake.input.get(kind)) for kind in snakemake.params.kinds},
            snakemake.input.databases,
            snakemake.output.page,
            display=snakemake.params.display,
            levels=snakemake.params.levels,
            limits=snakemake.params.limits,
            workers=snakemake.threads,
        )
