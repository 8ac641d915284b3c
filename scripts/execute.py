"""Run every candidate of a pool in the sandbox."""

from sqljudge.core.joblog import job
from sqljudge.stages.execute import execute_pool

with job(snakemake) as arguments:
    execute_pool(**arguments, workers=snakemake.threads)
