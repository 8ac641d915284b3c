"""Sample the evaluation questions."""

from sqljudge.core.joblog import job
from sqljudge.data.sample import write_sample

with job(snakemake) as arguments:
    write_sample(**arguments, workers=snakemake.threads)
