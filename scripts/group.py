"""Find the candidates of a question that give equal results."""

from sqljudge.core.joblog import job
from sqljudge.stages.execute import group_pool

with job(snakemake) as arguments:
    group_pool(**arguments, workers=snakemake.threads)
