"""Metrics of a planner's choices."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import Execution, Question, Selection, read_jsonl, write_json
from sqljudge.metrics.execution import evaluate_selections
from sqljudge.metrics.intervals import proportion_interval
from sqljudge.sql.official.schema import load_schemas

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    questions: str,
    tables: str,
    selections: str,
    executions: str,
    output: str,
    *,
    settings: dict[str, Any],
    levels: list[str],
    comparison: str,
    seed: int,
    resamples: int,
) -> None:
    """Write the metrics with their settings."""
    metrics = evaluate_selections(
        read_jsonl(questions, Question),
        read_jsonl(selections, Selection),
        read_jsonl(executions, Execution),
        load_schemas(Path(tables)),
        interval=partial(proportion_interval, seed=seed, resamples=resamples),
        levels=levels,
        comparison=comparison,
    )
    write_json(output, {"settings": settings, **metrics})


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.questions,
            snakemake.input.tables,
            snakemake.input.selections,
            snakemake.input.executions,
            snakemake.output[0],
            settings=snakemake.params.settings,
            levels=snakemake.params.levels,
            comparison=snakemake.params.comparison,
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
        )
