"""Make the explorer: a folder of pages that shows every question of the run."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.report.explorer import write_explorer

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake.log[0]):
    params = {name: value for name, value in snakemake.params.items() if name != "code"}
    write_explorer(**snakemake.input, **snakemake.output, **params, workers=snakemake.threads)
