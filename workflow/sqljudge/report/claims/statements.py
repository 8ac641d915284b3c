"""The paper's claims as statements that a run can check. Knows who plays which part in them, no statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Expectation = Literal["higher", "lower", "tie", "below", "above"]
Form = Literal["relative", "points", "level"]
Settings = Mapping[str, Any]

ROLES: dict[str, Any] = {
    "reasoning": "distill-r1-1.5b",
    "7b": "codellama-7b",
    "13b": "codellama-13b",
    "generator": "stable-code-3b",
    "reasoning_generator": "distill-r1-1.5b",
    "generators": ("tinyllama-1.1b", "deepseek-coder-1.3b", "stable-code-3b"),
    "context": "no_schema",
    "schema_context": "schema",
    "budget": 512,
    "schema_budget": 1024,
    "budgets": (256, 1024, 2048),
    "decoding": "greedy",
}
"""Who plays which part, and at which settings; a run may set others. `budgets`: short, enough, and far too much."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to be checked: `measure` of the runs with settings `first` (and `second`), as `form`."""

    number: int
    text: str
    key: str
    measure: str
    form: Form
    expect: Expectation
    first: Settings
    second: Settings | None = None
    bound: float | None = None
    hardness: str = "all"


_MODES = {"naive": "every candidate scored", "check": "executability check"}
_LABELS = {"pwacc": "PwAcc", "f1": "F1", "hit1": "Hit@1", "mrr": "MRR"}


def statements(roles: Mapping[str, Any], figures: Mapping[str, Any], label: Callable[[str], str]) -> list[Statement]:
    """All statements of the eight claims, in their order.

    `roles`: as ROLES, whole; a role "pool" may name the labelled pool. `figures`: the published figures of the claims;
    the bounds are among them. `label`: what to call a discriminator or generator.
    """
    pool = {"context": roles["context"], "budget": roles["budget"], "scoring": "soft"}
    rerank = {**pool, "planner": "rerank", "generator": roles["generator"]}
    if roles.get("pool"):
        pool["pool"] = roles["pool"]
    scored = {**pool, "discriminator": roles["reasoning"], "mode": "naive"}
    selected = {**rerank, "discriminator": roles["reasoning"], "mode": "naive"}
    return [
        *_pool_statements(roles, pool, label),
        *_reranking_statements(roles, rerank, label),
        *_budget_statements(roles, figures, scored),
        *_schema_statements(roles, scored),
        *_scoring_statements(scored, selected),
        *_generator_statements(roles, label),
    ]


def _pool_statements(roles: Mapping[str, Any], pool: Settings, label: Callable[[str], str]) -> list[Statement]:
    reasoning, small = roles["reasoning"], roles["7b"]
    found = []
    for number, measure in ((1, "f1"), (2, "pwacc")):
        for mode, words in _MODES.items():
            first, second = ({**pool, "mode": mode, "discriminator": name} for name in (reasoning, small))
            text = f"{label(reasoning)}'s {_LABELS[measure]} beats {label(small)}'s ({words})"
            found.append(Statement(number, text, f"{number}_{mode}", measure, "relative", "higher", first, second))
            found += _at_fitted_thresholds(found[-1])
    return found


def _at_fitted_thresholds(statement: Statement) -> list[Statement]:
    """The same statement without the fixed threshold of 0.5, where its measure rests on one."""
    text = f"{statement.text[:-1]}, thresholds fitted on other databases)"
    again = replace(statement, text=text, key=f"{statement.key}_fitted", measure="f1_fitted")
    return [again] if statement.measure == "f1" else []


def _reranking_statements(roles: Mapping[str, Any], rerank: Settings, label: Callable[[str], str]) -> list[Statement]:
    naive = [{**rerank, "mode": "naive", "discriminator": roles[part]} for part in ("reasoning", "13b")]
    check = [{**settings, "mode": "check"} for settings in naive]
    who, other = (f"{label(roles[part])}'s" for part in ("reasoning", "13b"))
    beats = f"{who} EX beats {other} ({_MODES['naive']})"
    extra = f"{who} EX beats {other} on the extra-hard questions ({_MODES['check']})"
    ties = f"{who} EX ties with {other} on all questions ({_MODES['check']})"
    return [
        Statement(3, beats, "3", "ex", "relative", "higher", naive[0], naive[1]),
        Statement(4, extra, "4_extra", "ex", "relative", "higher", check[0], check[1], hardness="extra"),
        Statement(4, ties, "4_all_gain", "ex", "points", "tie", check[0], check[1]),
    ]


def _budget_statements(roles: Mapping[str, Any], figures: Mapping[str, Any], scored: Settings) -> list[Statement]:
    short, enough, far = ({**scored, "budget": budget} for budget in roles["budgets"])
    gain, least, failures = (figures.get(f"5_{key}_bound") for key in ("gain", "pwacc", "failures"))
    found = []
    for measure, name in _LABELS.items():
        text = f"From {enough['budget']} to {far['budget']} tokens {name} gains less than {gain} points"
        found.append(Statement(5, text, f"5_{measure}_gain", measure, "points", "below", far, enough, bound=gain))
    text = f"At {short['budget']} tokens PwAcc is below {least} %"
    found.append(Statement(5, text, "5_pwacc_level", "pwacc", "level", "below", short, bound=least))
    text = f"At {short['budget']} tokens the failure rate is above {failures} %"
    found.append(Statement(5, text, "5_failures_level", "failure_rate", "level", "above", short, bound=failures))
    return found


def _schema_statements(roles: Mapping[str, Any], scored: Settings) -> list[Statement]:
    base = {**scored, "budget": roles["schema_budget"]}
    schema = {**base, "context": roles["schema_context"]}
    lowers, raises = "Adding the schema lowers PwAcc", "Adding the schema raises the failure rate"
    return [
        Statement(6, lowers, "6_pwacc", "pwacc", "relative", "lower", schema, base),
        Statement(6, raises, "6_failures", "failure_rate", "relative", "higher", schema, base),
    ]


def _scoring_statements(scored: Settings, selected: Settings) -> list[Statement]:
    pool, chosen = ({**settings, "scoring": "hard"} for settings in (scored, selected))
    return [
        Statement(7, "Hard scores lower PwAcc", "7_pwacc", "pwacc", "relative", "lower", pool, scored),
        Statement(7, "Hard scores lower EX", "7_ex", "ex", "relative", "lower", chosen, selected),
    ]


def _generator_statements(roles: Mapping[str, Any], label: Callable[[str], str]) -> list[Statement]:
    alone = {"planner": "greedy", "decoding": roles["decoding"]}
    worst = {**alone, "generator": roles["reasoning_generator"]}
    found = []
    for name in roles["generators"]:
        text = f"As generator {label(name)}'s EX beats {label(roles['reasoning_generator'])}'s"
        found.append(Statement(8, text, f"8_{name}", "ex", "relative", "higher", {**alone, "generator": name}, worst))
    return found
