"""Make the explorer: a folder of pages that shows every question of the run."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.report.explorer.site import write_explorer

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake.log[0]):
    write_explorer(**snakemake.input, page=snakemake.output.page, **snakemake.params, workers=snakemake.threads)
