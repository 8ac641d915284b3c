"""Measure what a planner reaches and needs, against re-ranking."""

from sqljudge.core.joblog import job
from sqljudge.metrics.planner import write_planner

with job(snakemake) as arguments:
    write_planner(**arguments)
