"""Score candidates without a model."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Execution, ResultGroup, read_jsonl, write_jsonl
from sqljudge.stages.baselines import score_without_model
from sqljudge.stages.score import MODES

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, executions: str, groups: str, output: str, *, name: str, mode: str, seed: int) -> None:
    """Write one score a candidate."""
    scores = score_without_model(
        name,
        read_jsonl(candidates, CandidateSet),
        read_jsonl(executions, Execution),
        read_jsonl(groups, ResultGroup),
        asked=MODES[mode],
        seed=seed,
    )
    write_jsonl(output, scores)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.executions,
            snakemake.input.groups,
            snakemake.output[0],
            name=snakemake.params.name,
            mode=snakemake.wildcards.mode,
            seed=snakemake.params.seed,
        )
