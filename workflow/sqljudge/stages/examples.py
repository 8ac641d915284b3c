"""Training examples: questions with a right and a wrong query, from a file that is not evaluated. Knows no prompt.

Two forms of file are read: a dataset's training questions (`db_id`, `question`, and the gold query in the field that
the dataset's format has for it: `query`, or BIRD's `SQL`), and a labelled pool (`db_id`, `schema`, `question`, `sql`,
`top_n`, `top_n_label`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import Question
from sqljudge.data.datasets import FORMATS
from sqljudge.data.pool import check_entry
from sqljudge.sql.text import normalize_sql

Key = tuple[str, str]

GOLD_FIELDS = tuple(each.gold_field for each in FORMATS.values())


@dataclass(frozen=True, slots=True)
class Example:
    """A question with a right and a wrong query, both normalised as candidates are. `wrong`: "" if none is known."""

    db_id: str
    question: str
    right: str
    wrong: str = ""


def examples(path: str, evaluated: Sequence[Question]) -> list[Example]:
    """The examples of a training file that may be shown beside the evaluated questions, in file order.

    Left out are those whose question is one of the evaluated ones' (letter case and white space aside), whose gold
    query is the gold query of one of them on the same database, and repetitions. The wrong query is a candidate
    labelled 0 where the file has one, else the right query of another question of the same database; without either,
    an example is left out. Raises DataError naming file and position for what is malformed, and the file if nothing is
    left.
    """
    rows = read_json(path)
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: not a list of training questions, or an empty one")
    texts = {_plain(question.question) for question in evaluated}
    golds = {(question.db_id, normalize_sql(question.gold_sql)) for question in evaluated}
    kept: dict[tuple[str, str, str], Example] = {}
    for position, row in enumerate(rows):
        example, gold = _example(row, f"{path}, entry {position}", golds)
        if _plain(example.question) not in texts and (example.db_id, gold) not in golds:
            kept.setdefault((example.db_id, _plain(example.question), example.right), example)
    found = _with_wrong(list(kept.values()))
    if not found:
        what = f"none of its {len(rows)} examples is left when the evaluated questions are taken out"
        raise DataError(f"{path}: {what} and each needs a right and a wrong query; name another training file")
    return found


def _example(row: Any, where: str, golds: set[Key]) -> tuple[Example, str]:
    """An entry as an example, and its gold query; candidates that are a gold query of `golds` are not taken."""
    if isinstance(row, Mapping) and "top_n" in row:
        check_entry(row, where)
        gold, labelled = normalize_sql(row["sql"]), zip(row["top_n"], row["top_n_label"], strict=True)
        taken = [(sql, label) for text, label in labelled if (row["db_id"], sql := normalize_sql(text)) not in golds]
        right, wrong = ([sql for sql, label in taken if label == wanted] for wanted in (1, 0))
        return Example(row["db_id"], row["question"], [*right, gold][0], [*wrong, ""][0]), gold
    found = row if isinstance(row, Mapping) else {}
    gold_field = next((name for name in GOLD_FIELDS if name in found), "")
    fields = [found.get(key) for key in ("db_id", "question", gold_field)]
    if not all(isinstance(field, str) and field.strip() for field in fields):
        known = " or ".join(GOLD_FIELDS)
        raise DataError(f"{where}: needs the text fields db_id, question and {known}, or those of a labelled pool")
    db_id, question, query = (str(field) for field in fields)
    return Example(db_id, question, normalize_sql(query)), normalize_sql(query)


def _with_wrong(some: Sequence[Example]) -> list[Example]:
    """The examples, each with a wrong query; those for which there is none are left out."""
    by_database: dict[str, list[Example]] = {}
    for example in some:
        by_database.setdefault(example.db_id, []).append(example)
    drawn = [example.wrong or _drawn(example, by_database[example.db_id]) for example in some]
    return [
        dataclasses.replace(example, wrong=wrong)
        for example, wrong in zip(some, drawn, strict=True)
        if wrong not in ("", example.right)
    ]


def _drawn(example: Example, others: Sequence[Example]) -> str:
    """The right query of another question, drawn by a hash, so that it is the same in every run."""
    queries = {
        other.right
        for other in others
        if other.right != example.right and _plain(other.question) != _plain(example.question)
    }
    return min(queries, key=lambda sql: hashlib.sha256(f"{example.question}\0{sql}".encode()).digest(), default="")


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
