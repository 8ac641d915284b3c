"""Score candidates without a model."""

from sqljudge.core.joblog import job
from sqljudge.stages.baselines import score_baseline_pool

with job(snakemake) as arguments:
    score_baseline_pool(**arguments)
