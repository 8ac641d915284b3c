"""What an adaptive budget spends and loses on the labelled pool."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Execution, ForcedVerdict, Question, Score, read_jsonl, write_json
from sqljudge.metrics.adaptive import adaptive_metrics
from sqljudge.stages.score import which_execute

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    files: dict[str, str],
    executions: list[str],
    output: str,
    *,
    settings: dict[str, Any],
    checkpoints: list[int],
    confidences: list[float],
    seed: int,
    resamples: int,
) -> None:
    """Write the metrics with their settings."""
    runs = [execution for path in executions for execution in read_jsonl(path, Execution)]
    metrics = adaptive_metrics(
        read_jsonl(files["candidates"], CandidateSet),
        [verdict for verdict in read_jsonl(files["forced"], ForcedVerdict) if verdict.budget in checkpoints],
        read_jsonl(files["scores"], Score),
        {question.id: question.db_id for question in read_jsonl(files["questions"], Question)},
        confidences=confidences,
        mode=settings["mode"],
        executable=which_execute(runs) if executions else None,
        seed=seed,
        resamples=resamples,
    )
    write_json(output, {"settings": settings, **metrics})


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            {name: str(snakemake.input[name]) for name in ("questions", "candidates", "forced", "scores")},
            list(snakemake.input.get("executions") or []),
            snakemake.output[0],
            settings=snakemake.params.settings,
            checkpoints=snakemake.params.checkpoints,
            confidences=snakemake.params.confidences,
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
        )
