"""Whether two results are the same up to the order of columns and, unless it matters, of rows. Runs no SQL.

The rules are the official evaluator's (section 7). The official program tries column permutations one by one; here
columns are told apart by what stands in them and beside it, so that only columns which nothing tells apart are tried.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from sqljudge.core.errors import ComparisonLimit

if TYPE_CHECKING:  # the sandbox imports this package
    from sqljudge.sql.sandbox.limits import RawCell, Row

WORK_LIMIT = 50_000_000
"""Cells looked at in one comparison before it is given up: some seconds."""

Column: TypeAlias = "tuple[RawCell, ...]"
Marks = Sequence[int]


def results_equal(gold: Sequence[Row], pred: Sequence[Row], *, ordered: bool, work_limit: int = WORK_LIMIT) -> bool:
    """Whether some permutation of the columns makes the two results equal, as lists if `ordered`, else as bags.

    Two empty results are equal whatever their columns. Values compare as Python values: 1 = 1.0, '1' != 1, None = None.
    Raises ComparisonLimit if more than `work_limit` cells had to be looked at.
    """
    if not gold and not pred:
        return True
    if len(gold) != len(pred) or len(gold[0]) != len(pred[0]):
        return False
    if _mixes_numbers(gold, pred) and not _texts_agree(gold, pred, ordered):
        return False
    if ordered:
        return list(gold) == list(pred) or _same_bag(zip(*gold, strict=True), zip(*pred, strict=True))
    if _same_bag(gold, pred):
        return True
    if len(gold[0]) == 1:
        return False
    return _Matching(gold, pred, work_limit).found()


def _mixes_numbers(gold: Sequence[Row], pred: Sequence[Row]) -> bool:
    return float in set(map(type, chain(chain.from_iterable(gold), chain.from_iterable(pred))))


def _texts_agree(gold: Sequence[Row], pred: Sequence[Row], ordered: bool) -> bool:
    """The official program's first test: the same rows when each row is sorted by the *text* of its values.

    All results that are equal pass it, but for one habit: 1 and 1.0 have different texts, so a row in which they sort
    differently among its other values is taken to differ.
    """
    gold_rows, pred_rows = map(_by_text, gold), map(_by_text, pred)
    return list(gold_rows) == list(pred_rows) if ordered else set(gold_rows) == set(pred_rows)


def _by_text(row: Row) -> Row:
    return tuple(sorted(row, key=lambda cell: str(cell) + str(type(cell))))


class _Matching:
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

    def _search(self, gold: Marks, pred: Marks, gold_columns: list[int], pred_columns: list[int]) -> bool:
        """Whether the columns left can be matched, given row marks that are equal as bags."""
        groups = self._groups(gold, pred, gold_columns, pred_columns)
        if groups is None:
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
        self, gold: Marks, pred: Marks, gold_columns: list[int], pred_columns: list[int]
    ) -> list[tuple[list[int], list[int]]] | None:
        """The columns left in groups of equal signature (the bag of marks and values); None if the sides differ."""
        self._spend(2 * len(gold) * len(gold_columns))
        groups: dict[Any, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for column in gold_columns:
            groups[_bag(zip(gold, self._gold[column], strict=True))][0].append(column)
        for column in pred_columns:
            groups[_bag(zip(pred, self._pred[column], strict=True))][1].append(column)
        if any(len(one) != len(other) for one, other in groups.values()):
            return None
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
