"""Turn forced verdicts into scores."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Execution, ForcedVerdict, read_jsonl, write_jsonl
from sqljudge.stages.score import score_forced, which_execute

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, forced: str, executions: list[str], output: str, *, budget: int, mode: str) -> None:
    """Write one score a candidate."""
    runs = [execution for path in executions for execution in read_jsonl(path, Execution)]
    scores = score_forced(
        read_jsonl(candidates, CandidateSet),
        [verdict for verdict in read_jsonl(forced, ForcedVerdict) if verdict.budget == budget],
        mode=mode,
        executable=which_execute(runs) if executions else None,
    )
    write_jsonl(output, scores)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.forced,
            list(snakemake.input.get("executions") or []),
            snakemake.output[0],
            budget=int(snakemake.wildcards.budget),
            mode=snakemake.wildcards.mode,
        )
