"""Measure what a discriminator gains or loses by what its prompt shows."""

from sqljudge.core.joblog import job
from sqljudge.metrics.contrast import write_contrast

with job(snakemake) as arguments:
    write_contrast(**arguments)
