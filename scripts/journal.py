"""Print what the journal holds."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.experiments.estimate import journal_grid, read_kept
from sqljudge.report.tables import render

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(journal: str) -> None:
    """Print a table."""
    print(render(journal_grid(read_kept(journal)), "md"))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(snakemake.params.journal)
