"""Join the forced verdicts that a model job's shards made."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, ForcedVerdict, read_json, read_jsonl, write_json, write_jsonl
from sqljudge.stages.shards import added_up, joined

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, shards: list[str], shard_runs: list[str], forced: str, run: str, *, each: int) -> None:
    """Write the verdicts in the candidates' order, `each` of a candidate, and what all shards together cost."""
    sets = read_jsonl(candidates, CandidateSet)
    expected = [group.question_id for group in sets for _ in range(each * len(group.candidates))]
    write_jsonl(forced, joined(expected, (read_jsonl(path, ForcedVerdict) for path in shards)))
    write_json(run, added_up([read_json(path) for path in shard_runs]))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.forced,
            snakemake.input.runs,
            snakemake.output.forced,
            snakemake.output.run,
            each=snakemake.params.each,
        )
