"""Make the table of costs."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.report.costs import write_costs

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake.log[0]):
    write_costs(**snakemake.input, **snakemake.output, **snakemake.params)
