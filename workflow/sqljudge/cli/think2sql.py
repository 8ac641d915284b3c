"""The execution metrics of Think2SQL (arXiv 2504.15077). These are not the official evaluator's. Runs no SQL.

Values compare as Python values (1 = 1.0, '1' != 1, None = None), and numbers with a tolerance of 1e-6: of both results
together, numbers that a chain of steps of at most the tolerance connects are taken as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import chain

from sqljudge.sql.sandbox import RawCell, Row

TOLERANCE = 1e-6
FLOOR_REWARD = 0.1


@dataclass(frozen=True)
class Think2Sql:
    """All in 0..1. `reward` is the gated one: 0 not executable, 0.1 executable but QA at most 0.1, else QA."""

    refined_ex: float
    cell_precision: float
    cell_recall: float
    tuple_cardinality: float
    qa: float
    reward: float


NOT_EXECUTABLE = Think2Sql(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def think2sql(gold: Sequence[Row], pred: Sequence[Row] | None) -> Think2Sql:
    """The metrics of one prediction; `pred` is None if it does not execute."""
    if pred is None:
        return NOT_EXECUTABLE
    names = _merged_numbers(chain(chain.from_iterable(gold), chain.from_iterable(pred)))
    precision, recall = _shared_cells(_cells(gold, names), _cells(pred, names))
    longest = max(len(gold), len(pred))
    cardinality = min(len(gold), len(pred)) / longest if longest else 1.0
    qa = (precision + recall + cardinality) / 3
    reward = qa if qa > FLOOR_REWARD else FLOOR_REWARD
    return Think2Sql(float(_bags(gold, names) == _bags(pred, names)), precision, recall, cardinality, qa, reward)


def mean_think2sql(scores: Sequence[Think2Sql]) -> dict[str, float]:
    """Each metric's mean over predictions; there must be some."""
    totals = [sum(column) for column in zip(*map(astuple, scores), strict=True)]
    return {field.name: total / len(scores) for field, total in zip(fields(Think2Sql), totals, strict=True)}


def _shared_cells(gold: set[RawCell], pred: set[RawCell]) -> tuple[float, float]:
    """Distinct values in both over those of the prediction, and over those of the gold."""
    if not gold and not pred:
        return 1.0, 1.0
    if not gold or not pred:
        return 0.0, 0.0
    shared = len(gold & pred)
    return shared / len(pred), shared / len(gold)


def _cells(rows: Sequence[Row], names: Mapping[RawCell, RawCell]) -> set[RawCell]:
    return {names.get(cell, cell) for cell in set(chain.from_iterable(rows))}


def _bags(rows: Sequence[Row], names: Mapping[RawCell, RawCell]) -> dict[frozenset[tuple[RawCell, int]], int]:
    """The rows as a bag, each row as a bag of values."""
    return dict(Counter(frozenset(Counter(names.get(cell, cell) for cell in row).items()) for row in rows))


def _merged_numbers(cells: Iterable[RawCell]) -> dict[RawCell, RawCell]:
    """Each number that is not alone within the tolerance -> the smallest of those that it is one with."""
    numbers = sorted({cell for cell in cells if isinstance(cell, (int, float))})
    names: dict[RawCell, RawCell] = {}
    first = previous = None
    for number in numbers:
        if first is not None and previous is not None and number - previous <= TOLERANCE:
            names[number] = first
        else:
            first = number
        previous = number
    return names
