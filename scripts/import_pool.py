"""Read a user's labelled pool."""

import sys
from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import write_jsonl
from sqljudge.data.datasets import FORMATS
from sqljudge.data.pool import read_pool

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    pool: str, tables: str, questions: str, candidates: str, *, dataset_format: str, limit: int, seed: int
) -> None:
    """Write the pool as questions and labelled candidates."""
    asked, groups = read_pool(pool, tables, questions=limit, seed=seed, dataset_format=FORMATS[dataset_format])
    print(f"{len(asked)} questions, {sum(len(group.candidates) for group in groups)} candidates", file=sys.stderr)
    write_jsonl(questions, asked)
    write_jsonl(candidates, groups)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.pool,
            snakemake.input.tables,
            snakemake.output.questions,
            snakemake.output.candidates,
            dataset_format=snakemake.params.dataset_format,
            limit=snakemake.params.questions,
            seed=snakemake.params.seed,
        )
