"""The rules by which results count as equal, by name: the gold query's with a candidate's, or two candidates'.

Knows how texts are prepared and results compared, not how a query is run: that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sqljudge.sql.official.equivalence import results_equal
from sqljudge.sql.official.execution import ExecutionMatch, GoldFailure, Run, execution_match, for_sqlite, prepared

if TYPE_CHECKING:  # the sandbox imports this module
    from sqljudge.sql.sandbox.limits import Row


class MatchRule(Protocol):
    """Whether gold and prediction give equal results on every database file; arguments as of `execution_match`."""

    def __call__(
        self, run: Run, databases: Sequence[str], gold_sql: str, pred_sql: str, *, keep_distinct: bool = False
    ) -> ExecutionMatch: ...


@dataclass(frozen=True)
class Comparison:
    """One rule. `match`: of a prediction with the gold query. `gold`: the gold text as it is run, given whether
    DISTINCT is kept. `equal`: of two candidates' rows. `size`: from a number of rows to what equal results share of it.
    """

    match: MatchRule
    gold: Callable[[str, bool], str]
    equal: Callable[[Sequence[Row], Sequence[Row]], bool]
    size: Callable[[int], int]


def set_match(
    run: Run, databases: Sequence[str], gold_sql: str, pred_sql: str, *, keep_distinct: bool = False
) -> ExecutionMatch:
    """BIRD's rule: both texts are run as written, and the sets of their rows are equal on every database file.

    Neither the order nor the number of equal rows counts; the order of columns does, and every DISTINCT is kept.
    Raises GoldFailure naming the database if the gold query does not execute within the limits.
    """
    for path in databases:
        expected = run(path, gold_sql)
        if expected.outcome != "ok":
            raise GoldFailure(f"{path}: {expected.outcome}: {expected.message}")
        given = run(path, pred_sql)
        if given.outcome != "ok":
            return ExecutionMatch(False, f"{given.outcome}: {given.message}")
        if not same_rows(expected.rows, given.rows):
            return ExecutionMatch(False, "other result")
    return ExecutionMatch(True)


def same_rows(one: Sequence[Row], other: Sequence[Row]) -> bool:
    """Whether two results hold the same rows, each however often; values compare as Python values."""
    return set(one) == set(other)


COMPARISONS: dict[str, Comparison] = {
    "test_suite": Comparison(
        match=execution_match,
        gold=lambda sql, keep_distinct: for_sqlite(prepared(sql, keep_distinct=keep_distinct) or ""),
        equal=partial(results_equal, ordered=False),
        size=lambda rows: rows,
    ),
    "set": Comparison(match=set_match, gold=lambda sql, _: sql, equal=same_rows, size=lambda rows: min(rows, 1)),
}
"""`test_suite`: Spider's official evaluator (its rules, section 7). `set`: BIRD's."""

TEST_SUITE = "test_suite"
