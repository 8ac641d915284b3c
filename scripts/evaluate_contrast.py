"""What a discriminator gains or loses by what its prompt shows, on the labelled pool."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Score, read_jsonl, write_json
from sqljudge.metrics.contrast import contrast_metrics

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    candidates: str, scores: str, base: str, output: str, *, settings: dict[str, Any], seed: int, resamples: int
) -> None:
    """Write the differences with their settings."""
    metrics = contrast_metrics(
        read_jsonl(candidates, CandidateSet),
        read_jsonl(scores, Score),
        read_jsonl(base, Score),
        seed=seed,
        resamples=resamples,
    )
    write_json(output, {"settings": settings, "against": settings["base"], **metrics})


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.candidates,
            snakemake.input.scores,
            snakemake.input.base,
            snakemake.output[0],
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
        )
