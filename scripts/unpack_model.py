"""Unpack a GGUF file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.transformers import unpack

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(model: dict[str, Any], folder: str) -> None:
    """Write the model as a folder."""
    unpack(ModelSpec(**model), Path(folder))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(snakemake.params.model, snakemake.output[0])
