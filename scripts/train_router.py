"""Train a router between a small and a large model."""

from sqljudge.core.joblog import job
from sqljudge.training.router import train_router

with job(snakemake) as arguments:
    train_router(**arguments, gpu=snakemake.resources.get("gpu", 0))
