"""What a planner reaches and needs: accuracy beside calls and tokens, against re-ranking. Knows no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.core.records import Cost, read_jsonl
from sqljudge.metrics.intervals import RESAMPLES, Array, bootstrap, mcnemar_exact

Evaluated = Mapping[str, Any]
"""End-to-end metrics of a planner's choices (see `evaluate_selections`)."""
NOTHING: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 0}
PER_TOKENS = 1000


def planned_metrics(
    evaluated: Evaluated,
    costs: Sequence[Cost],
    reference: tuple[Evaluated, Sequence[Cost]] | None = None,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """A planner's execution accuracy and what it needs for a question, with 95 % intervals.

    `costs`: of each question. `reference`: the same of the re-ranking that it is compared with, on the questions that
    both answered: `difference` in EX (McNemar's exact test, with `p_value`), `extra` tokens a question, and `gain`, the
    points of EX for every thousand extra tokens (a ratio of sums over questions; None where there are no extra tokens,
    without an interval where it is not sure that there are any). Tokens are read and written, of both models.
    JSON-able. Raises DataError if a question has no cost.
    """
    right, spent = _right(evaluated), {cost.question_id: cost for cost in costs}
    answered = [row["question_id"] for row in evaluated["per_question"]]
    missing = [question for question in answered if question not in spent]
    if missing:
        raise DataError(f"question {missing[0]}: no cost of planning it; plan again")
    metrics = {"ex": evaluated["metrics"]["all"]["ex"], **_means([spent[question] for question in answered])}
    return {
        "questions": evaluated["questions"],
        "left_out": evaluated["left_out"],
        "compared": reference is not None,
        "metrics": metrics | _against(right, spent, reference, seed=seed, resamples=resamples),
    }


def tokens(cost: Cost) -> float:
    """All tokens that a question needs: read and written, of both roles, and of both models where two share one."""
    generator = cost.generator_read + cost.generator_written + cost.generator_large
    return generator + cost.discriminator_read + cost.discriminator_written + cost.discriminator_large


def _right(evaluated: Evaluated) -> dict[int, bool]:
    """Whether each question's choice executes right, where that could be decided."""
    return {row["question_id"]: row["exec"] for row in evaluated["per_question"] if row["exec"] is not None}


def _means(costs: Sequence[Cost]) -> dict[str, Any]:
    if not costs:
        return dict.fromkeys((*COUNTED, "tokens"), NOTHING)
    table = [[*(getattr(cost, name) for name in COUNTED), tokens(cost)] for cost in costs]
    means = np.array(table, dtype=np.float64).mean(axis=0).tolist()
    return {name: {"value": mean, "n": len(costs)} for name, mean in zip((*COUNTED, "tokens"), means, strict=True)}


COUNTED = (
    *("generator_calls", "generator_read", "generator_written"),
    *("discriminator_calls", "discriminator_read", "discriminator_written", "queries"),
    *("generator_large", "discriminator_large"),
)
"""What is counted of each question."""


def _against(
    right: Mapping[int, bool],
    spent: Mapping[int, Cost],
    reference: tuple[Evaluated, Sequence[Cost]] | None,
    *,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    if reference is None:
        return dict.fromkeys(("difference", "p_value", "extra", "gain"), NOTHING)
    others, other_costs = _right(reference[0]), {cost.question_id: cost for cost in reference[1]}
    both = sorted(right.keys() & others.keys())
    test = mcnemar_exact([right[question] for question in both], [others[question] for question in both])
    gained = [(right[q] - others[q], tokens(spent[q]) - tokens(other_costs[q])) for q in both]
    table = np.array(gained, dtype=np.float64).reshape(len(gained), 2)
    known = {"n": test.n, "deciding": test.deciding}
    return {
        "difference": {"value": test.difference, "low": test.low, "high": test.high, **known},
        "p_value": {"value": test.p_value, **known},
        "extra": {"value": float(table[:, 1].mean()) if both else None, "n": len(both)},
        "gain": asdict(bootstrap(table, _points_for_tokens, _gain_ends, seed=seed, resamples=resamples)),
    }


def _gain_ends(statistics: Array) -> tuple[Array, Array]:
    """A question that is lost, and one that is won, for as many extra tokens as others need on average."""
    extra = statistics[:, 1].mean()
    return np.array([-1.0, extra]), np.array([1.0, extra])


def _points_for_tokens(sums: Array) -> Array:
    """Points of EX for every thousand extra tokens: [..., 2] -> [...]; nan where none are extra."""
    gained, extra = sums[..., 0], sums[..., 1]
    return np.divide(100 * PER_TOKENS * gained, extra, out=np.full_like(gained, np.nan), where=extra > 0)


def write_planner(
    *,
    end_to_end: str,
    costs: str,
    reference: Sequence[str],
    reference_costs: Sequence[str],
    metrics: str,
    seed: int,
    resamples: int,
) -> None:
    """Write what a planner reaches and needs. `reference`, `reference_costs`: of the re-ranking to compare it with."""
    evaluated = read_json(end_to_end)
    pairs = zip(reference, reference_costs, strict=True)
    against = next(((read_json(one), read_jsonl(other, Cost)) for one, other in pairs), None)
    found = planned_metrics(evaluated, read_jsonl(costs, Cost), against, seed=seed, resamples=resamples)
    write_json(metrics, {"settings": evaluated["settings"], **found})
