"""Choose one query for each question."""

from typing import TYPE_CHECKING

from sqljudge.planning import PLANNERS
from sqljudge.records import CandidateSet, Score, read_jsonl, write_jsonl
from sqljudge.scripting import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, scores: str | None, output: str, *, planner: str) -> None:
    """Write one selection a question."""
    known = read_jsonl(scores, Score) if scores else []
    write_jsonl(output, PLANNERS[planner](read_jsonl(candidates, CandidateSet), known))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.get("scores"),
            snakemake.output[0],
            planner=snakemake.params.planner,
        )
