"""Which file holds what, and which files a table is made of. Knows names of files, not what stands in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from sqljudge.core.planners import BESIDE

POOL = "pool"
"""The name of the labelled pool among the pools of candidates."""

FORCED = "forced"
"""The scoring that rests on forced verdicts."""

Experiment = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A discriminator in a context over a pool of candidates: one job of judgments."""

    discriminator: str
    context: str
    pool: str


def sampled_pool(experiment: Experiment) -> str:
    """The pool of candidates that an experiment works on: its generator's samples, or the labelled pool."""
    return f"{experiment['generator']}.{experiment['decoding']}" if "generator" in experiment else POOL


def one_or_many(experiment: Experiment, name: str) -> list[Any]:
    """An experiment's setting as a list, given under its name or its plural; empty where it has none."""
    if f"{name}s" in experiment:
        return list(experiment[f"{name}s"])
    return [experiment[name]] if name in experiment else []


def parts(experiment: Experiment) -> list[Experiment]:
    """An experiment, and what it is shown beside: discriminators in a context, each at a budget and scoring."""
    return [experiment, *experiment.get("beside", ())]


def asked(part: Experiment) -> list[tuple[str, str]]:
    """Who is asked in which context: every discriminator in every context, but for the pairs that are `unasked`."""
    every = product(one_or_many(part, "discriminator"), one_or_many(part, "context"))
    return [pair for pair in every if list(pair) not in part.get("unasked", ())]


def jobs(part: Experiment) -> Iterator[Judged]:
    """The jobs of judgments of a part of an experiment."""
    for discriminator, context in asked(part):
        yield Judged(discriminator, context, sampled_pool(part))


def judged(experiment: Experiment) -> Iterator[tuple[Judged, int]]:
    """Which judgments an experiment needs, and up to which budget."""
    for part in parts(experiment):
        budget = max([*one_or_many(part, "budget"), *part.get("checkpoints", ())], default=0)
        for job in jobs(part):
            yield job, budget


def forced(experiment: Experiment) -> Iterator[tuple[Judged, set[int]]]:
    """Which judgments an experiment cuts and forces verdicts from, and at which budgets."""
    for part in parts(experiment):
        scored = one_or_many(part, "budget") if FORCED in one_or_many(part, "scoring") else []
        budgets = {*scored, *part.get("checkpoints", ())}
        for job in jobs(part):
            if budgets:
                yield job, budgets


def checkpoints(experiments: Mapping[str, Experiment]) -> dict[Judged, list[int]]:
    """For every job of forced verdicts, all budgets at which any experiment wants them, the smallest first."""
    found: dict[Judged, set[int]] = {}
    for experiment in experiments.values():
        for job, budgets in forced(experiment):
            found.setdefault(job, set()).update(budgets)
    return {job: sorted(budgets) for job, budgets in found.items()}


def largest_budgets(experiments: Mapping[str, Experiment]) -> dict[Judged, int]:
    """For every job of judgments, the largest budget that any experiment takes from it (design, section 2)."""
    largest: dict[Judged, int] = {}
    for experiment in experiments.values():
        for job, budget in judged(experiment):
            largest[job] = max(budget, largest.get(job, 0))
    return largest


def _scored(values: Experiment) -> str:
    pool = sampled_pool(values)
    place = f"{values['discriminator']}/{values['context']}/{pool}"
    return f"{place}.b{values['budget']}.{values['scoring']}.{values['mode']}"


def intrinsic(experiment: Experiment, **changes: Any) -> str:
    """The intrinsic metrics of one discriminator under one group of settings."""
    return f"results/metrics/intrinsic/{_scored({**experiment, **changes})}.json"


def calibration(experiment: Experiment, **changes: Any) -> str:
    """The threshold-free and calibration metrics of one discriminator under one group of settings."""
    return f"results/metrics/calibration/{_scored({**experiment, **changes})}.json"


def contrast(experiment: Experiment, base: str, **changes: Any) -> str:
    """The paired differences of one discriminator's metrics in a context to those in another, `base`."""
    values = {**experiment, **changes}
    place, _, name = _scored(values).rpartition("/")
    return f"results/metrics/contrast/{place}/against/{base}/{name}.json"


def reranked(experiment: Experiment, **changes: Any) -> str:
    """The end-to-end metrics of one discriminator that re-ranks a generator's candidates."""
    return replanned("rerank", experiment, **changes)


def adaptive(experiment: Experiment, **changes: Any) -> str:
    """The metrics of one discriminator whose thoughts are stopped at some of an experiment's checkpoints."""
    values = {**experiment, **changes}
    place = f"{values['discriminator']}/{values['context']}/{sampled_pool(values)}"
    budgets = "-".join(map(str, sorted(values["checkpoints"])))
    return f"results/metrics/adaptive/{place}.b{budgets}.{values['mode']}.json"


def listed(checkpoints: str) -> list[int]:
    """The checkpoints that stand in the name of a file of adaptive metrics."""
    return [int(budget) for budget in checkpoints.split("-")]


def full_thought(adaptive: Mapping[str, str]) -> str:
    """The scores of the responses' own verdicts at the last checkpoint of a file of adaptive metrics."""
    place = "{discriminator}/{context}/{pool}".format_map(adaptive)
    return f"results/scores/{place}.b{listed(adaptive['checkpoints'])[-1]}.soft.{adaptive['mode']}.jsonl"


def file_name(costless: str) -> str:
    """What stands in file names for a discriminator without a model: its name, a colon replaced by a hyphen."""
    return costless.replace(":", "-")


def reranked_without_model(experiment: Experiment, costless: str, mode: str) -> str:
    """The end-to-end metrics of a discriminator without a model that re-ranks a generator's candidates."""
    return f"results/metrics/end_to_end/rerank/{file_name(costless)}/{sampled_pool(experiment)}.{mode}.json"


def replanned(planner: str, experiment: Experiment, **changes: Any) -> str:
    """The end-to-end metrics of another planner that chooses by a discriminator's scores."""
    return f"results/metrics/end_to_end/{planner}/{_scored({**experiment, **changes})}.json"


def greedy(generator: str, decoding: str) -> str:
    """The end-to-end metrics of a generator without a discriminator."""
    return f"results/metrics/end_to_end/greedy/{generator}.{decoding}.json"


def reasoning(experiment: Experiment, **changes: Any) -> str:
    """The reasoning-quality metrics of a discriminator's responses."""
    values = {**experiment, **changes}
    place = f"{values['discriminator']}/{values['context']}/{sampled_pool(values)}"
    return f"results/metrics/reasoning/{place}.b{values['budget']}.json"


def _all_reranked(experiment: Experiment) -> list[str]:
    files = [reranked(experiment, discriminator=name) for name in experiment["discriminators"]]
    if "greedy_decoding" in experiment:
        files.append(greedy(experiment["generator"], experiment["greedy_decoding"]))
    for planner in experiment.get("planners", ()):
        files += [replanned(planner, experiment, discriminator=name) for name in experiment["discriminators"]]
    return files + _all_without_model(experiment)


def _all_without_model(experiment: Experiment) -> list[str]:
    return [
        reranked_without_model(experiment, name, mode)
        for mode in one_or_many(experiment, "mode")
        for name in experiment.get("costless", ())
    ]


def _variants(make: Callable[..., str]) -> Callable[[Experiment], list[str]]:
    return lambda experiment: [
        make(experiment, scoring=scoring, mode=mode)
        for mode in experiment["modes"]
        for scoring in experiment["scorings"]
    ]


def _with_reasoning(axis: str) -> Callable[[Experiment], list[str]]:
    return lambda experiment: [
        make(experiment, **{axis: value}) for value in experiment[f"{axis}s"] for make in (intrinsic, reasoning)
    ]


def _by_discriminator_and_mode(make: Callable[..., str]) -> Callable[[Experiment], list[str]]:
    return lambda experiment: [
        make(experiment, discriminator=name, mode=mode)
        for name in experiment["discriminators"]
        for mode in experiment["modes"]
    ]


def _stopped_and_beside(experiment: Experiment) -> list[str]:
    """Adaptive metrics, and intrinsic ones of a cut and a forced answer at each checkpoint, and of what is beside."""
    files = []
    for mode in experiment["modes"]:
        for name in experiment["discriminators"]:
            own = {**experiment, "discriminator": name, "mode": mode}
            files.append(adaptive(own))
            files += [intrinsic(own, budget=budget, scoring=FORCED) for budget in own["checkpoints"]]
            files += [intrinsic(own, budget=budget, scoring="soft") for budget in own["checkpoints"] if budget]
        files += [intrinsic(part, mode=mode) for part in parts(experiment)[1:]]
    return list(dict.fromkeys(files))


def _in_contexts(experiment: Experiment) -> list[str]:
    """Of every discriminator in every context that it is asked in: metrics, and differences to the first context."""
    base = experiment["contexts"][0]
    return [
        file
        for discriminator, context in asked(experiment)
        for mode in experiment["modes"]
        for settings in [{"discriminator": discriminator, "context": context, "mode": mode}]
        for file in (
            intrinsic(experiment, **settings),
            calibration(experiment, **settings),
            contrast(experiment, base, **settings),
        )
    ]


RERANK, GREEDY = "rerank", "greedy"
CHOOSING = (RERANK, *BESIDE)
"""Planners that choose among candidates that are there; all others but `greedy` ask models while they plan."""


def planned(experiment: Experiment, planner: str, **changes: Any) -> str:
    """What one planner with one discriminator reaches and spends."""
    return f"results/metrics/planned/{planner}/{_scored({**experiment, **changes})}.json"


def planned_without_model(experiment: Experiment, planner: str, costless: str) -> str:
    """The same with a discriminator that is no model."""
    place = f"{file_name(costless)}/{sampled_pool(experiment)}.{experiment['mode']}"
    return f"results/metrics/planned/{planner}/{place}.json"


def compared_with(selected: str) -> str | None:
    """The re-ranking that a planner is compared with: its place below results/selections; None for what has none."""
    planner, _, place = selected.partition("/")
    return f"{RERANK}/{place}" if planner not in (RERANK, GREEDY) else None


def _all_planned(experiment: Experiment) -> list[str]:
    """Each planner with each discriminator, the generator alone, and those that can plan without a model's verdict."""
    names, free = experiment["planners"], [name for name in experiment["planners"] if name not in BESIDE]
    files = [planned(experiment, planner, discriminator=d) for d in experiment["discriminators"] for planner in names]
    if "greedy_decoding" in experiment:
        files.append(f"results/metrics/planned/{GREEDY}/{experiment['generator']}.{experiment['greedy_decoding']}.json")
    return files + [
        planned_without_model(experiment, planner, name) for name in experiment.get("costless", ()) for planner in free
    ]


def searches(experiment: Experiment) -> list[str]:
    """What every search of an experiment recorded of each model that it asked."""
    files = []
    for planner in experiment.get("planners", ()):
        if planner in CHOOSING:
            continue
        for name in experiment["discriminators"]:
            place = f"results/search/{planner}/{_scored({**experiment, 'discriminator': name})}"
            files += [f"{place}.{role}.run.json" for role in ("generator", "discriminator")]
        for name in experiment.get("costless", ()):
            place = f"{file_name(name)}/{sampled_pool(experiment)}.{experiment['mode']}"
            files.append(f"results/search/{planner}/{place}.generator.run.json")
    return files


METRICS: dict[str, Callable[[Experiment], list[str]]] = {
    "table1": _by_discriminator_and_mode(intrinsic),
    "table2": _all_reranked,
    "table3": _all_reranked,
    "table4": _with_reasoning("context"),
    "table5": _variants(intrinsic),
    "table6": lambda experiment: _variants(reranked)(experiment) + _all_without_model(experiment),
    "table7": lambda experiment: [greedy(name, experiment["decoding"]) for name in experiment["generators"]],
    "table8": _with_reasoning("budget"),
    "thresholds": _by_discriminator_and_mode(calibration),
    "adaptive": _stopped_and_beside,
    "evidence": _in_contexts,
    "planners": _all_planned,
}
"""The metrics files that each table is made of (the paper's: paper, section 7)."""

BEYOND: dict[str, tuple[str, str]] = {
    "thresholds": (
        "table1",
        "Discriminators without the fixed threshold - ranking, F1 at a fitted threshold, calibration.",
    ),
}
"""Tables beyond the paper's: the table whose experiment each one looks at again, and what it shows, in a sentence."""


def all_tables(experiments: Mapping[str, Experiment]) -> dict[str, Experiment]:
    """The experiment behind every table: the configured ones, and those of BEYOND that rest on one of them."""
    beyond = {name: experiments[base] for name, (base, _) in BEYOND.items() if base in experiments}
    return {**experiments, **beyond}


STAGES = {"candidates": "generate", "judgments": "discriminate", "forced": "force", "search": "search"}
"""The model stage whose jobs record themselves below each folder of results."""


def runs(experiment: Experiment) -> list[str]:
    """What every model job behind an experiment recorded of itself."""
    pools = [f"{name}.{experiment['decoding']}" for name in one_or_many(experiment, "generator")]
    if "greedy_decoding" in experiment:
        pools.append(f"{experiment['generator']}.{experiment['greedy_decoding']}")
    asked = [("judgments", job) for job, _ in judged(experiment)] + [("forced", job) for job, _ in forced(experiment)]
    return [
        *(f"results/candidates/{pool}.run.json" for pool in pools),
        *(f"results/{stage}/{job.discriminator}/{job.context}/{job.pool}.run.json" for stage, job in asked),
        *searches(experiment),
    ]


def behind(experiments: Mapping[str, Experiment], dataset: str) -> dict[str, list[str]]:
    """Every file that experiments are made of, one question at a time, by kind; sorted, the dataset's questions first.

    Kinds: questions, candidates, executions, judgments, scores, selections, and the end-to-end metrics of those.
    """
    metrics = {file for name, experiment in experiments.items() for file in METRICS[name](experiment)}
    chosen = _places(metrics, "results/metrics/end_to_end/") | _places(metrics, "results/metrics/planned/")
    reranked_by = {place.removeprefix(f"{RERANK}/") for place in chosen if place.startswith(f"{RERANK}/")}
    scored = _places(metrics, "results/metrics/intrinsic/") | reranked_by
    selected = chosen | {f"{RERANK}/{place}" for place in scored}
    pools = sorted({pool_of(place) for place in selected})
    named = [dataset] if any(pool != POOL for pool in pools) else []
    return {
        "questions": [f"results/questions/{name}.jsonl" for name in named + [POOL] * (POOL in pools)],
        "candidates": [f"results/candidates/{pool}.jsonl" for pool in pools],
        "executions": [f"results/executions/{pool}.jsonl" for pool in pools],
        "judgments": sorted(
            f"results/judgments/{job.discriminator}/{job.context}/{job.pool}.parquet"
            for job in largest_budgets(experiments)
        ),
        "scores": [f"results/scores/{place}.jsonl" for place in sorted(scored)],
        "selections": [f"results/selections/{place}.jsonl" for place in sorted(chosen)],
        "metrics": [f"results/metrics/end_to_end/{place}.json" for place in sorted(chosen)],
    }


def _places(files: Iterable[str], folder: str) -> set[str]:
    return {file.removeprefix(folder).removesuffix(".json") for file in files if file.startswith(folder)}


_SELECTED = re.compile(r"(?P<pool>.+?)(?:\.b(?P<budget>\d+)\.(?P<scoring>\w+))?\.(?P<mode>naive|check)")


def _selected(selected: str) -> dict[str, str]:
    """The settings that a path below results/selections names, but for its generator and decoding."""
    planner, *place, name = selected.split("/")
    parts = _SELECTED.fullmatch(name) if place else None
    found = {key: value for key, value in parts.groupdict().items() if value} if parts else {"pool": name}
    return {"planner": planner, **dict(zip(("discriminator", "context"), place, strict=False)), **found}


def pool_of(selected: str) -> str:
    """The pool of candidates that a path below results/selections (without its ending) comes from."""
    return _selected(selected)["pool"]


def selection_settings(selected: str) -> dict[str, Any]:
    """What a path below results/selections says of planner, generator, discriminator and scoring."""
    values: dict[str, Any] = _selected(selected)
    generator, _, decoding = values.pop("pool").rpartition(".")
    budget = {"budget": int(values["budget"])} if "budget" in values else {}
    return {**values, "generator": generator, "decoding": decoding, **budget}
