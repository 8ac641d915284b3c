"""Measure scores without a fixed threshold, and as probabilities."""

from sqljudge.core.joblog import job
from sqljudge.metrics.calibration import write_calibration

with job(snakemake) as arguments:
    write_calibration(**arguments)
