"""Places metrics where the workflow does, and makes experiments from settings as a configuration names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from sqljudge.core.records import HARDNESS
from sqljudge.core.variants import (
    GREEDY,
    NONE,
    OF_BUDGETS,
    POOL,
    Experiment,
    Variant,
    baseline_variant,
    greedy_variant,
    path,
)
from sqljudge.report.cells import cells
from sqljudge.report.measures import EACH_LEVEL
from sqljudge.report.specs import SPECS, TableSpec

ROOT = Path(__file__).resolve().parents[1]
Metric = dict[str, Any]
AXES = ("generator", "decoding", "discriminator", "context", "budget", "scoring", "mode", "planner")
STEPS = [[step, step / 30] for step in range(1, 31)]


def with_training(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the tables of trained models, which no shipped one has: all its judges and generators."""
    found = config["experiments"]
    judges, generators = found["table1"]["discriminators"], found["table7"]["generators"]
    judged = {"discriminators": judges, "budgets": [64], "scorings": ["soft"], "modes": ["naive"]}
    trained = {"training": {**judged, "context": "no_schema"}}
    trained["trained_generators"] = {"generators": generators, "decoding": "greedy"}
    return {**config, "experiments": {**found, **trained}}


def experiment(**settings: Any) -> Experiment:
    """An experiment; each setting as one value in the singular, or as several in the plural."""
    known: dict[str, Any] = {name: settings[name] for name in ("greedy_decoding",) if name in settings}
    for axis in AXES:
        if axis in settings:
            known[f"{axis}s"] = (settings[axis],)
    for name in (*(f"{axis}s" for axis in AXES), "baselines", "checkpoints", "extra_rows", "left_out"):
        if name in settings:
            known[name] = tuple(settings[name])
    return Experiment(**known)


def variant_of(settings: dict[str, Any]) -> Variant:
    """The variant of a metric's settings; without a context it is that of a baseline."""
    sampled = f"{settings['generator']}.{settings['decoding']}" if "generator" in settings else POOL
    pool = settings.get("pool", sampled)
    if settings.get("planner") == GREEDY:
        return greedy_variant(pool)
    if settings.get("context", NONE) == NONE:
        return baseline_variant(settings["discriminator"], pool, settings["mode"], settings.get("planner", ""))
    names = ("discriminator", "context", "budget", "scoring", "mode", "planner", "base", "checkpoints")
    return Variant(pool, **{name: settings[name] for name in names if name in settings})


def place(kind: str, *metrics: Metric) -> dict[str, Metric]:
    """Metrics of a kind, each at its path; the quality of responses by budget, as its files have it."""
    placed: dict[str, Metric] = {}
    for metric in metrics:
        variant = variant_of(metric["settings"])
        placed[path(kind, variant)] = {"budgets": {str(variant.budget): metric}} if kind == "reasoning" else metric
    return placed


def filled(spec: TableSpec, given: Experiment) -> dict[str, Metric]:
    """A made-up metric, with all that any table or figure reads of it, for every cell of a table and its figures."""
    found: dict[str, Metric] = {}
    for kind, variant in sorted(cells(spec, given)):
        metrics: dict[str, Any] = {}
        measures = [measure for each in SPECS.values() for some in each.columns.values() for measure in some]
        paths = [measure.path for measure in measures if measure.kind == kind]
        paths += [(*paths[0][:-1], name) for name in ("tokens", "pwacc", "ex")]
        for first, *rest in paths:
            for key in (*HARDNESS, "all") if first == EACH_LEVEL else (first,):
                value = {"value": 0.5, "low": 0.41, "high": 0.59, "n": 400, "p_value": 0.5, "deciding": 3}
                for step in reversed(rest):
                    value = {step: value}
                metrics[key] = {**metrics.get(key, {}), **value} if rest else value
        rows = [{"question_id": i, "hardness": "easy", "exec": i % 3 == 0, "exact": False} for i in range(12)]
        bins = [{"from": 0.0, "to": 0.1, "probability": 0.1, "correct": 0.2, "low": 0.1, "high": 0.3, "candidates": 9}]
        one: Metric = {"metrics": metrics, "per_question": rows, "reliability": {"raw": bins, "scaled": bins}}
        one["curves"] = {seed: {"reward": STEPS, "length": STEPS, "loss": STEPS} for seed in ("seed1", "seed2")}
        name = path(kind, variant)
        if kind == OF_BUDGETS:
            one = {"budgets": {**found.get(name, {"budgets": {}})["budgets"], str(variant.budget): one}}
        found[name] = one
    return found


def merge(*some: dict[str, Metric]) -> dict[str, Metric]:
    """Placed metrics together."""
    found: dict[str, Metric] = {}
    for each in some:
        for name, metric in each.items():
            if "budgets" in metric and name in found:
                metric = {"budgets": {**found[name]["budgets"], **metric["budgets"]}}
            found[name] = metric
    return found


def configuration(*names: str) -> dict[str, object]:
    """Configurations laid over each other as Snakemake does it: key by key, lists replaced."""

    def merged(base: dict[str, object], over: dict[str, object]) -> dict[str, object]:
        both = {
            key: merged(base[key], over[key])  # type: ignore[arg-type]
            for key in base.keys() & over.keys()
            if isinstance(over[key], dict) and isinstance(base[key], dict)
        }
        return {**base, **over, **both}

    found: dict[str, object] = {}
    for name in ("config.yaml", *names):
        found = merged(found, yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")))
    return with_training(found)
