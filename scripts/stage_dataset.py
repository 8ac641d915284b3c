"""Bring a dataset into one plain layout."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.data.formats import FORMATS
from sqljudge.data.staging import stage_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(source: str, target: Path, *, questions_file: str, form: str) -> None:
    """Stage the files below `target`."""
    names = stage_dataset(source, target, questions_file=questions_file, form=FORMATS[form])
    print(f"staged {len(names)} databases from {source}", file=sys.stderr)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.params.source,
            Path(snakemake.output.questions).parent,
            questions_file=snakemake.params.questions_file,
            form=snakemake.params.form,
        )
