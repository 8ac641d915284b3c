"""Unpack a GGUF file."""

from pathlib import Path

from sqljudge.core.joblog import job
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.transformers import unpack

with job(snakemake) as arguments:
    unpack(ModelSpec(**arguments["model"]), Path(arguments["folder"]))
