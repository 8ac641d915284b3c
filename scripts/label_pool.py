"""Label sampled candidates by execution."""

from sqljudge.core.joblog import job
from sqljudge.data.pool import write_labelled_pool

with job(snakemake) as arguments:
    write_labelled_pool(**arguments)
