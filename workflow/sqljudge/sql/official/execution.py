"""Whether a prediction executes as the gold query does: by the official rule (evaluator rules, section 7) or BIRD's.

Knows how the two texts are prepared and how their results are compared, not how a query is run: that is handed in.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlparse.engine import FilterStack

from sqljudge.core.errors import ComparisonLimit
from sqljudge.sql.official.matching import as_official

if TYPE_CHECKING:
    from sqljudge.sql.sandbox.engine import QueryResult, Row

WORK_LIMIT = 50_000_000
"""Cells looked at in one comparison before it is given up: some seconds."""

_NOT_PLAIN = re.compile(r"distinct|;|\bgo\b", re.IGNORECASE)
_THIS_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)

Run = Callable[[str, str], "QueryResult"]
"""Runs a query (second) on a database file (first)."""

Equal = Callable[[Sequence["Row"], Sequence["Row"]], bool]
"""Whether two results are equal."""


class GoldFailure(Exception):  # noqa: N818
    """The gold query does not run to its end on some database: nothing can be said of a prediction."""


@dataclass(frozen=True)
class ExecutionMatch:
    """`correct`: None where the results could not be compared within the limit. `reason`: why it is not true."""

    correct: bool | None
    reason: str = ""


# --- the two rules ----------------------------------------------------------------------------------------------------


def execution_match(
    run: Run, databases: Sequence[str], gold_sql: str, pred_sql: str, keep_distinct: bool = False
) -> ExecutionMatch:
    """Whether gold and prediction give equal results on every database file, by the official rule.

    Rows count in order where the prepared gold text holds `order by` anywhere. Raises GoldFailure naming the database
    if the gold query does not execute within the limits.
    """
    gold = prepare(gold_sql, keep_distinct) or ""
    try:
        pred = prepare(as_official(pred_sql), keep_distinct)
    except Exception as error:  # sqlparse on what is no SQL: by the rules, such a prediction is wrong
        return ExecutionMatch(False, f"cannot be tokenized: {error}")
    if pred is None:
        return ExecutionMatch(False, "empty query")
    return _match(run, databases, gold, pred, partial(results_equal, ordered="order by" in gold.lower()))


def set_match(
    run: Run, databases: Sequence[str], gold_sql: str, pred_sql: str, keep_distinct: bool = False
) -> ExecutionMatch:
    """BIRD's rule: both texts are run as written, and the sets of their rows are equal on every database file.

    Neither the order nor the number of equal rows counts; the order of columns does, and every DISTINCT is kept,
    whatever `keep_distinct` says. Raises GoldFailure as `execution_match`.
    """
    return _match(run, databases, gold_sql, pred_sql, same_rows)


def _match(run: Run, databases: Sequence[str], gold: str, pred: str, equal: Equal) -> ExecutionMatch:
    for path in databases:
        expected = run(path, gold)
        if expected.outcome != "ok":
            raise GoldFailure(f"{path}: {expected.outcome}: {expected.message}")
        given = run(path, pred)
        if given.outcome != "ok":
            return ExecutionMatch(False, f"{given.outcome}: {given.message}")
        try:
            if not equal(expected.rows, given.rows):
                return ExecutionMatch(False, "other result")
        except ComparisonLimit as error:
            return ExecutionMatch(None, f"results not compared: {error}")
    return ExecutionMatch(True)


def prepare(sql: str, keep_distinct: bool = False) -> str | None:
    """The text as the official rule executes it; None if there is no statement in it.

    Two-character comparisons are joined, MySQL's YEAR(CURDATE()), which some gold queries hold, is 2020, and, unless
    kept, every `distinct` is removed. Only the first statement is kept then, since that is what the removal by sqlparse
    leaves.
    """
    for operator in ("> =", "< =", "! ="):
        sql = sql.replace(operator, operator.replace(" ", ""))
    if not keep_distinct and _NOT_PLAIN.search(sql):
        statement = next(FilterStack().run(sql), None)  # type: ignore[no-untyped-call]
        if statement is None:
            return None
        sql = "".join(token.value for token in statement.flatten() if token.value.lower() != "distinct")
    elif not sql:
        return None
    return _THIS_YEAR.sub("2020", sql)


# --- equal results ----------------------------------------------------------------------------------------------------


def same_rows(one: Sequence[Row], other: Sequence[Row]) -> bool:
    """Whether two results hold the same rows, each however often; values compare as Python values."""
    return set(one) == set(other)


def results_equal(gold: Sequence[Row], pred: Sequence[Row], *, ordered: bool, work_limit: int = WORK_LIMIT) -> bool:
    """Whether some permutation of the columns makes the two results equal, as lists if `ordered`, else as bags.

    Two empty results are equal whatever their columns. Values compare as Python values: 1 = 1.0, '1' != 1, None = None.
    The official program tries column permutations one by one; here columns are told apart by what stands in them and
    beside it, so that only columns which nothing tells apart are tried.
    Raises ComparisonLimit if more than `work_limit` cells had to be looked at.
    """
    if not gold and not pred:
        return True
    if len(gold) != len(pred) or len(gold[0]) != len(pred[0]):
        return False
    if float in set(map(type, chain.from_iterable(chain(gold, pred)))) and not _texts_agree(gold, pred, ordered):
        return False
    if ordered:
        return list(gold) == list(pred) or _same_bag(zip(*gold, strict=True), zip(*pred, strict=True))
    if _same_bag(gold, pred):
        return True
    return len(gold[0]) > 1 and _ColumnSearch(gold, pred, work_limit).found()


def _texts_agree(gold: Sequence[Row], pred: Sequence[Row], ordered: bool) -> bool:
    """The official program's first test: the same rows when each row is sorted by the *text* of its values.

    All results that are equal pass it, but for one habit: 1 and 1.0 have different texts, so a row in which they sort
    differently among its other values is taken to differ.
    """
    gold_rows, pred_rows = (
        [tuple(sorted(row, key=lambda cell: str(cell) + str(type(cell)))) for row in rows] for rows in (gold, pred)
    )
    return gold_rows == pred_rows if ordered else set(gold_rows) == set(pred_rows)


class _ColumnSearch:
    """The search for a column permutation that makes two bags of rows equal.

    Columns are assigned one after the other. `marks` number the rows by what stands in the columns assigned so far, so
    that rows with equal marks are those that nothing has told apart yet.
    """

    def __init__(self, gold: Sequence[Row], pred: Sequence[Row], work_limit: int) -> None:
        self._left = work_limit
        numbers: dict[Hashable, int] = {}
        self._gold = [_numbered(column, numbers) for column in zip(*gold, strict=True)]
        self._pred = [_numbered(column, numbers) for column in zip(*pred, strict=True)]
        self._kinds = _numbered(self._pred, {})

    def found(self) -> bool:
        row_marks: dict[Hashable, int] = {}
        gold = _numbered((_bag(row) for row in zip(*self._gold, strict=True)), row_marks)
        pred = _numbered((_bag(row) for row in zip(*self._pred, strict=True)), row_marks)
        columns = list(range(len(self._gold)))
        return _same_bag(gold, pred) and self._search(gold, pred, columns, columns)

    def _search(
        self, gold: Sequence[int], pred: Sequence[int], gold_columns: list[int], pred_columns: list[int]
    ) -> bool:
        """Whether the columns left can be matched, given row marks that are equal as bags."""
        groups = self._groups(gold, pred, gold_columns, pred_columns)
        if any(len(one) != len(other) for one, other in groups):
            return False
        if not gold_columns or len(set(gold)) == len(gold):
            return True  # the marks tell every row from every other, so equal signatures are equal columns
        gold_group, pred_group = min(groups, key=lambda pair: len({self._kinds[column] for column in pair[1]}))
        column = gold_group[0]
        gold_rest = [other for other in gold_columns if other != column]
        for twin in {self._kinds[other]: other for other in reversed(pred_group)}.values():
            numbers: dict[Hashable, int] = {}
            self._spend(2 * len(gold))
            gold_marks = _numbered(zip(gold, self._gold[column], strict=True), numbers)
            pred_marks = _numbered(zip(pred, self._pred[twin], strict=True), numbers)
            pred_rest = [other for other in pred_columns if other != twin]
            if _same_bag(gold_marks, pred_marks) and self._search(gold_marks, pred_marks, gold_rest, pred_rest):
                return True
        return False

    def _groups(
        self, gold: Sequence[int], pred: Sequence[int], gold_columns: list[int], pred_columns: list[int]
    ) -> list[tuple[list[int], list[int]]]:
        """The columns left of both sides in groups of equal signature, which is the bag of marks and values."""
        self._spend(2 * len(gold) * len(gold_columns))
        groups: dict[Any, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for column in gold_columns:
            groups[_bag(zip(gold, self._gold[column], strict=True))][0].append(column)
        for column in pred_columns:
            groups[_bag(zip(pred, self._pred[column], strict=True))][1].append(column)
        return list(groups.values())

    def _spend(self, cells: int) -> None:
        self._left -= cells
        if self._left < 0:
            raise ComparisonLimit("too many columns that nothing tells apart")


def _same_bag(one: Iterable[Hashable], other: Iterable[Hashable]) -> bool:
    return dict(Counter(one)) == dict(Counter(other))


def _bag(values: Iterable[Hashable]) -> frozenset[tuple[Hashable, int]]:
    return frozenset(Counter(values).items())


def _numbered(values: Iterable[Hashable], numbers: dict[Hashable, int]) -> tuple[int, ...]:
    """Equal values by equal numbers; `numbers` grows."""
    return tuple(numbers.setdefault(value, len(numbers)) for value in values)


# --- the rules by name ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """One rule. `match`: of a prediction with the gold query. `gold`: the gold text as it is run, given whether
    DISTINCT is kept. `equal`: of two candidates' rows. `size`: from a number of rows to what equal results share of it.
    """

    match: Callable[[Run, Sequence[str], str, str, bool], ExecutionMatch]
    gold: Callable[[str, bool], str]
    equal: Equal
    size: Callable[[int], int]


TEST_SUITE = "test_suite"
COMPARISONS: dict[str, Comparison] = {
    TEST_SUITE: Comparison(
        match=execution_match,
        gold=lambda sql, keep_distinct: prepare(sql, keep_distinct) or "",
        equal=partial(results_equal, ordered=False),
        size=lambda rows: rows,
    ),
    "set": Comparison(match=set_match, gold=lambda sql, _: sql, equal=same_rows, size=lambda rows: min(rows, 1)),
}
"""`test_suite`: Spider's official evaluator. `set`: BIRD's."""
