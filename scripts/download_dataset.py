"""Fetch a dataset's archive."""

from sqljudge.core.joblog import job
from sqljudge.data.staging import write_download

with job(snakemake) as arguments:
    write_download(**arguments)
