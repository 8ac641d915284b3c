"""Measure what training did to a discriminator."""

from sqljudge.core.joblog import job
from sqljudge.metrics.training import write_training

with job(snakemake) as arguments:
    write_training(**{key: value for key, value in arguments.items() if key != "trainings"})
