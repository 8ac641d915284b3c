"""A run's metrics held against the paper's statements. Knows tests and verdicts, not how metrics came to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sqljudge.core.variants import Variant, path
from sqljudge.metrics import calibration, intrinsic
from sqljudge.metrics.intervals import (
    CONFIDENCE,
    RESAMPLES,
    SHARE,
    Array,
    Ends,
    PairedTest,
    bootstrap,
    least_p,
    mcnemar_exact,
    opposite,
    paired_test,
    ratio,
    share_interval,
)
from sqljudge.report.cells import Metric, levels_of
from sqljudge.report.claims.statements import ROLES, Expectation, Form, Statement, statements

Verdict = Literal["holds", "does not hold", "not decidable with this many questions", "not run"]
Metrics = Mapping[str, Metric]
Combine = Callable[[Array], Array]

UNDECIDED: Verdict = "not decidable with this many questions"
TIE_MARGIN = 2.0
"""Points within which the interval of a difference must lie for "it ties" to hold."""

_LEVEL = round(1 - CONFIDENCE, 9)
_TOO_FEW = "with {} deciding questions no p-value can be below {:.4g}"

UNITS: dict[Form, str] = {"relative": "% relative", "points": "points", "level": "%"}
_ON_POOL = {**intrinsic.METRICS, **calibration.METRICS}
"""How a question adds to each measure of the labelled pool."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of a claim and what this run says of it.

    `published`, `value`, `low` and `high` are in `unit`: "% relative" (of the first system over the second), "points"
    or "%". `questions`: that the comparison rests on; `deciding`: those on which the two systems differ (None where one
    system is held against a bound). `p_value`: two-sided, of no difference, by `test`. `reason`: why this run cannot
    say anything of it.
    """

    number: int
    statement: str
    unit: str
    published: float | None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    questions: int | None = None
    deciding: int | None = None
    p_value: float | None = None
    test: str = ""
    verdict: Verdict = "not run"
    reason: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether the published figure lies in this run's interval; None where there is no such pair."""
        if self.published is None or self.low is None or self.high is None:
            return None
        return self.low <= self.published <= self.high


@dataclass(frozen=True, slots=True)
class _Sample:
    """What each question adds to a metric, how the sums make it, and the questions that can count at all.

    `ends`: of the metric's intervals.
    """

    statistics: Mapping[int, tuple[float, ...]]
    combine: Combine
    ends: Ends
    yes_no: bool
    counting: frozenset[int]


def _sample(statement: Statement, metrics: Metrics, variant: Variant) -> _Sample | None:
    """What the questions of a system's run add; None if there is no such run."""
    metric = metrics.get(path(statement.kind, variant))
    if metric is None:
        return None
    rows = metric["per_question"]
    if statement.measure == "ex":
        rows = [row for row in rows if row["exec"] is not None and statement.hardness in ("all", row["hardness"])]
        hits = {row["question_id"]: (float(row["exec"]), 1.0) for row in rows}
        return _Sample(hits, ratio, SHARE, True, frozenset(hits))
    rule = _ON_POOL[statement.measure]
    counting = frozenset(row["question_id"] for row in rows if rule.rests_on(row))
    if rule.at_random and intrinsic.is_silent(rows):  # it ranks nothing
        return _Sample({row["question_id"]: (0.0, 0.0) for row in rows}, rule.combine, SHARE, False, frozenset())
    ends = rule.ends or SHARE
    return _Sample(
        {row["question_id"]: rule.statistics(row) for row in rows}, rule.combine, ends, rule.yes_no, counting
    )


def _matrix(sample: _Sample, questions: Sequence[int]) -> Array:
    return np.array([sample.statistics[question] for question in questions], dtype=np.float64)


def _compare(claim: Claim, statement: Statement, one: _Sample, other: _Sample, seed: int, resamples: int) -> Claim:
    questions = sorted(one.statistics.keys() & other.statistics.keys())
    if not questions:
        return replace(claim, verdict=UNDECIDED, questions=0)
    first, second = _matrix(one, questions), _matrix(other, questions)
    if one.yes_no:
        name, test = "McNemar, exact", mcnemar_exact(*([bool(hit) for hit in each[:, 0]] for each in (first, second)))
    else:
        name = "swaps, exact"
        test = paired_test(first, second, one.combine, one.ends, seed=seed, resamples=resamples)

    def change(sums: Array) -> Array:
        """From the summed statistics of both, side by side, to their difference, in per cent or points."""
        own, its = one.combine(sums[..., : first.shape[1]]), one.combine(sums[..., first.shape[1] :])
        return 100 * (own - its if statement.form == "points" else ratio(np.stack([own - its, its], axis=-1)))

    ends = opposite(one.ends, first.shape[1])
    found = bootstrap(np.hstack([first, second]), change, ends, seed=seed, resamples=resamples)
    claim = replace(claim, value=found.value, low=found.low, high=found.high, test=name, p_value=test.p_value)
    claim = replace(claim, questions=len(one.counting & other.counting), deciding=test.deciding)
    if test.p_value is not None and least_p(test.deciding) >= _LEVEL:
        claim = replace(claim, reason=_TOO_FEW.format(test.deciding, least_p(test.deciding)))
    return replace(claim, verdict=_RULES[statement.expect](claim, statement, test))


def _against_bound(claim: Claim, statement: Statement, sample: _Sample, seed: int, resamples: int) -> Claim:
    if not sample.counting:
        return replace(claim, verdict=UNDECIDED, questions=0)
    table = _matrix(sample, sorted(sample.statistics))
    found = bootstrap(table, sample.combine, sample.ends, seed=seed, resamples=resamples)
    if sample.yes_no:
        exact = share_interval(int(table[:, 0].sum()), len(table))
        found = replace(found, low=exact[0], high=exact[1])
    value, low, high = (None if x is None else 100 * x for x in (found.value, found.low, found.high))
    claim = replace(claim, value=value, low=low, high=high, questions=len(sample.counting))
    return replace(claim, verdict=_RULES[statement.expect](claim, statement, None))


def _by_sign(claim: Claim, statement: Statement, test: PairedTest | None) -> Verdict:
    if test is None or test.low is None or test.high is None or test.p_value is None:
        return UNDECIDED
    if test.p_value >= _LEVEL or test.low <= 0 <= test.high:
        return UNDECIDED
    return "holds" if (test.low > 0) == (statement.expect == "higher") else "does not hold"


def _by_tie(claim: Claim, statement: Statement, test: PairedTest | None) -> Verdict:
    if claim.low is None or claim.high is None or claim.p_value is None:
        return UNDECIDED
    if claim.p_value < _LEVEL:
        return "does not hold"
    return "holds" if claim.low >= -TIE_MARGIN and claim.high <= TIE_MARGIN else UNDECIDED


def _by_bound(claim: Claim, statement: Statement, test: PairedTest | None) -> Verdict:
    if claim.value is None or claim.low is None or claim.high is None or statement.bound is None:
        return UNDECIDED
    above, below = claim.low > statement.bound, claim.high < statement.bound
    if not (above or below):
        return UNDECIDED
    return "holds" if below == (statement.expect == "below") else "does not hold"


_RULES: dict[Expectation, Callable[[Claim, Statement, PairedTest | None], Verdict]] = {
    "higher": _by_sign,
    "lower": _by_sign,
    "tie": _by_tie,
    "below": _by_bound,
    "above": _by_bound,
}


def _check(
    statement: Statement, metrics: Metrics, levels: Sequence[str], claim: Claim, seed: int, resamples: int
) -> Claim:
    if statement.hardness not in ("all", *levels):
        which = f"its levels are {', '.join(levels)}"
        return replace(claim, reason=f"no question of this dataset is '{statement.hardness}': {which}")
    if statement.first == statement.second:
        return replace(claim, reason="both sides are the same system in this run")
    one = _sample(statement, metrics, statement.first)
    other = _sample(statement, metrics, statement.second) if statement.second else None
    if one is None or (statement.second and other is None):
        return claim
    if other is None:
        return _against_bound(claim, statement, one, seed, resamples)
    return _compare(claim, statement, one, other, seed, resamples)


def evaluate_claims(
    metrics: Metrics,
    published: Mapping[str, Any],
    roles: Mapping[str, Any] | None = None,
    *,
    display: Mapping[str, str] | None = None,
    seed: int = 42,
    resamples: int = RESAMPLES,
) -> list[Claim]:
    """The statements of the eight claims (paper, section 8 of the method), each with this run's figure and verdict.

    `metrics`: by path. `roles` overrides ROLES. Verdicts: a comparison "holds" (or does not) when its exact test has
    p < 0.05 and the whole interval has the claimed sign (or the other one), whatever its size; a bound when the whole
    interval lies on one side; a tie when the interval of the difference lies within TIE_MARGIN points. All else is not
    decidable.
    Raises DataError for metrics of datasets with different levels of difficulty.
    """
    labels, figures = display or {}, published.get("claims", {})
    found = statements({**ROLES, **(roles or {})}, figures, lambda name: labels.get(name, name))
    levels = levels_of(metrics.values())
    basis: Mapping[str, str] = figures.get("basis", {})  # what a published figure is, where it is not as printed
    texts = [f"{s.text} (published: {basis[s.key]})" if s.key in basis else s.text for s in found]
    blank = [Claim(s.number, text, UNITS[s.form], figures.get(s.key)) for s, text in zip(found, texts, strict=True)]
    return [_check(s, metrics, levels, claim, seed, resamples) for s, claim in zip(found, blank, strict=True)]
