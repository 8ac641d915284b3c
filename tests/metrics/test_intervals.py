"""Bootstrap and paired tests against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.metrics.intervals import bootstrap, mcnemar_exact, paired_bootstrap, ratio


def of_ones(hits: np.ndarray) -> np.ndarray:
    """A proportion's statistics: (hit, 1) a question."""
    return np.column_stack([hits, np.ones(len(hits))])


@pytest.mark.parametrize(("n", "share"), [(400, 0.5), (400, 0.1), (1000, 0.75)])
def test_a_proportion_has_the_interval_of_the_closed_forms(n: int, share: float) -> None:
    hits = np.arange(n) < share * n
    interval = bootstrap(of_ones(hits), ratio, seed=1)
    assert (interval.value, interval.n) == (share, n)
    half = 1.96 * np.sqrt(share * (1 - share) / n)
    assert (interval.low, interval.high) == pytest.approx((share - half, share + half), abs=0.15 * half)
    wilson = scipy.stats.binomtest(int(hits.sum()), n).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((wilson.low, wilson.high), abs=0.15 * half)


def test_a_ratio_of_sums_has_the_interval_that_scipy_gives() -> None:
    random = np.random.default_rng(3)
    pairs = random.integers(0, 5, size=300).astype(float)
    won = random.binomial(pairs.astype(int), 0.6).astype(float)
    ours = bootstrap(np.column_stack([won, pairs]), ratio, seed=5)
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
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_a_paired_difference_has_the_interval_that_scipy_gives() -> None:
    random = np.random.default_rng(4)
    first = random.random(200)
    second = first * 0.8 + random.random(200) * 0.2
    ours = paired_bootstrap(of_ones(first), of_ones(second), ratio, seed=5)
    theirs = scipy.stats.bootstrap(
        (first - second,), np.mean, n_resamples=10_000, method="percentile", random_state=7
    ).confidence_interval
    assert ours.difference == pytest.approx((first - second).mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)
    assert (ours.n, ours.deciding) == (200, 200)


def test_the_paired_p_value_follows_the_normal_one() -> None:
    random = np.random.default_rng(11)
    second = random.random(500)
    difference = random.normal(0, 0.1, 500)
    difference += 0.01 - difference.mean()
    ours = paired_bootstrap(of_ones(second + difference), of_ones(second), ratio, seed=2)
    theirs = scipy.stats.ttest_1samp(difference, 0).pvalue
    assert 0.005 < theirs < 0.2
    assert ours.p_value == pytest.approx(theirs, rel=0.3)


def test_resamples_are_seeded_and_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    table = of_ones(np.arange(90) % 3 == 0)
    whole = bootstrap(table, ratio, seed=1, resamples=500)
    assert bootstrap(table, ratio, seed=1, resamples=500) == whole
    assert bootstrap(table, ratio, seed=2, resamples=500) != whole
    monkeypatch.setattr("sqljudge.metrics.intervals._DRAWS_AT_ONCE", 700)
    assert bootstrap(table, ratio, seed=1, resamples=500) == whole


def test_a_metric_that_rests_on_nothing_has_no_value() -> None:
    empty = np.zeros((5, 2))
    assert bootstrap(empty, ratio, seed=1).value is None
    assert bootstrap(np.zeros((0, 2)), ratio, seed=1).value is None
    test = paired_bootstrap(empty, empty, ratio, seed=1)
    assert (test.difference, test.low, test.high, test.p_value, test.n, test.deciding) == (None,) * 4 + (5, 0)


def test_a_resample_that_rests_on_nothing_is_left_out() -> None:
    interval = bootstrap(np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]), ratio, seed=1)
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_equal_runs_do_not_differ() -> None:
    table = of_ones(np.arange(50) % 2)
    test = paired_bootstrap(table, table, ratio, seed=1)
    assert (test.difference, test.low, test.high, test.p_value, test.deciding) == (0.0, 0.0, 0.0, 1.0, 0)


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match="differ"):
        paired_bootstrap(np.zeros((3, 2)), np.zeros((4, 2)), ratio, seed=1)
    with pytest.raises(DataError, match="questions x statistics"):
        bootstrap(np.zeros(3), ratio, seed=1)
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
