"""Plan with a generator at hand and a discriminator that is no model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import Question, read_jsonl, write_json
from sqljudge.data.datasets import FORMATS
from sqljudge.models.device import own_device
from sqljudge.models.engines import spec_of
from sqljudge.models.session import open_sessions
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.search.asking import valuing_without_model, writer_of
from sqljudge.stages.search.kinds import asking
from sqljudge.stages.search.planning import executing, search_questions

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    files: dict[str, str],
    weights: dict[str, list[str]],
    *,
    planner: dict[str, Any],
    models: dict[str, dict[str, Any]],
    generator: dict[str, Any],
    decoding: dict[str, Any],
    name: str,
    mode: str,
    form: str,
    limits: dict[str, Any],
    seed: int,
    journal: str,
    failures_tolerated: float,
    device: str,
    workers: int,
    label: str,
) -> None:
    """Write what was chosen, tried and spent, how it went, and what the generator cost."""
    specs = {role: spec_of(row, weights[role]) for role, row in models.items()}
    sessions = open_sessions(specs, device=device, journal=journal, writer=label, tolerated=failures_tolerated)
    questions = read_jsonl(files["questions"], Question)
    ask = asking(planner, files["generator_prompt"], files.get("planner_prompt", ""))
    execute = executing(questions, Path(files["databases"]), Limits(**limits), workers, FORMATS[form].comparison)
    value = valuing_without_model(name, mode=mode, seed=seed, execute=execute)
    found = search_questions(
        questions,
        writer_of(sessions["generator"], ask, {**generator, **decoding}, seed=seed, form=FORMATS[form]),
        lambda _known, _ledger: value,
        planner=planner,
    )
    found.write(files)
    write_json(files["generator_run"], sessions["generator"].report())


if "snakemake" in globals():
    with job(snakemake.log[0]), own_device(snakemake.resources.get("gpu", 0)) as device:
        main(
            {name: str(path) for part in (snakemake.input, snakemake.output) for name, path in part.items()},
            {role: list(snakemake.input.get(f"{role}_weights", [])) for role in snakemake.params.models},
            planner=snakemake.params.planner,
            models=snakemake.params.models,
            generator=snakemake.params.generator,
            decoding=snakemake.params.decoding,
            name=snakemake.params.name,
            mode=snakemake.wildcards.mode,
            form=snakemake.params.form,
            limits=snakemake.params.limits,
            seed=snakemake.params.seed,
            journal=snakemake.params.journal,
            failures_tolerated=snakemake.params.failures_tolerated,
            device=device,
            workers=snakemake.threads,
            label=snakemake.params.label,
        )
