"""The official execution match of a prediction with the gold query (evaluator rules, section 7).

Knows how the two texts are prepared and how their results are judged, not how a query is run: that is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sqlparse.engine import FilterStack

from sqljudge.core.errors import ComparisonLimit
from sqljudge.sql.official.equivalence import results_equal
from sqljudge.sql.official.matching import as_official

if TYPE_CHECKING:  # the sandbox imports this module
    from sqljudge.sql.sandbox.limits import QueryResult

Run: TypeAlias = "Callable[[str, str], QueryResult]"
"""Runs a query (second) on a database file (first)."""

_NOT_PLAIN = re.compile(r"distinct|;|\bgo\b", re.IGNORECASE)
_THIS_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


class GoldFailure(Exception):  # noqa: N818
    """The gold query does not run to its end on some database: nothing can be said of a prediction."""


@dataclass(frozen=True)
class ExecutionMatch:
    """`correct`: None where the results could not be compared within the limit. `reason`: why it is not true."""

    correct: bool | None
    reason: str = ""


def execution_match(
    run: Run, databases: Sequence[str], gold_sql: str, pred_sql: str, *, keep_distinct: bool = False
) -> ExecutionMatch:
    """Whether gold and prediction give equal results on every database file.

    Rows count in order where the prepared gold text holds `order by` anywhere. Raises GoldFailure naming the database
    if the gold query does not execute within the limits.
    """
    gold = prepared(gold_sql, keep_distinct=keep_distinct)
    try:
        pred = prepared(as_official(pred_sql), keep_distinct=keep_distinct)
    except Exception as error:  # sqlparse on what is no SQL: by the rules, such a prediction is wrong
        return ExecutionMatch(False, f"cannot be tokenized: {error}")
    if pred is None:
        return ExecutionMatch(False, "empty query")
    ordered = gold is not None and "order by" in gold.lower()
    for path in databases:
        expected = run(path, for_sqlite(gold or ""))
        if expected.outcome != "ok":
            raise GoldFailure(f"{path}: {expected.outcome}: {expected.message}")
        given = run(path, for_sqlite(pred))
        if given.outcome != "ok":
            return ExecutionMatch(False, f"{given.outcome}: {given.message}")
        try:
            if not results_equal(expected.rows, given.rows, ordered=ordered):
                return ExecutionMatch(False, "other result")
        except ComparisonLimit as error:
            return ExecutionMatch(None, f"results not compared: {error}")
    return ExecutionMatch(True)


def prepared(sql: str, *, keep_distinct: bool = False) -> str | None:
    """The text as it is executed: two-character comparisons joined and, unless kept, every `distinct` removed.

    Only the first statement is kept then, since that is what the removal by sqlparse leaves. None if there is none.
    """
    for operator in ("> =", "< =", "! ="):
        sql = sql.replace(operator, operator.replace(" ", ""))
    if keep_distinct or not _NOT_PLAIN.search(sql):
        return sql or None
    statement = next(FilterStack().run(sql), None)  # type: ignore[no-untyped-call]
    if statement is None:
        return None
    return "".join(token.value for token in statement.flatten() if token.value.lower() != "distinct")


def for_sqlite(sql: str) -> str:
    """MySQL's YEAR(CURDATE()), which some gold queries hold, is 2020."""
    return _THIS_YEAR.sub("2020", sql)
