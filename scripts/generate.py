"""Ask a generator for candidates."""

from sqljudge.core.joblog import job
from sqljudge.stages.generate import generate_pool

with job(snakemake) as arguments:
    generate_pool(**arguments, gpu=snakemake.resources.get("gpu", 0), shard=snakemake.wildcards.get("scatteritem", ""))
