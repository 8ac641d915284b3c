"""The best of two groups: what is shown, that a choice after the fact is paid for, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sqljudge.core.errors import DataError
from sqljudge.metrics.best import compare_best
from sqljudge.metrics.intervals import mcnemar_exact


def hits(right: int, n: int = 40, start: int = 0) -> list[bool]:
    return [start <= place < start + right for place in range(n)]


def test_one_against_one_is_mcnemars_test() -> None:
    first, second = hits(25), hits(12)
    found, known = compare_best({"a": first}, {"b": second}), mcnemar_exact(first, second)
    assert (found.difference, found.low, found.high, found.p_value) == pytest.approx(
        (known.difference, known.low, known.high, known.p_value)
    )
    assert (found.first, found.second, found.n, found.deciding) == ("a", "b", 40, 13)


def test_the_best_of_each_group_is_shown_and_of_equals_the_first() -> None:
    found = compare_best({"a": hits(5), "b": hits(9)}, {"c": hits(3, start=30), "d": hits(3)})
    assert (found.first, found.second, found.difference) == ("b", "c", pytest.approx(6 / 40))


def test_a_win_over_one_is_no_win_over_all() -> None:
    first = {"a": hits(20)}
    alone = compare_best(first, {"b": hits(4)})
    beside = compare_best(first, {"b": hits(4), "c": hits(19)})
    assert alone.low is not None and alone.low > 0
    assert beside.low is not None and beside.low < 0 < (beside.p_value or 0)
    assert beside.p_value == 1.0 or beside.p_value > 0.05


def test_to_be_the_best_of_many_costs() -> None:
    """Seven wins to none are enough for one system (p = 0.016), and not for the best of five."""
    one = compare_best({"a": hits(7)}, {"b": hits(0)})
    many = compare_best({"a": hits(7), **{str(k): hits(0) for k in range(4)}}, {"b": hits(0)})
    assert one.p_value == pytest.approx(2 / 2**7)
    assert many.p_value == pytest.approx(10 / 2**7)
    assert one.low is not None and many.low is not None and many.low <= 0 < one.low
    mirrored = compare_best({"b": hits(0)}, {"a": hits(7), **{str(k): hits(0) for k in range(4)}})
    assert (mirrored.p_value, mirrored.low, mirrored.high) == pytest.approx((many.p_value, -many.high, -many.low))


def test_the_verdict_and_the_interval_agree() -> None:
    random = np.random.default_rng(7)
    decided = 0
    for _ in range(40):
        groups = [{str(k): list(random.random(30) < share) for k in range(3)} for share in random.random(2)]
        found = compare_best(*groups)
        assert found.low is not None and found.high is not None and found.p_value is not None
        assert found.low <= found.difference <= found.high
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)
        decided += found.p_value < 0.05
    assert 4 < decided < 36


@pytest.mark.parametrize(("k", "m"), [(1, 5), (5, 1)])
def test_equal_groups_are_told_apart_in_at_most_one_run_of_twenty(k: int, m: int) -> None:
    """All systems are right with the same probability, so every verdict is a false one. The naive test errs more."""
    random = np.random.default_rng(k * 10 + m)
    wrong = naive = 0
    for _ in range(80):
        right = random.random((k + m, 50)) < 0.5
        groups = (
            {str(i): list(row) for i, row in enumerate(right[:k])},
            {str(i): list(row) for i, row in enumerate(right[k:])},
        )
        found = compare_best(*groups)
        wrong += (found.p_value or 0) < 0.05
        naive += mcnemar_exact(groups[0][found.first], groups[1][found.second]).p_value < 0.05
    assert wrong <= 80 * 0.05
    assert naive > wrong


def test_nothing_to_compare() -> None:
    assert compare_best({"a": []}, {"b": []}).difference is None
    with pytest.raises(DataError, match="at least one in each"):
        compare_best({}, {"b": [True]})
