"""Fetch a dataset's archive."""

from sqljudge.core.joblog import job
from sqljudge.data.download import download

with job(snakemake) as arguments:
    download(**arguments)
