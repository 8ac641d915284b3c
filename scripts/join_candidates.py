"""Join the candidates that a model job's shards made."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Question, read_json, read_jsonl, write_json, write_jsonl
from sqljudge.stages.shards import added_up, joined

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(questions: str, shards: list[str], shard_runs: list[str], candidates: str, run: str) -> None:
    """Write the candidates in the questions' order, and what all shards together cost."""
    expected = [question.id for question in read_jsonl(questions, Question)]
    write_jsonl(candidates, joined(expected, (read_jsonl(path, CandidateSet) for path in shards)))
    write_json(run, added_up([read_json(path) for path in shard_runs]))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.questions,
            snakemake.input.candidates,
            snakemake.input.runs,
            snakemake.output.candidates,
            snakemake.output.run,
        )
