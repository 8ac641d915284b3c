"""Force a verdict of every candidate of a pool, at several budgets of its thought."""

from sqljudge.core.joblog import job
from sqljudge.stages.force import force_pool

with job(snakemake) as arguments:
    force_pool(**arguments, gpu=snakemake.resources.get("gpu", 0), shard=snakemake.wildcards.get("scatteritem", ""))
