"""A user's questions with their candidates: JSON Lines, CSV, or mappings in memory. Runs nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import parse_json, read_text
from sqljudge.core.records import is_number

COLUMNS = ("question", "candidate", "id", "db", "mean_logprob")
"""The columns of a CSV file, a row a candidate; the last three are optional."""
FIELDS = ("question", "candidates", "id", "db")
"""The fields of an object of JSON Lines; the last two are optional."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its candidates as the user gives them.

    `where`: where it stands, for messages. `id`: the user's own, else the question's number, from 1. `candidates`: SQL,
    in the order given, and the mean log-probability of its tokens, None where it is not known.
    """

    where: str
    id: str | int
    db: str
    question: str
    candidates: tuple[tuple[str, float | None], ...]


def read_questions(source: str | Path | Iterable[Mapping[str, Any]], databases: Iterable[str]) -> list[Asked]:
    """Questions from a file (`.csv`: CSV, else JSON Lines) or from mappings with the same FIELDS as a line of JSON.

    A candidate is SQL, or an object with `sql` and `mean_logprob`. In CSV, rows with one `id`, or without ids with one
    question and `db`, make one question. `databases`: those that `db` may name, which a question needs only where there
    are several. Raises DataError, naming the place, for what is missing or malformed, an id that two questions have, or
    an unknown database.
    """
    if not isinstance(source, str | Path):
        rows: Iterator[tuple[str, Any]] = ((f"question {number}", row) for number, row in enumerate(source, 1))
    elif str(source).lower().endswith(".csv"):
        rows = _from_csv(source)
    else:
        rows = _from_lines(source)
    known = list(databases)
    asked: dict[str, Asked] = {}
    for where, row in rows:
        one = _asked(where, row, len(asked) + 1, known)
        if str(one.id) in asked:
            other = asked[str(one.id)].where.rpartition(", ")[2]
            raise DataError(f"{where}: the id {one.id!r} is also that of {other}; give each question its own")
        asked[str(one.id)] = one
    if not asked:
        name = source if isinstance(source, str | Path) else "questions"
        raise DataError(f"{name}: holds no question")
    return [*asked.values()]


def _asked(where: str, row: Any, number: int, databases: list[str]) -> Asked:
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: not an object with the fields {', '.join(FIELDS[:2])}")
    for name in FIELDS[:2]:
        if name not in row:
            near = get_close_matches(name, [str(key) for key in row], 1, 0.5)
            raise DataError(f"{where}: the field '{name}' is missing" + (f"; is it '{near[0]}'?" if near else ""))
    question, candidates, given = row["question"], row["candidates"], row.get("id")
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{where}: 'question' must be text")
    if not isinstance(candidates, list | tuple):
        raise DataError(f"{where}: 'candidates' must be a list of SQL texts")
    if not candidates:
        raise DataError(f"{where}: the question has no candidates; give at least one, or take it out")
    if given is not None and (not isinstance(given, str | int) or isinstance(given, bool) or given == ""):
        raise DataError(f"{where}: 'id' must be text or a whole number, not {given!r}")
    database = _database(where, row.get("db"), databases)
    found = tuple(_candidate(f"{where}, candidate {place}", one) for place, one in enumerate(candidates, 1))
    return Asked(where, number if given is None else given, database, question, found)


def _database(where: str, name: Any, databases: list[str]) -> str:
    if name in (None, "") and len(databases) == 1:
        return databases[0]
    if name in (None, ""):
        raise DataError(f"{where}: 'db' is missing; with several databases it names one of {', '.join(databases)}")
    if name not in databases:
        raise DataError(f"{where}: 'db' is {name!r}, which is no database given; given: {', '.join(databases)}")
    return str(name)


def _candidate(where: str, given: Any) -> tuple[str, float | None]:
    sql, logprob = (given.get("sql"), given.get("mean_logprob")) if isinstance(given, Mapping) else (given, None)
    if not isinstance(sql, str):
        raise DataError(f"{where}: must be SQL text, or an object with the text 'sql'")
    if logprob is not None and not (is_number(logprob) and logprob <= 0):
        raise DataError(f"{where}: 'mean_logprob' is {logprob!r}; it must be a number of at most 0")
    return sql, logprob


def _from_lines(path: str | Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            try:
                yield f"{path}, line {number}", parse_json(line)
            except ValueError as error:
                what = f"not JSON ({error}); each line is one object, and a file of CSV is called .csv"
                raise DataError(f"{path}, line {number}: {what}") from error


def _from_csv(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a question together, as a line of JSON would have them."""
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    found: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
    try:
        names = rows.fieldnames or []
        for name in COLUMNS[:2]:
            if name not in names:
                raise DataError(f"{path}: the column '{name}' is missing; it has: {', '.join(names) or 'none'}")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if None in row:
                raise DataError(f"{where}: more cells than columns; put SQL that holds commas in double quotes")
            cells = {name: str(row.get(name) or "") for name in COLUMNS}
            if not cells["candidate"].strip():
                raise DataError(f"{where}: the question has no candidate in this row; give one, or take it out")
            key = (cells["id"],) if cells["id"] else (cells["db"], cells["question"])
            first, question = found.setdefault(
                key, (where, {**{name: cells[name] or None for name in ("id", "db", "question")}, "candidates": []})
            )
            if (question["question"] or "", question["db"] or "") != (cells["question"], cells["db"]):
                what = f"the id {cells['id']!r} is also that of another question ({first.rpartition(', ')[2]})"
                raise DataError(f"{where}: {what}; give each question its own")
            question["candidates"].append({"sql": cells["candidate"], "mean_logprob": _number(cells["mean_logprob"])})
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: not CSV ({error})") from error
    yield from found.values()


def _number(cell: str) -> float | str | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell
