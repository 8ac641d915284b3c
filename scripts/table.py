"""Make a table in four formats."""

from sqljudge.core.joblog import job
from sqljudge.report.write import write_table

with job(snakemake) as arguments:
    write_table(**arguments, code=snakemake.params.code)
