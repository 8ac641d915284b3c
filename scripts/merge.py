"""Merge what the shards of a model job made."""

from sqljudge.core.joblog import job
from sqljudge.stages.shards import merge_files

with job(snakemake) as arguments:
    merge_files(**arguments)
