"""Which jobs a set of tables needs: model jobs, their largest budgets, and where verdicts are forced.

All of it follows from the files of the tables' cells: a cell's variant says which model was asked for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqljudge.core.parquet import read_judgments
from sqljudge.core.variants import (
    CHOOSERS,
    FORCED,
    GREEDY,
    OF_BUDGETS,
    POOL,
    Experiment,
    Variant,
    only,
    parse,
    path,
    reference,
)
from sqljudge.experiments.config import Config, resolve
from sqljudge.report.cells import cells
from sqljudge.report.specs import SPECS
from sqljudge.stages.extras import extra_tokens
from sqljudge.stages.search.run import settings_of

Cell = tuple[str, Variant]
"""A kind of metric file, and the variant that it is of."""

STAGES = {"candidates_run": "generate", "judgments_run": "judge", "forced_run": "force"}
"""The model stage whose job records itself in a kind of file."""


def cells_of(tables: Mapping[str, Experiment]) -> list[Cell]:
    """Every cell of some tables, once, and the re-ranking that a cell's planner is compared with; sorted.

    In place of a cell of what was trained stand those of each seed, and of the model before its training.
    """
    shown = {
        other
        for name, experiment in tables.items()
        for cell in cells(SPECS[name], experiment)
        for other in (_rests_on(*cell, experiment) if SPECS[name].pools else [cell])
    }
    compared = {("planner", other) for kind, each in shown if kind == "planner" and (other := reference(each))}
    return sorted(shown | compared)


def _rests_on(kind: str, each: Variant, experiment: Experiment) -> list[Cell]:
    if kind == "training":
        names = dict.fromkeys((each.base, *experiment.members(each.discriminator)))
        return [("intrinsic", replace(each, discriminator=name, base="")) for name in names]
    names = dict.fromkeys((each.base, *experiment.members(each.generator)))
    return [("end_to_end", replace(each, pool=f"{name}.{each.decoding}", base="")) for name in names]


@dataclass(frozen=True, slots=True)
class Needs:
    """What the models of a configuration have to do for some cells. `models`: discriminators that ask a model."""

    cells: list[Cell]
    models: frozenset[str]

    def judged(self) -> Iterator[tuple[Variant, Variant]]:
        """The judgments that each cell rests on, beside the cell's own variant."""
        for _, each in self.cells:
            if each.discriminator in self.models and each.planner in ("", *CHOOSERS):
                yield only("judgments", each), each
                if each.base:
                    yield only("judgments", replace(each, context=each.base)), each

    def budgets(self) -> dict[Variant, int]:
        """For every job of judgments, the largest budget that any cell takes from it (design, section 3)."""
        largest: dict[Variant, int] = {}
        for job, each in self.judged():
            largest[job] = max(each.budget, *each.checkpoints, largest.get(job, 0))
        return largest

    def checkpoints(self) -> dict[Variant, list[int]]:
        """For every job of forced verdicts, all budgets at which any cell wants them, the smallest first."""
        found: dict[Variant, set[int]] = {}
        for job, each in self.judged():
            if wanted := {*each.checkpoints, *([each.budget] if each.scoring == FORCED else [])}:
                found.setdefault(job, set()).update(wanted)
        return {job: sorted(budgets) for job, budgets in found.items()}

    def response_budgets(self) -> dict[Variant, list[int]]:
        """For every file of the quality of responses, all budgets at which any cell wants it, the smallest first."""
        found: dict[Variant, set[int]] = {}
        for kind, each in self.cells:
            if kind == OF_BUDGETS:
                found.setdefault(only(kind, each), set()).add(each.budget)
        return {file: sorted(budgets) for file, budgets in found.items()}

    def runs(self) -> list[str]:
        """What every model job behind the cells records of itself; sorted."""
        found = {path("judgments_run", job) for job in self.budgets()}
        found |= {path("forced_run", job) for job in self.checkpoints()}
        for _, each in self.cells:
            if each.planner:
                found.add(path("candidates_run", each))
            if each.planner not in ("", GREEDY, *CHOOSERS):
                found.add(path("search_generator_run", each))
                found |= {path("search_discriminator_run", each)} if each.discriminator in self.models else set()
        return sorted(found)


def needs_of(tables: Mapping[str, Experiment], config: Config) -> Needs:
    """What some tables need of models."""
    models = frozenset(name for name, entry in config.discriminators.items() if not entry.is_baseline)
    return Needs(cells_of(tables), models)


def model_jobs(needs: Needs, config: Config) -> list[dict[str, Any]]:
    """Every model job, with what counts its requests, for an estimate.

    name: as in the journal. model: of the models table. new_tokens: most of one answer. result: the file that it makes.
    candidates: the file whose candidates it asks about, "" for none. samples: completions a question where that file is
    not there yet. extra_tokens: about how many the extras of its prompts have. times: requests a candidate.
    """
    return [_model_job(run, needs, config) for run in needs.runs()]


def _model_job(run: str, needs: Needs, config: Config) -> dict[str, Any]:
    kind, variant = parse(run)
    pool = f"{config.pool.generator}.{config.pool.decoding}" if variant.pool == POOL else variant.pool
    sampled = replace(variant, pool=pool)
    decoding = config.decodings[sampled.decoding]
    written = config.generators[sampled.generator].max_new_tokens or decoding.max_new_tokens
    job: dict[str, Any] = {"samples": decoding.samples, "extra_tokens": 0, "times": 1, "candidates": ""}
    if kind.startswith("search"):
        role = kind.split("_")[1]
        place = f"{variant.planner}.{variant.discriminator}.{variant.context}.{variant.pool}"
        job["name"] = f"search.{place}.b{variant.budget}.{variant.scoring}.{variant.mode}.{role}"
        job["result"] = path("selections", variant)
        job["samples"] = settings_of(config.planners[variant.planner].model_dump()).most(decoding.samples)
    else:
        role = "generator" if kind == "candidates_run" else "discriminator"
        place = ".".join(filter(None, (variant.discriminator, variant.context, variant.pool)))
        job["name"], job["result"] = f"{STAGES[kind]}.{place}", path(kind.removesuffix("_run"), variant)
    if role == "generator":
        return {**job, "model": config.generators[sampled.generator].model, "new_tokens": written}
    entry = config.discriminators[variant.discriminator]
    budget = needs.budgets().get(variant, 0) if kind == "judgments_run" else variant.budget
    job |= {"model": entry.model, "new_tokens": budget if entry.responds and kind != "forced_run" else 0}
    if kind in ("judgments_run", "forced_run"):
        shown = extra_tokens(extras_of(variant.context, config))
        job |= {"candidates": path("candidates", variant), "extra_tokens": shown}
    if kind == "forced_run":
        job["times"] = len(needs.checkpoints()[variant])
    return job


def router_job(name: str, config: Config) -> dict[str, Any]:
    """The job that labels for a router and trains it, as `model_jobs` has the others, with `requests` at most.

    Wherever the small model's token differs, the large one goes on once, up to the router's span, and is asked for two
    forced verdicts: three requests a token, of which one in three writes. None where the judgments are not there yet.
    """
    router = config.routers[name]
    file = resolve(router.judgments)
    tokens = sum(len(judgment.token_ids) for judgment in read_judgments(file)) if file.is_file() else 0
    job: dict[str, Any] = {
        "name": f"route.{name}",
        "model": config.discriminators[router.discriminator].model,
        "candidates": "",
    }
    job |= {"result": f"results/routers/{name}.safetensors", "new_tokens": math.ceil(router.span / 3)}
    return {**job, "requests": 3 * tokens, "extra_tokens": 0, "times": 1, "samples": 0}


def framing_of(config: Config, *, generator: str = "", discriminator: str = "", context: str = "") -> dict[str, Any]:
    """How the prompts of a generator, or of a discriminator in a context, become tokens: the fields of `Framing`."""
    if generator:
        entry = config.generators[generator]
        return {"prompt_format": entry.prompt_format, "special_tokens": entry.special_tokens}
    shown, own = config.contexts[context], config.discriminators[discriminator].prompt_format
    return {
        "prompt_format": shown.prompt_format or own,
        "special_tokens": shown.special_tokens,
        "yes_token": shown.yes_token,
    }


def extras_of(context: str, config: Config) -> dict[str, dict[str, Any]]:
    """What a context's prompts show beyond the question and the candidate: each extra with its settings."""
    settings = {"demonstrations": {"number": config.demonstrations.number}}
    return {name: settings.get(name, {}) for name in config.contexts[context].extras}
