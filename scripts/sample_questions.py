"""Sample the evaluation questions."""

import sys
from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import write_jsonl
from sqljudge.data.datasets import FORMATS, empty_databases, load_questions, pick_questions, sample_questions

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    questions: str,
    tables: str,
    databases: str,
    output: str,
    *,
    dataset_format: str,
    ids: list[str],
    per_hardness: int,
    exclude: list[str],
    seed: int,
) -> None:
    """Write the sample, or the questions whose ids are listed."""
    loaded = load_questions(questions, tables, FORMATS[dataset_format])
    if ids:
        chosen = pick_questions(loaded, ids[0])
    else:
        empty = empty_databases(loaded, databases)
        if empty:
            print(f"left out, since their databases hold no rows: {', '.join(sorted(empty))}", file=sys.stderr)
        chosen = sample_questions(
            loaded,
            per_hardness=per_hardness,
            seed=seed,
            exclude={*exclude, *empty},
            levels=FORMATS[dataset_format].levels,
        )
    print(f"{len(chosen)} of {len(loaded)} questions", file=sys.stderr)
    write_jsonl(output, chosen)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.questions,
            snakemake.input.tables,
            snakemake.input.databases,
            snakemake.output[0],
            dataset_format=snakemake.params.dataset_format,
            ids=list(snakemake.input.get("ids") or []),
            per_hardness=snakemake.params.per_hardness,
            exclude=snakemake.params.exclude,
            seed=snakemake.params.seed,
        )
