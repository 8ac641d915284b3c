"""Draw one of the paper's figures as SVG and PDF."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.provenance import sidecar, with_tree
from sqljudge.core.records import read_json, write_json, write_text
from sqljudge.report.figures import draw_figure, save_figure
from sqljudge.report.tables import build_table, findings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

PACKAGES = ("snakemake", "matplotlib", "numpy")


def main(
    metrics: list[str],
    runs: list[str],
    published: str,
    outputs: dict[str, str],
    *,
    name: str,
    table: str,
    experiment: dict[str, Any],
    display: dict[str, str],
    seed: int,
    code: str,
) -> None:
    """Write the figure and what stands beside it."""
    found, paper = [read_json(path) for path in metrics], read_json(published)
    figure = draw_figure(name, experiment, found, paper, display)
    for form in ("svg", "pdf"):
        save_figure(figure, outputs[form])
    beside = sidecar(
        inputs=[*metrics, published],
        settings={name: experiment},
        code=code,
        seed=seed,
        packages=PACKAGES,
        runs=[read_json(path) for path in runs],
    )
    write_json(outputs["sidecar"], beside)
    said = findings(build_table(table, experiment, found, paper, display))
    write_text(outputs["findings"], with_tree(said, beside))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            list(snakemake.input.metrics),
            list(snakemake.input.runs),
            snakemake.input.published,
            {key: str(value) for key, value in snakemake.output.items()},
            name=snakemake.params.name,
            table=snakemake.params.table,
            experiment=snakemake.params.experiment,
            display=snakemake.params.display,
            seed=snakemake.params.seed,
            code=snakemake.params.code,
        )
