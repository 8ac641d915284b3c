"""Choose one query for each question, and measure the choices."""

from sqljudge.core.joblog import job
from sqljudge.metrics.end_to_end import write_plan

with job(snakemake) as arguments:
    write_plan(**arguments)
