"""Take a dataset's training questions out of its folder or archive."""

from sqljudge.core.joblog import job
from sqljudge.data.staging import write_training

with job(snakemake) as arguments:
    write_training(**arguments)
