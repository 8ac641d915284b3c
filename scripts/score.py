"""Turn judgments into scores."""

from sqljudge.core.joblog import job
from sqljudge.stages.score import score_pool

with job(snakemake) as arguments:
    score_pool(**arguments)
