"""How sure a metric is: bootstrap over questions, and paired tests of two runs on the same questions.

Knows no metric: each question contributes a row of sufficient statistics, and a metric is a function of their sums. So
a proportion is (hits, 1) -> hits / questions, and F1 is (tp, fp, fn, tn) -> F1 of the summed counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqljudge.core.errors import DataError

Array = NDArray[np.float64]
Metric = Callable[[Array], Array]
"""From summed statistics [..., k] to values [...]; nan where the metric rests on nothing."""

CONFIDENCE = 0.95
RESAMPLES = 10_000
_DRAWS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric's value with its 95 % percentile bootstrap interval. `n`: questions resampled.

    `value` is None where the metric rests on nothing, and `low` and `high` with it.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The difference (first minus second) of two runs on the same questions, with its 95 % interval.

    `p_value`: two-sided, of no difference. `n`: questions; `deciding`: those on which the runs differ.
    All but the counts are None where the difference rests on nothing.
    """

    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    deciding: int


def bootstrap(statistics: Array, metric: Metric, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Percentile bootstrap over questions.

    `statistics`: [questions, k]. A resample on which the metric rests on nothing is left out of the percentiles.
    Equal seed, number of questions and resamples give equal resamples, whatever the metric.
    """
    statistics = _table(statistics)
    value = float(metric(statistics.sum(axis=0)))
    if math.isnan(value):
        return Interval(None, None, None, len(statistics))
    values = np.concatenate([metric(counts @ statistics) for counts in _resamples(len(statistics), seed, resamples)])
    return Interval(value, *_percentiles(values), len(statistics))


def paired_bootstrap(
    first: Array, second: Array, metric: Metric, *, seed: int, resamples: int = RESAMPLES
) -> PairedTest:
    """Bootstrap of metric(first) - metric(second), both on the same resampled questions.

    `first`, `second`: [questions, k], row i of each of the same question. The p-value is twice the smaller share of
    resamples on either side of zero, zero counted on both sides, with one added to numerator and denominator.
    Raises DataError if the shapes differ.
    """
    first, second = _table(first), _table(second)
    if first.shape != second.shape:
        raise DataError(f"paired test: shapes {first.shape} and {second.shape} differ; compare runs on equal questions")
    deciding = int((first != second).any(axis=1).sum())
    difference = float(metric(first.sum(axis=0)) - metric(second.sum(axis=0)))
    if math.isnan(difference):
        return PairedTest(None, None, None, None, len(first), deciding)
    chunks = _resamples(len(first), seed, resamples)
    differences = np.concatenate([metric(counts @ first) - metric(counts @ second) for counts in chunks])
    differences = differences[~np.isnan(differences)].round(12)  # equal sums, added in another order, are equal
    smaller = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p_value = min(1.0, 2 * (smaller + 1) / (len(differences) + 1))
    return PairedTest(difference, *_percentiles(differences), p_value, len(first), deciding)


def mcnemar_exact(first: Sequence[bool], second: Sequence[bool], *, confidence: float = CONFIDENCE) -> PairedTest:
    """McNemar's exact test of two runs that are right or wrong on the same questions.

    The questions on which just one run is right decide: under no difference each run wins half of them (two-sided
    exact binomial). The interval is the exact binomial (Clopper-Pearson) one of the first run's share of them, as a
    difference of proportions; it leaves out zero just when the p-value is below 1 - `confidence`.
    Raises DataError if the lengths differ.
    """
    if len(first) != len(second):
        raise DataError(f"paired test: {len(first)} and {len(second)} questions; compare runs on equal questions")
    won = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    n, deciding = len(first), won + lost
    if n == 0:
        return PairedTest(None, None, None, None, 0, 0)
    if deciding == 0:
        return PairedTest(0.0, 0.0, 0.0, 1.0, n, 0)
    from scipy.stats import binomtest  # here, since it takes a second and most metrics do without it

    test = binomtest(won, deciding)
    share = test.proportion_ci(confidence, method="exact")
    low, high = ((2 * bound - 1) * deciding / n for bound in (share.low, share.high))
    return PairedTest((won - lost) / n, float(low), float(high), float(test.pvalue), n, deciding)


def ratio(sums: Array) -> Array:
    """The metric of statistics (numerator, denominator): [..., 2] -> [...], nan where the denominator is zero."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator != 0)


def _table(statistics: Array) -> Array:
    table = np.asarray(statistics, dtype=np.float64)
    if table.ndim != 2:
        raise DataError(f"bootstrap: statistics of shape {table.shape}; give a table of questions x statistics")
    return table


def _resamples(n: int, seed: int, resamples: int) -> Iterator[Array]:
    """How often each of n questions is drawn: arrays [chunk, n], `resamples` rows in all."""
    random = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // max(1, n))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = random.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _percentiles(values: Array) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def proportion_interval(values: Sequence[float], *, seed: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % interval (low, high) of the mean of one value a question; of at least one question."""
    found = bootstrap(np.column_stack([values, np.ones(len(values))]), ratio, seed=seed, resamples=resamples)
    assert found.low is not None and found.high is not None, "an interval rests on at least one question"
    return found.low, found.high
