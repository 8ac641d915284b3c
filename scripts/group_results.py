"""Find the candidates of a question that give equal results."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Execution, Question, read_jsonl, write_jsonl
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.consensus import group_results

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    questions: str,
    candidates: str,
    executions: str,
    databases: str,
    output: str,
    *,
    comparison: str,
    limits: dict[str, Any],
    workers: int,
) -> None:
    """Write the group of each candidate."""
    groups = group_results(
        read_jsonl(questions, Question),
        read_jsonl(candidates, CandidateSet),
        read_jsonl(executions, Execution),
        Path(databases),
        comparison=comparison,
        workers=workers,
        limits=Limits(**limits),
    )
    write_jsonl(output, groups)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.questions,
            snakemake.input.candidates,
            snakemake.input.executions,
            snakemake.input.databases,
            snakemake.output[0],
            comparison=snakemake.params.comparison,
            limits=snakemake.params.limits,
            workers=snakemake.threads,
        )
