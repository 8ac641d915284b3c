"""Unpack a GGUF file."""

from sqljudge.core.joblog import job
from sqljudge.models.engines.transformers import unpack_folder

with job(snakemake) as arguments:
    unpack_folder(**arguments)
