"""The paper's claims as statements that a run can check. Knows who plays which part in them, no statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqljudge.core.variants import POOL, RERANK, Variant, greedy_variant
from sqljudge.report.words import MODES

Expectation = Literal["higher", "lower", "tie", "below", "above"]
Form = Literal["relative", "points", "level"]

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
    "sample_decoding": "sample",
    "decoding": "greedy",
}
"""Who plays which part, and at which settings; a run may set others.

`budgets`: short, enough, and far too much. `sample_decoding`: of the samples that are re-ranked; `decoding`: of
generators on their own.
"""

KINDS = {"ex": "end_to_end", "f1_fitted": "calibration"}
"""The kind of metric file that holds a measure, where it is not "intrinsic"."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to be checked: `measure` of the systems `first` (and `second`), as `form`."""

    number: int
    text: str
    key: str
    measure: str
    form: Form
    expect: Expectation
    first: Variant
    second: Variant | None = None
    bound: float | None = None
    hardness: str = "all"

    @property
    def kind(self) -> str:
        """The kind of metric file that holds the measure."""
        return KINDS.get(self.measure, "intrinsic")


_LABELS = {"pwacc": "PwAcc", "f1": "F1", "hit1": "Hit@1", "mrr": "MRR"}


def statements(roles: Mapping[str, Any], figures: Mapping[str, Any], label: Callable[[str], str]) -> list[Statement]:
    """All statements of the eight claims, in their order.

    `roles`: as ROLES, whole. `figures`: the published figures of the claims; the bounds are among them. `label`: what
    to call a discriminator or generator.
    """
    scored = Variant(POOL, roles["reasoning"], roles["context"], roles["budget"], "soft", "naive")
    samples = f"{roles['generator']}.{roles['sample_decoding']}"
    selected = replace(scored, pool=samples, planner=RERANK)
    plain = replace(scored, budget=roles["schema_budget"])
    schema = replace(plain, context=roles["schema_context"])
    lowers, raises = "Adding the schema lowers PwAcc", "Adding the schema raises the failure rate"
    hard, hard_selected = (replace(variant, scoring="hard") for variant in (scored, selected))
    return [
        *_pool_statements(roles, scored, label),
        *_reranking_statements(roles, selected, label),
        *_budget_statements(roles, figures, scored),
        Statement(6, lowers, "6_pwacc", "pwacc", "relative", "lower", schema, plain),
        Statement(6, raises, "6_failures", "failure_rate", "relative", "higher", schema, plain),
        Statement(7, "Hard scores lower PwAcc", "7_pwacc", "pwacc", "relative", "lower", hard, scored),
        Statement(7, "Hard scores lower EX", "7_ex", "ex", "relative", "lower", hard_selected, selected),
        *_generator_statements(roles, label),
    ]


def _pool_statements(roles: Mapping[str, Any], scored: Variant, label: Callable[[str], str]) -> list[Statement]:
    who, other = label(roles["reasoning"]), label(roles["7b"])
    found = []
    for number, measure in ((1, "f1"), (2, "pwacc")):
        for mode, words in MODES.items():
            first = replace(scored, mode=mode)
            second = replace(first, discriminator=roles["7b"])
            text = f"{who}'s {_LABELS[measure]} beats {other}'s ({words.phrase}"
            key = f"{number}_{mode}"
            found.append(Statement(number, f"{text})", key, measure, "relative", "higher", first, second))
            if measure == "f1":  # the same without the fixed threshold of 0.5, on which F1 rests
                text = f"{text}, thresholds fitted on other databases)"
                key = f"{key}_fitted"
                found.append(Statement(number, text, key, "f1_fitted", "relative", "higher", first, second))
    return found


def _reranking_statements(roles: Mapping[str, Any], selected: Variant, label: Callable[[str], str]) -> list[Statement]:
    large = replace(selected, discriminator=roles["13b"])
    checked, large_checked = (replace(variant, mode="check") for variant in (selected, large))
    who, other = (f"{label(roles[part])}'s" for part in ("reasoning", "13b"))
    beats = f"{who} EX beats {other} ({MODES['naive'].phrase})"
    extra = f"{who} EX beats {other} on the extra-hard questions ({MODES['check'].phrase})"
    ties = f"{who} EX ties with {other} on all questions ({MODES['check'].phrase})"
    return [
        Statement(3, beats, "3", "ex", "relative", "higher", selected, large),
        Statement(4, extra, "4_extra", "ex", "relative", "higher", checked, large_checked, hardness="extra"),
        Statement(4, ties, "4_all_gain", "ex", "points", "tie", checked, large_checked),
    ]


def _budget_statements(roles: Mapping[str, Any], figures: Mapping[str, Any], scored: Variant) -> list[Statement]:
    short, enough, far = (replace(scored, budget=budget) for budget in roles["budgets"])
    gain, least, failures = (figures.get(f"5_{key}_bound") for key in ("gain", "pwacc", "failures"))
    found = []
    for measure, name in _LABELS.items():
        text = f"From {enough.budget} to {far.budget} tokens {name} gains less than {gain} points"
        found.append(Statement(5, text, f"5_{measure}_gain", measure, "points", "below", far, enough, bound=gain))
    text = f"At {short.budget} tokens PwAcc is below {least} %"
    found.append(Statement(5, text, "5_pwacc_level", "pwacc", "level", "below", short, bound=least))
    text = f"At {short.budget} tokens the failure rate is above {failures} %"
    found.append(Statement(5, text, "5_failures_level", "failure_rate", "level", "above", short, bound=failures))
    return found


def _generator_statements(roles: Mapping[str, Any], label: Callable[[str], str]) -> list[Statement]:
    worst = roles["reasoning_generator"]
    alone = {name: greedy_variant(f"{name}.{roles['decoding']}") for name in (*roles["generators"], worst)}
    found = []
    for name in roles["generators"]:
        text = f"As generator {label(name)}'s EX beats {label(worst)}'s"
        found.append(Statement(8, text, f"8_{name}", "ex", "relative", "higher", alone[name], alone[worst]))
    return found
