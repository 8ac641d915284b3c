"""Judge every candidate of a pool."""

from sqljudge.core.joblog import job
from sqljudge.stages.judge import judge_pool

with job(snakemake) as arguments:
    judge_pool(**arguments, gpu=snakemake.resources.get("gpu", 0), shard=snakemake.wildcards.get("scatteritem", ""))
