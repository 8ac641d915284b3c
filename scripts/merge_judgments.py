"""Merge the judgments that a model job's shards made."""

from sqljudge.core.joblog import job
from sqljudge.stages.shards import merge_judgments

with job(snakemake) as arguments:
    merge_judgments(**arguments)
