"""Plan with a generator and a discriminator at hand."""

from sqljudge.core.joblog import job
from sqljudge.stages.search.run import search_pool

with job(snakemake) as arguments:
    search_pool(**arguments, gpu=snakemake.resources.get("gpu", 0), workers=snakemake.threads)
