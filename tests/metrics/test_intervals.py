"""Intervals and paired tests against closed forms, scipy and all ways to swap."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.metrics.intervals import (
    SHARE,
    bootstrap,
    least_p,
    mcnemar_exact,
    mean_between,
    paired_test,
    ratio,
    share_interval,
)


def of_ones(hits: np.ndarray) -> np.ndarray:
    """A proportion's statistics: (hit, 1) a question."""
    return np.column_stack([hits, np.ones(len(hits))])


@pytest.mark.parametrize(("n", "hits"), [(3, 0), (3, 3), (12, 5), (60, 1), (400, 200), (400, 400)])
def test_a_share_has_clopper_and_pearsons_interval(n: int, hits: int) -> None:
    exact = scipy.stats.binomtest(hits, n).proportion_ci(method="exact")
    assert share_interval(hits, n) == pytest.approx((exact.low, exact.high))
    drawn = bootstrap(of_ones(np.arange(n) < hits), ratio, SHARE, seed=1, resamples=20_000)
    assert (drawn.value, drawn.n) == (hits / n, n)
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=0.01)


@pytest.mark.parametrize(("won", "lost", "equal"), [(0, 0, 3), (3, 0, 0), (5, 0, 6), (1, 2, 57), (30, 12, 358)])
def test_the_interval_of_a_paired_difference_of_shares_is_the_drawn_one(won: int, lost: int, equal: int) -> None:
    first = [True] * won + [False] * lost + [True] * equal
    second = [False] * won + [True] * lost + [True] * equal
    exact = mcnemar_exact(first, second)
    drawn = paired_test(of_ones(np.array(first)), of_ones(np.array(second)), ratio, SHARE, seed=3, resamples=20_000)
    assert (exact.low, exact.high) == pytest.approx((drawn.low, drawn.high), abs=0.01)
    assert exact.p_value == pytest.approx(drawn.p_value, abs=0.01)


@pytest.mark.parametrize(("deciding", "least"), [(0, 1.0), (1, 1.0), (5, 0.0625), (6, 0.03125), (12, 2 / 2**12)])
def test_the_swap_test_tries_all_ways_and_few_questions_give_no_small_p(deciding: int, least: float) -> None:
    first, second = np.ones(12), np.ones(12)
    second[:deciding] = 0.5
    assert paired_test(of_ones(first), of_ones(second), ratio, SHARE, seed=1).p_value == pytest.approx(least)
    assert least_p(deciding) == pytest.approx(least)


def test_the_swap_test_is_the_one_that_scipy_gives() -> None:
    random = np.random.default_rng(8)
    first, second = random.random(11), random.random(11) + 0.15
    ours = paired_test(of_ones(first), of_ones(second), ratio, SHARE, seed=1)
    theirs = scipy.stats.permutation_test(
        (first, second), lambda a, b: np.mean(a) - np.mean(b), permutation_type="samples", n_resamples=np.inf
    )
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_a_ratio_of_sums_has_the_interval_that_scipy_gives() -> None:
    random = np.random.default_rng(3)
    pairs = random.integers(0, 5, size=300).astype(float)
    won = random.binomial(pairs.astype(int), 0.6).astype(float)
    ours = bootstrap(np.column_stack([won, pairs]), ratio, SHARE, seed=5)
    theirs = scipy.stats.bootstrap(
        (won, pairs),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=10_000,
        method="percentile",
        random_state=7,
    ).confidence_interval
    assert ours.value == pytest.approx(won.sum() / pairs.sum())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_a_paired_difference_has_the_interval_that_scipy_gives() -> None:
    random = np.random.default_rng(4)
    first = random.random(200)
    second = first * 0.8 + random.random(200) * 0.2
    ours = paired_test(of_ones(first), of_ones(second), ratio, SHARE, seed=5)
    theirs = scipy.stats.bootstrap(
        (first - second,), np.mean, n_resamples=10_000, method="percentile", random_state=7
    ).confidence_interval
    assert ours.difference == pytest.approx((first - second).mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)
    assert (ours.n, ours.deciding) == (200, 200)


def test_the_paired_p_value_follows_the_normal_one() -> None:
    random = np.random.default_rng(11)
    second = random.random(500)
    difference = random.normal(0, 0.1, 500)
    difference += 0.01 - difference.mean()
    ours = paired_test(of_ones(second + difference), of_ones(second), ratio, SHARE, seed=2)
    theirs = scipy.stats.ttest_1samp(difference, 0).pvalue
    assert 0.005 < theirs < 0.2
    assert ours.p_value == pytest.approx(theirs, rel=0.3)


def test_resamples_are_seeded_and_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    table = of_ones(np.arange(90) % 3 == 0)
    whole = bootstrap(table, ratio, SHARE, seed=1, resamples=500)
    assert bootstrap(table, ratio, SHARE, seed=1, resamples=500) == whole
    assert bootstrap(table, ratio, SHARE, seed=2, resamples=500) != whole
    monkeypatch.setattr("sqljudge.metrics.intervals._DRAWS_AT_ONCE", 700)
    chunks = bootstrap(table, ratio, SHARE, seed=1, resamples=500)
    assert (chunks.low, chunks.high) == pytest.approx((whole.low, whole.high), abs=1e-12)


def test_a_metric_that_rests_on_nothing_has_no_value() -> None:
    empty = np.zeros((5, 2))
    assert bootstrap(empty, ratio, SHARE, seed=1).value is None
    assert bootstrap(np.zeros((0, 2)), ratio, SHARE, seed=1).value is None
    test = paired_test(empty, empty, ratio, SHARE, seed=1)
    assert (test.difference, test.low, test.high, test.p_value, test.n, test.deciding) == (None,) * 4 + (5, 0)


@pytest.mark.parametrize("ends", [None, SHARE])
def test_where_no_interval_can_be_had_there_is_none(ends: object) -> None:
    """Without ends, and where some weights leave the metric with nothing to rest on."""
    table = of_ones(np.arange(40) % 3 - 0.9)
    metric = ratio if ends is None else lambda sums: np.where(sums[..., 0] > 0, 1.0, np.nan)
    found = bootstrap(table, metric, ends, seed=1)  # type: ignore[arg-type]
    assert found.value is not None
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize("n", [1, 3, 50])
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_no_interval_is_a_point(n: int, level: float) -> None:
    one = bootstrap(of_ones(np.full(n, level)), ratio, SHARE, seed=1)
    both = paired_test(of_ones(np.full(n, level)), of_ones(np.full(n, level)), ratio, SHARE, seed=1)
    assert one.low is not None and one.high is not None and one.high - one.low > 0.9 / n
    assert both.low is not None and both.high is not None and both.low < 0 < both.high
    assert (both.difference, both.p_value, both.deciding) == (0.0, 1.0, 0)
    wide = bootstrap(of_ones(np.full(n, level)), ratio, mean_between(0, 9), seed=1)
    assert wide.high is not None and wide.high > one.high


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match="differ"):
        paired_test(np.zeros((3, 2)), np.zeros((4, 2)), ratio, SHARE, seed=1)
    with pytest.raises(DataError, match="questions x statistics"):
        bootstrap(np.zeros(3), ratio, SHARE, seed=1)
    with pytest.raises(DataError, match="3 and 4 questions"):
        mcnemar_exact([True] * 3, [True] * 4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_mcnemar_is_the_exact_binomial_of_the_deciding_questions(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    test = mcnemar_exact(first, second)
    won, lost = sum(a > b for a, b in pairs), sum(b > a for a, b in pairs)
    assert (test.n, test.deciding) == (len(pairs), won + lost)
    if not pairs:
        assert test.p_value is None
        return
    assert test.difference == pytest.approx(sum(first) / len(pairs) - sum(second) / len(pairs))
    tail = scipy.stats.binom.cdf(min(won, lost), won + lost, 0.5)
    assert test.p_value == pytest.approx(min(1.0, 2 * tail))
    assert test.low is not None and test.high is not None and test.p_value is not None
    assert test.low <= test.difference + 1e-12 and test.difference <= test.high + 1e-12
    assert (test.low > 0 or test.high < 0) == (test.p_value < 0.05)
    swapped = mcnemar_exact(second, first)
    assert swapped.p_value == pytest.approx(test.p_value)
    assert swapped.low == pytest.approx(-test.high)
