"""Quality measures of a reasoning discriminator's responses."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import UNANSWERED, write_json
from sqljudge.metrics.reasoning import reasoning_metrics
from sqljudge.models.embedding import embedder
from sqljudge.stages.score import text_within

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    judgments: str, output: str, *, source: str, budget: int, settings: dict[str, Any], seed: int, resamples: int
) -> None:
    """Write the measures with their settings."""
    found = read_judgments(judgments)
    unanswered = {judgment.question_id for judgment in found if judgment.finish_reason == UNANSWERED}
    answered = [judgment for judgment in found if judgment.question_id not in unanswered]
    responses = [(judgment.question_id, text_within(judgment, budget)) for judgment in answered]
    metrics = reasoning_metrics(responses, embedder(source, device="cpu"), seed=seed, resamples=resamples)
    write_json(output, {"settings": settings, **metrics})


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.judgments,
            snakemake.output[0],
            source=snakemake.params.embedder,
            budget=int(snakemake.wildcards.budget),
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
        )
