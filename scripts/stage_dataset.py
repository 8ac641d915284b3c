"""Bring a dataset into one plain layout."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.data.datasets import FORMATS
from sqljudge.data.staging import stage_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(source: str, target: Path, *, questions_file: str, dataset_format: str) -> None:
    """Stage the files below `target`."""
    names = stage_dataset(source, target, questions_file=questions_file, dataset_format=FORMATS[dataset_format])
    print(f"staged {len(names)} databases from {source}", file=sys.stderr)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.params.source,
            Path(snakemake.output.questions).parent,
            questions_file=snakemake.params.questions_file,
            dataset_format=snakemake.params.dataset_format,
        )
