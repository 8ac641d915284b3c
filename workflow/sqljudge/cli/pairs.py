"""The official evaluator's files: gold queries with their db_ids, and predictions, one a line. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_text


@dataclass(frozen=True)
class Pair:
    """A gold query and a prediction. `where`: the gold's file and line; `turn`: place in its dialogue, from 0."""

    db_id: str
    gold_sql: str
    pred_sql: str
    where: str
    dialogue: int
    turn: int


Line = tuple[int, str]


def read_pairs(gold_file: Path, pred_file: Path) -> list[Pair]:
    """The pairs in order. Lines are stripped; blank lines part dialogues; a prediction ends at its first tab.

    Raises DataError if a file is missing or empty, a gold line has no db_id, or the two do not fit line by line.
    """
    golds, preds = _dialogues(gold_file, "strict"), _dialogues(pred_file, "surrogateescape")
    counts = [sum(map(len, dialogues)) for dialogues in (golds, preds)]
    hint = 'a query a line, in the same order; write ";" for an empty prediction'
    if counts[0] != counts[1]:
        raise DataError(f"{gold_file} holds {counts[0]} queries and {pred_file} {counts[1]}; expected {hint}")
    if list(map(len, golds)) != list(map(len, preds)):
        raise DataError(f"{gold_file} and {pred_file} do not break into dialogues at the same lines; expected {hint}")
    pairs = []
    for dialogue, (gold_lines, pred_lines) in enumerate(zip(golds, preds, strict=True)):
        for turn, ((number, gold), (_, pred)) in enumerate(zip(gold_lines, pred_lines, strict=True)):
            where = f"{gold_file}, line {number}"
            fields = gold.split("\t")
            if len(fields) != 2 or not all(field.strip() for field in fields):
                raise DataError(f"{where}: expected a query, one tab and a db_id, found {gold!r}")
            pairs.append(Pair(fields[1].strip(), fields[0], pred.split("\t")[0], where, dialogue, turn))
    return pairs


def _dialogues(path: Path, errors: str) -> list[list[Line]]:
    """The numbered lines of a file in groups parted by blank lines."""
    groups: list[list[Line]] = [[]]
    for number, line in enumerate(read_text(path, errors).split("\n"), 1):
        if text := line.strip():
            groups[-1].append((number, text))
        elif groups[-1]:
            groups.append([])
    found = [group for group in groups if group]
    if not found:
        raise DataError(f"{path}: holds no query; expected one a line")
    return found
