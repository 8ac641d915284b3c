"""Choose one query for each question."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.planners import PLANNERS
from sqljudge.core.records import CandidateSet, ResultGroup, Score, read_jsonl, write_jsonl

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, scores: str | None, groups: str | None, output: str, *, planner: str) -> None:
    """Write one selection a question."""
    known = read_jsonl(scores, Score) if scores else []
    equal = read_jsonl(groups, ResultGroup) if groups else []
    write_jsonl(output, PLANNERS[planner].choose(read_jsonl(candidates, CandidateSet), known, equal))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.get("scores"),
            snakemake.input.get("groups"),
            snakemake.output[0],
            planner=snakemake.params.planner,
        )
