"""Merge the candidates that a model job's shards made."""

from sqljudge.core.joblog import job
from sqljudge.stages.shards import merge_candidates

with job(snakemake) as arguments:
    merge_candidates(**arguments)
