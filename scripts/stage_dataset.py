"""Bring a dataset into one plain layout."""

from sqljudge.core.joblog import job
from sqljudge.data.staging import write_dataset

with job(snakemake) as arguments:
    write_dataset(**arguments)
