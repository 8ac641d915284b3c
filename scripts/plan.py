"""Choose one query for each question."""

from sqljudge.core.joblog import job
from sqljudge.stages.plan import plan_pool

with job(snakemake) as arguments:
    plan_pool(**arguments)
