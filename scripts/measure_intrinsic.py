"""Measure a discriminator on the labelled pool."""

from sqljudge.core.joblog import job
from sqljudge.metrics.intrinsic import write_intrinsic

with job(snakemake) as arguments:
    write_intrinsic(**arguments)
