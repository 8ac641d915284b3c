"""The best of one group of systems against the best of another, where the best are chosen on the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqljudge.core.errors import DataError
from sqljudge.metrics.intervals import CONFIDENCE, PairedTest, mcnemar_exact

Hits = Mapping[str, Sequence[bool]]
"""Of each system of a group, by name: whether it is right, on the same questions in the same order."""


@dataclass(frozen=True, slots=True)
class Contest:
    """The best of one group (`first`) against the best of another (`second`).

    `difference`: of their shares of right answers, first minus second. `low`, `high`: a 95 % interval of the difference
    between the truly best of both groups. `p_value`: two-sided, of no such difference. `n`: questions; `deciding`:
    those on which the two differ. All but names and counts are None where there is no question.
    """

    first: str
    second: str
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    deciding: int


def compare_best(first: Hits, second: Hits) -> Contest:
    """The system with the most right answers of each of two groups, compared; of equals the one that is named first.

    To be the best on the same questions that measure it flatters a system, the more of them there are. So the interval
    and the p-value are of the truly best ones, whoever these are. The difference is at least what some first system
    gains on every second one: its lower bound is the highest of the k first systems' lowest bounds, each at the level
    1 - 0.05 / k (Bonferroni), and the upper bound is found likewise from the m second ones. The p-value fits: a first
    system wins if it beats each second one, at k times the largest p-value. Tests are McNemar's, exact.

    Raises DataError for a group without a system, or lists of different lengths.
    """
    if not first or not second:
        raise DataError("the best of a group without systems: name at least one in each")
    one, other = (max(group, key=lambda name: sum(group[name])) for group in (first, second))
    shown = mcnemar_exact(first[one], second[other])
    if shown.difference is None:
        return Contest(one, other, None, None, None, None, shown.n, shown.deciding)
    up, low = _gain(first, second)
    down, high = _gain(second, first)
    p_value = min(1.0, up, down)
    return Contest(one, other, shown.difference, low, -high, p_value, shown.n, shown.deciding)


def _gain(group: Hits, others: Hits) -> tuple[float, float]:
    """That the best of a group is better than each of the others: a p-value, and a lower bound of what it gains."""
    size = len(group)

    def against(name: str) -> list[PairedTest]:
        return [mcnemar_exact(group[name], hits, confidence=1 - (1 - CONFIDENCE) / size) for hits in others.values()]

    tests = [against(name) for name in group]
    p_value = min(max(1.0 if (t.difference or 0) <= 0 else t.p_value or 0.0 for t in some) for some in tests)
    return size * p_value, max(min(-1.0 if t.low is None else t.low for t in some) for some in tests)
