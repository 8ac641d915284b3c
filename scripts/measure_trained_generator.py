"""Measure what training did to a generator."""

from sqljudge.core.joblog import job
from sqljudge.metrics.training import write_trained_generator

with job(snakemake) as arguments:
    write_trained_generator(**{key: value for key, value in arguments.items() if key != "trainings"})
