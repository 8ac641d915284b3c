"""What a planner needs that chooses among candidates that are there."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import CandidateSet, Score, read_json, read_jsonl, write_jsonl
from sqljudge.stages.search.spending import of_choosing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, run: str, scores: str | None, judgments: str | None, output: str, *, scoring: str) -> None:
    """Write one cost a question."""
    costs = of_choosing(
        read_jsonl(candidates, CandidateSet),
        read_json(run),
        read_jsonl(scores, Score) if scores else [],
        read_judgments(judgments) if judgments else [],
        scoring,
    )
    write_jsonl(output, costs)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.run,
            snakemake.input.get("scores"),
            snakemake.input.get("judgments"),
            snakemake.output[0],
            scoring=snakemake.params.scoring,
        )
