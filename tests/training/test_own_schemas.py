"""The shipped training data: made from templates, runnable, and nothing of what is evaluated."""

from __future__ import annotations

import json
import runpy
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.records import HARDNESS
from sqljudge.data.datasets import load_questions
from sqljudge.training.data import check_apart
from sqljudge.training.items import Item
from sqljudge.training.pairs import make_pairs
from sqljudge.training.random_databases import literals_of, random_database

OWN, MINI = Path("resources/training"), Path("resources/mini_spider")
KINDS = {
    "JOIN": 300,
    " IN (": 40,
    "NOT IN (": 40,
    "GROUP BY": 150,
    "HAVING": 30,
    "ORDER BY": 100,
    "LIMIT 1": 60,
    "UNION": 10,
    "INTERSECT": 20,
    "EXCEPT": 10,
    "count(": 200,
    "avg(": 30,
    "DISTINCT": 30,
    "BETWEEN": 10,
}
"""What stands in how many queries at least."""


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((OWN / "questions.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return {entry["db_id"]: entry for entry in json.loads((OWN / "tables.json").read_text(encoding="utf-8"))}


def test_the_files_are_those_that_the_script_makes(tmp_path: Path) -> None:
    runpy.run_path(str(OWN / "make.py"))["main"](tmp_path)
    for name in ("questions.json", "tables.json"):
        assert (tmp_path / name).read_bytes() == (OWN / name).read_bytes(), f"run python {OWN}/make.py"


def test_there_are_enough_of_each_kind(rows: list[dict[str, str]], tables: dict[str, Any]) -> None:
    assert len(tables) == 18
    assert Counter(row["db_id"] for row in rows) == dict.fromkeys(tables, 60)
    assert len({(row["db_id"], row["question"]) for row in rows}) == len(rows)
    for kind, least in KINDS.items():
        assert sum(kind in row["query"] for row in rows) >= least, kind
    questions = load_questions(OWN / "questions.json", OWN / "tables.json")
    levels = Counter(question.hardness for question in questions)
    assert all(levels[level] > 50 for level in HARDNESS), levels


@pytest.mark.parametrize("seed", [42, 43, 44])
def test_gold_queries_run_and_give_rows_on_random_databases(
    rows: list[dict[str, str]], tables: dict[str, Any], seed: int
) -> None:
    empty = []
    for name, schema in tables.items():
        queries = [row["query"] for row in rows if row["db_id"] == name]
        given = Counter[str]()
        for number in range(3):
            database = sqlite3.connect(":memory:")
            database.executescript(random_database(schema, literals_of(queries), 3 * seed + number))
            for query in queries:
                given[query] += len(database.execute(query).fetchall())
        empty += [query for query in queries if not given[query]]
    assert len(empty) <= 0.01 * len(rows), empty


def test_nothing_of_it_is_evaluated(rows: list[dict[str, str]]) -> None:
    items = [Item(str(i), str(i), row["db_id"], row["question"], gold=row["query"]) for i, row in enumerate(rows)]
    for file in ("dev.json", "train.json"):
        check_apart(items, load_questions(MINI / file, MINI / "tables.json"), file)


def test_pairs_are_made_of_it_the_same_twice(rows: list[dict[str, str]]) -> None:
    known = {"file": str(OWN / "questions.json"), "tables": str(OWN / "tables.json")}
    made = [make_pairs(**known, questions=12, validation_databases=2, seed=7) for _ in range(2)]  # type: ignore[arg-type]
    assert made[0] == made[1]
    items, _ = made[0]
    assert len({item.group for item in items}) >= 10
    assert Counter(item.label for item in items)[1] * 2 == len(items)
    assert len({item.db_id for item in items if item.validation}) == 2
