"""How sure a metric is: intervals over questions, and exact paired tests of two runs on the same questions.

Knows no metric: each question contributes a row of sufficient statistics, and a metric is a function of their sums. So
a proportion is (hits, 1) -> hits / questions, and F1 is (tp, fp, fn, tn) -> F1 of the summed counts.

One rule gives every interval (Gaffke 2005; Learned-Miller and Thomas 2020). Questions are weighed at random, as in
Rubin's Bayesian bootstrap, together with one more question that nobody has seen: one that speaks as much as it can
against the metric for the lower end, and for it for the upper end. Of a share of questions that is Clopper's and
Pearson's exact interval, and of a paired difference of such shares it leaves out zero just when McNemar's exact test
has p < 0.05. It never has zero width. docs/method.md says what coverage it reaches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sqljudge.core.errors import DataError

Array = NDArray[np.float64]
Metric = Callable[[Array], Array]
"""From summed statistics [..., k] to values [...]; nan where the metric rests on nothing."""
Ends = Callable[[Array], tuple[Array, Array]]
"""From the statistics of the questions [n, k] to those of one more [k] with which the metric is lowest, and highest."""

CONFIDENCE = 0.95
RESAMPLES = 10_000
_DRAWS_AT_ONCE = 2_000_000
_TAIL = (1 - CONFIDENCE) / 2
_NODES = 501


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric's value with its 95 % interval. `n`: questions that it is over.

    `value` is None where the metric rests on nothing, and `low` and `high` with it; these also where none can be had.
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


def mean_between(least: float, most: float) -> Ends:
    """The ends of a metric of (sum, number of values), as `ratio` is, of values from `least` to `most`.

    The unseen question has as many values as the largest of those that were seen.
    """

    def ends(statistics: Array) -> tuple[Array, Array]:
        size = statistics[:, 1].max()
        return np.array([least * size, size]), np.array([most * size, size])

    return ends


SHARE = mean_between(0.0, 1.0)


def bootstrap(
    statistics: Array, metric: Metric, ends: Ends | None, *, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """A metric's value and interval (see above). `statistics`: [questions, k].

    No interval without `ends`, or where the metric rests on nothing under some of the weights. Equal seed, number of
    questions and resamples give equal weights, whatever the metric.
    """
    statistics = _table(statistics)
    n = len(statistics)
    value = float(metric(statistics.sum(axis=0)))
    if math.isnan(value):
        return Interval(None, None, None, n)
    if ends is None:
        return Interval(value, None, None, n)
    lowest, highest = ends(statistics)
    low, high = [], []
    for weights in _weights(n, statistics.shape[1], seed, resamples):
        seen, unseen = weights[:, :n] @ statistics, weights[:, n:]
        low.append(metric(seen + unseen * lowest))
        high.append(metric(seen + unseen * highest))
    bounds = _bounds(np.concatenate(low), np.concatenate(high))
    return Interval(value, *bounds, n)


def over_seeds(
    tables: Sequence[Array],
    base: Array | None,
    metric: Metric,
    ends: Ends,
    *,
    most: float = 1.0,
    seed: int,
    resamples: int = RESAMPLES,
) -> Interval:
    """The mean over seeds of a metric, less that of `base` if there is one, with an interval of two levels.

    `tables`: [questions, k] of each of at least two seeds, row i of each and of `base` of the same question; the metric
    lies in 0 to `most`. Questions are weighed as in `bootstrap`, alike in all tables. Under each weighing the mean that
    other seeds would have is drawn around that of these: Student's t with one degree of freedom less than there are
    seeds, times their standard error. So the interval covers the noise of training even with two seeds, though it is
    wide then.
    """
    number, width = len(tables), tables[0].shape[1]
    random = np.random.default_rng([seed, number])

    def pooled(sums: Array) -> Array:
        each = np.stack([metric(sums[..., i * width : (i + 1) * width]) for i in range(number)], axis=-1)
        if base is not None:
            each = each - metric(sums[..., number * width :])[..., None]
        mean = each.mean(axis=-1)
        if mean.ndim == 0:
            return np.asarray(mean)
        error = each.std(axis=-1, ddof=1) / math.sqrt(number)
        drawn: Array = np.clip(
            mean + random.standard_t(number - 1, size=mean.shape) * error, -most * (base is not None), most
        )
        return drawn

    def worst_and_best(statistics: Array) -> tuple[Array, Array]:
        own = [ends(statistics[:, i * width : (i + 1) * width]) for i in range(number)]
        other = [ends(statistics[:, number * width :])[::-1]] if base is not None else []
        low, high = zip(*own, *other, strict=True)
        return np.concatenate(low), np.concatenate(high)

    side_by_side = np.hstack([_table(table) for table in (*tables, *([base] if base is not None else []))])
    return bootstrap(side_by_side, pooled, worst_and_best, seed=seed, resamples=resamples)


def opposite(ends: Ends, width: int) -> Ends:
    """The ends of what rises with the first run's metric and falls with the second's.

    The statistics are the first run's in `width` columns, then the second's.
    """

    def both(statistics: Array) -> tuple[Array, Array]:
        (low, high), (other_low, other_high) = ends(statistics[:, :width]), ends(statistics[:, width:])
        return np.concatenate([low, other_high]), np.concatenate([high, other_low])

    return both


def paired_test(
    first: Array, second: Array, metric: Metric, ends: Ends | None, *, seed: int, resamples: int = RESAMPLES
) -> PairedTest:
    """metric(first) - metric(second), its interval, and the exact test of no difference by swapping.

    `first`, `second`: [questions, k], row i of each of the same question. If the runs are alike, either could have
    given either row of a question: p is the share of all ways to swap them that make at least so large a difference.
    All 2**deciding ways are tried where there are no more than `resamples`, else so many at random. Raises DataError if
    the shapes differ.
    """
    first, second = _table(first), _table(second)
    if first.shape != second.shape:
        raise DataError(f"paired test: shapes {first.shape} and {second.shape} differ; compare runs on equal questions")
    width = first.shape[1]

    def difference(sums: Array) -> Array:
        return metric(sums[..., :width]) - metric(sums[..., width:])

    side_by_side = np.hstack([first, second])
    found = bootstrap(side_by_side, difference, ends and opposite(ends, width), seed=seed, resamples=resamples)
    deciding = (first != second).any(axis=1)
    counts = (len(first), int(deciding.sum()))
    if found.value is None:
        return PairedTest(None, None, None, None, *counts)
    moved = (second - first)[deciding]
    one, other = first.sum(axis=0), second.sum(axis=0)
    larger = tried = 0
    for swapped in _swaps(len(moved), seed, resamples):
        change = swapped @ moved
        swings = np.abs(metric(one + change) - metric(other - change))
        larger += int((~(swings < abs(found.value) - 1e-12)).sum())  # equal sums, added in another order, are equal
        tried += len(swapped)
    complete = _all_swaps(len(moved), resamples)
    p_value = larger / tried if complete else (larger + 1) / (tried + 1)
    return PairedTest(found.value, found.low, found.high, p_value, *counts)


def least_p(deciding: int) -> float:
    """The smallest two-sided p-value that so many deciding questions can give in an exact test."""
    return min(1.0, 2.0 ** (1 - deciding))


def mcnemar_exact(first: Sequence[bool], second: Sequence[bool], *, confidence: float = CONFIDENCE) -> PairedTest:
    """McNemar's exact test of two runs that are right or wrong on the same questions.

    The questions on which just one run is right decide: under no difference each run wins half of them (two-sided
    exact binomial). The interval is that of `bootstrap` for the mean of 1, 0 and -1, without drawing; `confidence`: its
    level.
    Raises DataError if the lengths differ.
    """
    if len(first) != len(second):
        raise DataError(f"paired test: {len(first)} and {len(second)} questions; compare runs on equal questions")
    won = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    n, deciding = len(first), won + lost
    if n == 0:
        return PairedTest(None, None, None, None, 0, 0)
    extreme = sum(math.comb(deciding, k) for k in range(min(won, lost) + 1))
    p_value = float(min(1, extreme / 2 ** (deciding - 1))) if deciding else 1.0
    equal, tail = n - deciding, (1 - confidence) / 2
    low, high = _least_gain(won, lost, equal, tail), -_least_gain(lost, won, equal, tail)
    return PairedTest((won - lost) / n, low, high, p_value, n, deciding)


@cache  # pairs of runs have few different counts
def _least_gain(won: int, lost: int, equal: int, tail: float) -> float:
    """The lower end, with `tail` below it, of the mean of `won` ones, `lost` minus ones and `equal` zeros.

    With the unseen question lost, the weighted mean is T (2 B - 1): T ~ Beta(won + lost + 1, equal) is the weight of
    all that decide, and B ~ Beta(won, lost + 1) what is won of it. T is taken at evenly likely values.
    """
    from scipy.special import betainc, betaincinv  # here, since most metrics do without it

    nodes = (np.arange(_NODES) + 0.5) / _NODES
    weight = betaincinv(won + lost + 1, equal, nodes) if equal else np.ones(1)
    if not won:
        return -float(betaincinv(lost + 1, equal, 1 - tail)) if equal else -1.0
    low, high = -1.0, 1.0
    for _ in range(45):
        middle = (low + high) / 2
        below = betainc(won, lost + 1, np.clip((1 + middle / weight) / 2, 0.0, 1.0)).mean()
        low, high = (middle, high) if below < tail else (low, middle)
    return (low + high) / 2


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a share of `n` questions, at least one (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, _TAIL)) if hits else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 1 - _TAIL)) if hits < n else 1.0


def ratio(sums: Array) -> Array:
    """The metric of statistics (numerator, denominator): [..., 2] -> [...], nan where the denominator is zero."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator != 0)


def _table(statistics: Array) -> Array:
    table = np.asarray(statistics, dtype=np.float64)
    if table.ndim != 2:
        raise DataError(f"interval: statistics of shape {table.shape}; give a table of questions x statistics")
    return table


def _weights(n: int, width: int, seed: int, resamples: int) -> Iterator[Array]:
    """Random weights of n questions and of the unseen one, with a mean of 1: arrays [chunk, n + 1]."""
    random = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // max(1, n, width))
    for start in range(0, resamples, rows):
        drawn = random.standard_exponential((min(rows, resamples - start), n + 1))
        yield drawn / drawn.mean(axis=1, keepdims=True)


def _all_swaps(deciding: int, resamples: int) -> bool:
    return deciding < 40 and 2**deciding <= resamples


def _swaps(deciding: int, seed: int, resamples: int) -> Iterator[Array]:
    """Which of the deciding questions are swapped: arrays [chunk, deciding] of 0 and 1."""
    if _all_swaps(deciding, resamples):
        yield (np.arange(2**deciding)[:, None] >> np.arange(deciding) & 1).astype(np.float64)
        return
    random = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // max(1, deciding))
    for start in range(0, resamples, rows):
        yield random.integers(2, size=(min(rows, resamples - start), deciding)).astype(np.float64)


def _bounds(low: Array, high: Array) -> tuple[float | None, float | None]:
    if np.isnan(low).any() or np.isnan(high).any():
        return None, None
    return float(np.quantile(low, _TAIL)), float(np.quantile(high, 1 - _TAIL))
