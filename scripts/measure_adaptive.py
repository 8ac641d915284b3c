"""Measure what stopping thoughts early spends and loses."""

from sqljudge.core.joblog import job
from sqljudge.metrics.adaptive import write_adaptive

with job(snakemake) as arguments:
    write_adaptive(**arguments)
