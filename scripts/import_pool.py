"""Read a user's pool, and label what has no label."""

from sqljudge.core.joblog import job
from sqljudge.stages.label import import_pool

with job(snakemake) as arguments:
    import_pool(**arguments, workers=snakemake.threads)
