"""Join the judgments that a model job's shards made."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import CandidateSet, read_json, read_jsonl, write_json
from sqljudge.stages.shards import added_up, joined

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, shards: list[str], shard_runs: list[str], judgments: str, run: str) -> None:
    """Write the judgments in the candidates' order, and what all shards together cost."""
    expected = [group.question_id for group in read_jsonl(candidates, CandidateSet) for _ in group.candidates]
    write_judgments(judgments, joined(expected, (read_judgments(path) for path in shards)))
    write_json(run, added_up([read_json(path) for path in shard_runs]))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.judgments,
            snakemake.input.runs,
            snakemake.output.judgments,
            snakemake.output.run,
        )
