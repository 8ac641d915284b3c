"""Comparing results: against brute force, in time, and never wrong by giving up."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest
from clock import linear
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import ComparisonLimit
from sqljudge.sql.official.execution import results_equal
from sqljudge.sql.sandbox import Row


def brute_force(gold: list[Row], pred: list[Row], ordered: bool) -> bool:
    if not gold and not pred:
        return True
    if len(gold) != len(pred) or len(gold[0]) != len(pred[0]):
        return False
    for order in permutations(range(len(gold[0]))):
        moved = [tuple(row[i] for i in order) for row in pred]
        if moved == gold if ordered else Counter(moved) == Counter(gold):
            return True
    return False


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Two small tables over few values; the second is often the first with columns, rows or one cell changed."""
    width = draw(st.integers(1, 5))
    cell = st.sampled_from([0, 1, None, "1", b"1"])
    table = st.lists(st.tuples(*[cell] * width), max_size=6)
    gold = draw(table)
    if draw(st.integers(0, 4)) == 0:
        return gold, draw(table)
    order = draw(st.permutations(range(width)))
    pred = [tuple(row[i] for i in order) for row in draw(st.permutations(gold))]
    if pred and draw(st.booleans()):
        at, column = draw(st.integers(0, len(pred) - 1)), draw(st.integers(0, width - 1))
        pred[at] = (*pred[at][:column], draw(cell), *pred[at][column + 1 :])
    return gold, pred


@given(pairs(), st.booleans())
def test_agrees_with_brute_force(pair: tuple[list[Row], list[Row]], ordered: bool) -> None:
    gold, pred = pair
    assert results_equal(gold, pred, ordered=ordered) == brute_force(gold, pred, ordered)


@pytest.mark.parametrize(
    ("gold", "pred", "ordered", "equal"),
    [
        ([], [], True, True),
        ([], [(1,)], False, False),
        ([(1,)], [(1, 1)], False, False),
        ([(1,)], [(1.0,)], False, True),
        ([(1,)], [("1",)], False, False),
        ([(None,)], [(None,)], False, True),
        ([("a",)], [(b"a",)], False, False),
        ([(1,), (2,)], [(2,), (1,)], False, True),
        ([(1,), (2,)], [(2,), (1,)], True, False),
        ([(1, "a"), (2, "b")], [("a", 1), ("b", 2)], True, True),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, False),
        # columns that are equal one by one, but not side by side
        ([(0, 0), (1, 1)], [(0, 1), (1, 0)], False, False),
        ([(0, 0, 0), (1, 1, 0), (0, 1, 1)], [(0, 0, 0), (1, 0, 1), (0, 1, 1)], False, True),
        # the official program sorts a row's values by their text: 15, 1 but 1.0, 15.0
        ([(1, 15)], [(1.0, 15.0)], False, False),
        ([(1, 25.5)], [(1.0, 25.5)], False, True),
        ([(2, 15)], [(2.0, 15.0)], False, True),
    ],
)
def test_rules(gold: list[Row], pred: list[Row], ordered: bool, equal: bool) -> None:
    assert results_equal(gold, pred, ordered=ordered) is equal


def _shuffled(rows: list[Row], seed: int) -> list[Row]:
    chance = random.Random(seed)
    order = chance.sample(range(len(rows[0])), len(rows[0]))
    return [tuple(row[i] for i in order) for row in chance.sample(rows, len(rows))]


def _equal_values(rows: int, columns: int, values: int) -> list[Row]:
    """Every column holds the same bag of values, each in an order of its own."""
    chance = random.Random(7)
    column = [i % values for i in range(rows)]
    return list(zip(*(chance.sample(column, rows) for _ in range(columns)), strict=True))


@pytest.mark.parametrize("values", [1, 2, 3, 100, 10_000])
@pytest.mark.parametrize("equal", [True, False])
def test_twelve_columns_of_equal_values_in_ten_thousand_rows(values: int, equal: bool) -> None:
    gold = _equal_values(10_000, 12, values)
    pred = _shuffled(gold, 3)
    if not equal:
        pred[5], pred[7] = ("x", *pred[5][1:]), (*pred[7][:-1], "x")
    with linear():
        assert results_equal(gold, pred, ordered=False) is equal


def test_columns_that_only_the_whole_tells_apart() -> None:
    """Rows are the edges of two graphs with equal degrees: a ring of eight, and two rings of four."""

    def edges(rings: list[list[int]]) -> list[Row]:
        pairs = [(ring[i], ring[(i + 1) % len(ring)]) for ring in rings for i in range(len(ring))]
        return [tuple(int(i in pair) for i in range(8)) for pair in pairs]

    one, two = edges([list(range(8))]), edges([[0, 1, 2, 3], [4, 5, 6, 7]])
    assert results_equal(one, _shuffled(one, 1), ordered=False)
    assert not results_equal(one, two, ordered=False)


def test_a_hostile_case_ends_by_the_limit_and_says_so() -> None:
    gold = _equal_values(1000, 12, 2)
    with pytest.raises(ComparisonLimit, match="tells apart"):
        results_equal(gold, _shuffled(gold, 5), ordered=False, work_limit=10_000)
