"""Turn forced verdicts into scores."""

from sqljudge.core.joblog import job
from sqljudge.stages.score import score_forced_pool

with job(snakemake) as arguments:
    score_forced_pool(**arguments)
