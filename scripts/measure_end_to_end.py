"""Measure a planner's choices."""

from sqljudge.core.joblog import job
from sqljudge.metrics.end_to_end import write_end_to_end

with job(snakemake) as arguments:
    write_end_to_end(**arguments)
