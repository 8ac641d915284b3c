"""Places metrics where the workflow does, and makes experiments from settings as a configuration names them."""

from __future__ import annotations

from typing import Any

from sqljudge.core.variants import (
    GREEDY,
    NONE,
    POOL,
    Experiment,
    Variant,
    baseline_variant,
    greedy_variant,
    path,
)

Metric = dict[str, Any]
AXES = ("generator", "decoding", "discriminator", "context", "budget", "scoring", "mode", "planner")


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


def merge(*some: dict[str, Metric]) -> dict[str, Metric]:
    """Placed metrics together."""
    found: dict[str, Metric] = {}
    for each in some:
        for name, metric in each.items():
            if "budgets" in metric and name in found:
                metric = {"budgets": {**found[name]["budgets"], **metric["budgets"]}}
            found[name] = metric
    return found
