"""What a planner reaches and needs, against re-ranking."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import Cost, read_json, read_jsonl, write_json
from sqljudge.metrics.planners import planned_metrics

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    metrics: str,
    costs: str,
    reference: list[str],
    reference_costs: list[str],
    output: str,
    *,
    seed: int,
    resamples: int,
) -> None:
    """Write the metrics with their settings."""
    evaluated = read_json(metrics)
    against = [(read_json(one), read_jsonl(other, Cost)) for one, other in zip(reference, reference_costs, strict=True)]
    found = planned_metrics(
        evaluated, read_jsonl(costs, Cost), against[0] if against else None, seed=seed, resamples=resamples
    )
    write_json(output, {"settings": evaluated["settings"], **found})


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.metrics,
            snakemake.input.costs,
            list(snakemake.input.get("reference") or []),
            list(snakemake.input.get("reference_costs") or []),
            snakemake.output[0],
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
        )
