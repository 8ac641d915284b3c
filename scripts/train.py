"""Train a model."""

from sqljudge.core.joblog import job
from sqljudge.training.run import train

with job(snakemake) as arguments:
    train(**{key: value for key, value in arguments.items() if key != "note"}, gpu=snakemake.resources.get("gpu", 0))
