"""Judge the paper's claims on a run's metrics."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.provenance import sidecar, with_tree
from sqljudge.core.records import read_json, write_json, write_text
from sqljudge.report.claims import claims_grid, claims_summary, evaluate_claims
from sqljudge.report.text import FORMATS

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


PACKAGES = ("snakemake", "numpy", "scipy")


def main(
    metrics: list[str],
    runs: list[str],
    published: str,
    outputs: dict[str, str],
    *,
    roles: dict[str, Any],
    display: dict[str, str],
    seed: int,
    resamples: int,
    code: str,
) -> None:
    """Write the claims in four formats, and what stands beside them."""
    found = [(path, read_json(path)) for path in metrics]
    claims = evaluate_claims(
        [metric for path, metric in found if "/end_to_end/" not in path],
        [metric for path, metric in found if "/end_to_end/" in path],
        read_json(published),
        roles,
        display=display,
        seed=seed,
        resamples=resamples,
    )
    claims_grid(claims, roles, display).write(**{form: outputs[form] for form in FORMATS})
    beside = sidecar(
        inputs=[*metrics, published],
        settings={"roles": roles, "resamples": resamples},
        code=code,
        seed=seed,
        packages=PACKAGES,
        runs=[read_json(path) for path in runs],
    )
    write_json(outputs["sidecar"], beside)
    write_text(outputs["findings"], with_tree(claims_summary(claims), beside))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            list(snakemake.input.metrics),
            list(snakemake.input.runs),
            snakemake.input.published,
            {key: str(value) for key, value in snakemake.output.items()},
            roles=snakemake.params.roles,
            display=snakemake.params.display,
            seed=snakemake.params.seed,
            resamples=snakemake.params.resamples,
            code=snakemake.params.code,
        )
