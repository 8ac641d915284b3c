"""Candidates with equal results, found by running them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.records import Candidate, CandidateSet, Question
from sqljudge.stages.execute import execute_candidates, group_results

QUESTION = Question(3, "shop", "?", "SELECT 1;", "", "easy")


@pytest.fixture
def databases(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    with sqlite3.connect(tmp_path / "shop" / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE item (name TEXT, price INTEGER)")
        connection.executemany("INSERT INTO item VALUES (?, ?)", [(f"i{n}", n % 4) for n in range(12)])
    return tmp_path


def groups(databases: Path, *sqls: str) -> list[int | None]:
    sets = [CandidateSet(3, tuple(map(Candidate, sqls)))]
    runs = execute_candidates([QUESTION], sets, databases)
    found = group_results([QUESTION], sets, runs, databases)
    assert [(each.question_id, each.sql) for each in found] == [(3, sql) for sql in sqls]
    return [each.group for each in found]


def test_equal_results_are_one_group_whatever_the_order(databases: Path) -> None:
    assert groups(
        databases,
        "SELECT nothing FROM nowhere",
        "SELECT name, price FROM item",
        "SELECT price FROM item",
        "SELECT price, name FROM item ORDER BY price DESC",
        "SELECT name, price FROM item WHERE price < 9",
        ";",
    ) == [None, 1, 2, 1, 1, None]


def test_results_that_differ_after_the_rows_that_are_kept_differ(databases: Path) -> None:
    first = "SELECT name FROM item ORDER BY name"
    last = "SELECT CASE WHEN name = 'i9' THEN 'other' ELSE name END FROM item ORDER BY name"
    assert groups(databases, first, last) == [0, 1]


def test_values_count_as_often_as_they_stand(databases: Path) -> None:
    united = "SELECT 0 UNION SELECT 1 UNION SELECT 2 UNION SELECT 3"
    low, shifted = "SELECT price FROM item WHERE price < 2", "SELECT price + 2 FROM item WHERE price < 2"
    assert groups(databases, low, shifted, "SELECT DISTINCT price FROM item", united) == [0, 1, 2, 2]


def test_empty_results_are_equal(databases: Path) -> None:
    assert groups(databases, "SELECT name FROM item WHERE 0", "SELECT * FROM item WHERE price > 9") == [0, 0]


def test_what_is_missing_is_named(databases: Path) -> None:
    sets = [CandidateSet(3, (Candidate("SELECT 1"),))]
    with pytest.raises(DataError, match="question 3: no execution of candidate 'SELECT 1'"):
        group_results([QUESTION], sets, [], databases)
    with pytest.raises(DataError, match="question 3: no such question"):
        group_results([], sets, [], databases)
