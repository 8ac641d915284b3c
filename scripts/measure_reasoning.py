"""Measure the quality of a reasoning discriminator's responses."""

from sqljudge.core.joblog import job
from sqljudge.metrics.reasoning import write_reasoning

with job(snakemake) as arguments:
    write_reasoning(**arguments)
