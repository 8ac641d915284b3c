"""Metrics of a discriminator on the labelled pool."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Score, read_jsonl, write_json
from sqljudge.metrics.intrinsic import intrinsic_metrics

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(candidates: str, scores: str, output: str, *, settings: dict[str, Any], seed: int, resamples: int) -> None:
    """Write the metrics with their settings."""
    metrics = intrinsic_metrics(
        read_jsonl(candidates, CandidateSet), read_jsonl(scores, Score), seed=seed, resamples=resamples
    )
    write_json(output, {"settings": settings, **metrics})


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.scores,
            snakemake.output[0],
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
        )
