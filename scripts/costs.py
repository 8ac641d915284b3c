"""Make the table of costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.artefacts import STAGES, Judged
from sqljudge.core.joblog import job
from sqljudge.core.parquet import read_judgments
from sqljudge.core.provenance import sidecar, with_tree
from sqljudge.core.records import Execution, read_json, read_jsonl, write_json, write_text
from sqljudge.report.costs import costs_found, costs_grid, unshared
from sqljudge.report.tables import FORMATS, render
from sqljudge.stages.score import which_execute

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


PACKAGES = ("snakemake", "pyarrow")


def main(
    runs: list[str],
    judgments: list[str],
    executions: list[str],
    outputs: dict[str, str],
    *,
    experiments: dict[str, Any],
    seed: int,
    code: str,
) -> None:
    """Write the costs in four formats, and what stands beside them."""
    executable = {Path(path).stem: which_execute(read_jsonl(path, Execution)) for path in executions}
    judged = {Judged(*Path(path).with_suffix("").parts[-3:]): read_judgments(path) for path in judgments}
    apart = {name: unshared(experiment, judged, executable) for name, experiment in experiments.items()}
    alone = {name: tokens for name, tokens in apart.items() if tokens.total}
    jobs = []
    for path in runs:
        _, folder, *place = path.removesuffix(".run.json").split("/")
        jobs.append((STAGES[folder], " / ".join(place), read_json(path)))
    grid = costs_grid(jobs, alone)
    for form in FORMATS:
        write_text(outputs[form], render(grid, form))
    beside = sidecar(
        inputs=[*runs, *judgments, *executions],
        settings=experiments,
        code=code,
        seed=seed,
        packages=PACKAGES,
        runs=[run for _, _, run in jobs],
    )
    write_json(outputs["sidecar"], beside)
    write_text(outputs["findings"], with_tree(costs_found(jobs, alone), beside))


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            list(snakemake.input.runs),
            list(snakemake.input.judgments),
            list(snakemake.input.executions),
            {key: str(value) for key, value in snakemake.output.items()},
            experiments=snakemake.params.experiments,
            seed=snakemake.params.seed,
            code=snakemake.params.code,
        )
