"""Make the table of costs."""

from sqljudge.core.joblog import job
from sqljudge.report.costs import write_costs

with job(snakemake) as arguments:
    write_costs(**arguments, code=snakemake.params.code)
