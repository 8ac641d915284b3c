"""What a discriminator's scores on the labelled pool are worth without a fixed threshold, and as probabilities."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Question, Score, read_jsonl, write_json
from sqljudge.metrics.calibration import calibration_metrics

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    questions: str,
    candidates: str,
    scores: str,
    output: str,
    *,
    settings: dict[str, Any],
    bins: int,
    seed: int,
    resamples: int,
) -> None:
    """Write the metrics with their settings."""
    metrics = calibration_metrics(
        read_jsonl(candidates, CandidateSet),
        read_jsonl(scores, Score),
        {question.id: question.db_id for question in read_jsonl(questions, Question)},
        bins=bins,
        seed=seed,
        resamples=resamples,
    )
    write_json(output, {"settings": settings, **metrics})


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.questions,
            snakemake.input.candidates,
            snakemake.input.scores,
            snakemake.output[0],
            settings=snakemake.params.settings,
            bins=snakemake.params.bins,
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
        )
