"""Turn judgments into scores."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import CandidateSet, Execution, read_jsonl, write_jsonl
from sqljudge.stages.score import score_judgments, which_execute

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    candidates: str, judgments: str, executions: list[str], output: str, *, budget: int, scoring: str, mode: str
) -> None:
    """Write one score a candidate."""
    runs = [execution for path in executions for execution in read_jsonl(path, Execution)]
    scores = score_judgments(
        read_jsonl(candidates, CandidateSet),
        read_judgments(judgments),
        budget=budget,
        scoring=scoring,
        mode=mode,
        executable=which_execute(runs) if executions else None,
    )
    write_jsonl(output, scores)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.judgments,
            list(snakemake.input.get("executions") or []),
            snakemake.output[0],
            budget=int(snakemake.wildcards.budget),
            scoring=snakemake.wildcards.scoring,
            mode=snakemake.wildcards.mode,
        )
