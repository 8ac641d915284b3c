"""Merge the forced verdicts that a model job's shards made."""

from sqljudge.core.joblog import job
from sqljudge.stages.shards import merge_forced

with job(snakemake) as arguments:
    merge_forced(**arguments)
