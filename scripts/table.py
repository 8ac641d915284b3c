"""Make one of the paper's tables in four formats."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.provenance import sidecar, with_tree
from sqljudge.core.records import read_json, write_json, write_text
from sqljudge.report.tables import FORMATS, build_table, findings, render

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

PACKAGES = ("snakemake", "torch", "transformers", "numpy", "pandas", "sqlparse", "nltk")


def main(
    metrics: list[str],
    runs: list[str],
    published: str,
    outputs: dict[str, str],
    *,
    name: str,
    experiment: dict[str, Any],
    display: dict[str, str],
    seed: int,
    code: str,
) -> None:
    """Write the table and what stands beside it."""
    table = build_table(name, experiment, [read_json(path) for path in metrics], read_json(published), display)
    for form in FORMATS:
        write_text(outputs[form], render(table, form))
    beside = sidecar(
        inputs=[*metrics, published],
        settings={name: experiment},
        code=code,
        seed=seed,
        packages=PACKAGES,
        runs=[read_json(path) for path in runs],
    )
    write_json(outputs["sidecar"], beside)
    write_text(outputs["findings"], with_tree(findings(table), beside))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            list(snakemake.input.metrics),
            list(snakemake.input.runs),
            snakemake.input.published,
            {key: str(value) for key, value in snakemake.output.items()},
            name=snakemake.params.name,
            experiment=snakemake.params.experiment,
            display=snakemake.params.display,
            seed=snakemake.params.seed,
            code=snakemake.params.code,
        )
