"""The metrics of Think2SQL on hand-worked results."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.cli.think2sql import NOT_EXECUTABLE, Think2Sql, mean_think2sql, think2sql
from sqljudge.sql.sandbox import Row


@pytest.mark.parametrize(
    ("gold", "pred", "expected"),
    [
        ([], [], (1, 1, 1, 1, 1, 1)),
        ([], [(1,)], (0, 0, 0, 0, 0, 0.1)),
        ([(1,)], [], (0, 0, 0, 0, 0, 0.1)),
        ([(1, "a")], [("a", 1)], (1, 1, 1, 1, 1, 1)),
        ([(1, "a"), (2, "b")], [("b", 2), (1, "a")], (1, 1, 1, 1, 1, 1)),
        ([(1,), (1,)], [(1,)], (0, 1, 1, 1 / 2, 5 / 6, 5 / 6)),
        ([(1, 2), (3, 4)], [(1, 4), (3, 2)], (0, 1, 1, 1, 1, 1)),
        ([(1, 1, 2)], [(1, 2, 2)], (0, 1, 1, 1, 1, 1)),
        ([(1,), (2,), (3,), (4,)], [(1,), (2,), (9,)], (0, 2 / 3, 1 / 2, 3 / 4, 23 / 36, 23 / 36)),
        ([(1,)] * 20, [(2,)], (0, 0, 0, 1 / 20, 1 / 60, 0.1)),
        ([(1,)], [(1.0,)], (1, 1, 1, 1, 1, 1)),
        ([(1,)], [("1",)], (0, 0, 0, 1, 1 / 3, 1 / 3)),
        ([(None,)], [(None,)], (1, 1, 1, 1, 1, 1)),
        ([(b"a",)], [("a",)], (0, 0, 0, 1, 1 / 3, 1 / 3)),
        ([(0.1 + 0.2, "x")], [("x", 0.3)], (1, 1, 1, 1, 1, 1)),
        ([(1.0,)], [(1.0000005,)], (1, 1, 1, 1, 1, 1)),
        ([(1.0,)], [(1.00001,)], (0, 0, 0, 1, 1 / 3, 1 / 3)),
        ([(float("inf"),)], [(1e308,)], (0, 0, 0, 1, 1 / 3, 1 / 3)),
        ([(2**62,)], [(2**62 + 1,)], (0, 0, 0, 1, 1 / 3, 1 / 3)),
        ([(0.5, 2), (0.5, 3)], [(2, 0.5000001), (3, 0.4999999)], (1, 1, 1, 1, 1, 1)),
    ],
)
def test_hand_worked(gold: list[Row], pred: list[Row], expected: tuple[float, ...]) -> None:
    assert think2sql(gold, pred) == Think2Sql(*(pytest.approx(value) for value in expected))  # type: ignore[arg-type]


def test_what_does_not_execute_scores_nothing() -> None:
    assert think2sql([], None) == think2sql([(1,)], None) == NOT_EXECUTABLE


def test_mean() -> None:
    means = mean_think2sql([think2sql([(1,)], [(1,)]), NOT_EXECUTABLE])
    assert means == dict.fromkeys(
        ("refined_ex", "cell_precision", "cell_recall", "tuple_cardinality", "qa", "reward"), 0.5
    )


_CELL = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from(["a", "b", "1"]), st.floats(-1, 1))
_ROWS = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[_CELL] * width), max_size=5))


@given(_ROWS, st.integers(0, 99))
def test_order_of_rows_and_columns_never_matters(rows: list[Row], seed: int) -> None:
    chance = random.Random(seed)
    moved = [tuple(chance.sample(row, len(row))) for row in chance.sample(rows, len(rows))]
    assert think2sql(rows, moved) == Think2Sql(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@given(_ROWS, _ROWS)
def test_bounds_and_symmetry(gold: list[Row], pred: list[Row]) -> None:
    one, other = think2sql(gold, pred), think2sql(pred, gold)
    assert all(0 <= value <= 1 for value in vars(one).values())
    assert (one.cell_precision, one.cell_recall) == (other.cell_recall, other.cell_precision)
    assert (one.refined_ex, one.tuple_cardinality) == (other.refined_ex, other.tuple_cardinality)
    assert one.reward >= 0.1
