"""Merge all sidecars into one table, and say what was run."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import read_json, write_text
from sqljudge.report.provenance import facts, origins_grid
from sqljudge.report.tables import FORMATS, render

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(sidecars: list[str], runs: list[str], outputs: dict[str, str]) -> None:
    """Write the table in four formats, and the facts for the report's front page."""
    beside = {Path(path).name.removesuffix(".provenance.json"): read_json(path) for path in sidecars}
    grid = origins_grid(beside)
    for form in FORMATS:
        write_text(outputs[form], render(grid, form))
    write_text(outputs["facts"], facts(beside, [read_json(path) for path in runs]))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            list(snakemake.input.sidecars),
            list(snakemake.input.runs),
            {key: str(value) for key, value in snakemake.output.items()},
        )
