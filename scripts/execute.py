"""Run every candidate of a pool in the sandbox."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Question, read_jsonl, write_jsonl
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.execute import execute_candidates

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    questions: str,
    candidates: str,
    databases: str,
    output: str,
    *,
    comparison: str,
    limits: dict[str, Any],
    workers: int,
) -> None:
    """Write one execution a candidate."""
    executions = execute_candidates(
        read_jsonl(questions, Question),
        read_jsonl(candidates, CandidateSet),
        Path(databases),
        comparison=comparison,
        workers=workers,
        limits=Limits(**limits),
    )
    write_jsonl(output, executions)
    outcomes = Counter(execution.outcome for execution in executions)
    correct = sum(execution.correct is True for execution in executions)
    print(f"{len(executions)} candidates, {correct} equal to the gold: {dict(outcomes)}", file=sys.stderr)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.questions,
            snakemake.input.candidates,
            snakemake.input.databases,
            snakemake.output[0],
            comparison=snakemake.params.comparison,
            limits=snakemake.params.limits,
            workers=snakemake.threads,
        )
