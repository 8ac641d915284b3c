"""Training examples: a right and a wrong query each, and never of a question that is evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.records import Question
from sqljudge.stages.examples import Example, examples

ASKED = Question(3, "zoo", "How many  big cats are there?", "SELECT count(*) FROM cat", "", "easy")


def training(folder: Path, *rows: Any) -> str:
    path = folder / "train.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return str(path)


def row(question: str, query: str, db_id: str = "zoo") -> dict[str, str]:
    return {"db_id": db_id, "question": question, "query": query}


def labelled(question: str, sql: str, top: list[str], labels: list[int], db_id: str = "zoo") -> dict[str, Any]:
    named = {"db_id": db_id, "schema": "", "question": question, "sql": sql}
    return {**named, "top_n": top, "top_n_label": labels}


def test_the_wrong_query_is_another_questions_of_the_same_database(tmp_path: Path) -> None:
    path = training(
        tmp_path,
        row("q1", "select  a from t"),
        row("q2", "SELECT a FROM t;"),  # the same query
        row("q3", "SELECT b FROM t"),
        row("q4", "SELECT c FROM t", "other"),  # alone on its database
    )
    right, wrong = "SELECT a FROM t;", "SELECT b FROM t;"
    found = examples(path, [])
    assert found[:2] == [Example("zoo", "q1", right, wrong), Example("zoo", "q2", right, wrong)]
    assert found[2:] == [Example("zoo", "q3", wrong, right)]


def test_a_labelled_pool_gives_its_own_wrong_candidates(tmp_path: Path) -> None:
    path = training(
        tmp_path,
        labelled("q1", "SELECT g", ["SELECT w", "SELECT r", "SELECT v"], [0, 1, 0]),
        labelled("q2", "SELECT h", ["SELECT x"], [0]),
        labelled("q3", "SELECT k", [], []),
    )
    assert examples(path, []) == [
        Example("zoo", "q1", "SELECT r;", "SELECT w;"),
        Example("zoo", "q2", "SELECT h;", "SELECT x;"),
        Example("zoo", "q3", "SELECT k;", examples(path, [])[2].wrong),
    ]
    assert examples(path, [])[2].wrong in ("SELECT r;", "SELECT h;")


def test_an_evaluated_question_is_never_an_example(tmp_path: Path) -> None:
    path = training(
        tmp_path,
        row("how many BIG cats\tare there?", "SELECT 1", "elsewhere"),
        row("Count the cats.", "select COUNT(*)  from cat"),
        row("Count the cats there.", "select COUNT(*)  from cat", "elsewhere"),
        row("Name the cats.", "SELECT name FROM cat"),
        row("Age?", "SELECT age FROM cat"),
        row("Age elsewhere?", "SELECT age FROM cat", "elsewhere"),
        labelled("Feed?", "SELECT feed", ["SELECT count(*) FROM cat", "SELECT food"], [0, 0]),
        labelled("Cats?", "SELECT count(*) FROM cat", ["SELECT 1"], [1]),
    )
    found = examples(path, [ASKED])
    assert [(e.db_id, e.question) for e in found] == [
        ("elsewhere", "Count the cats there."),
        ("zoo", "Name the cats."),
        ("zoo", "Age?"),
        ("elsewhere", "Age elsewhere?"),
        ("zoo", "Feed?"),
    ]
    assert found[-1].wrong == "SELECT food;"
    shown = [(e.db_id, sql) for e in found for sql in (e.right, e.wrong)]
    assert ("zoo", "SELECT COUNT(*) FROM cat;") not in shown


def test_a_repeated_example_counts_once(tmp_path: Path) -> None:
    path = training(tmp_path, row("q1", "SELECT a"), row("Q1 ", "select a"), row("q2", "SELECT b"))
    assert [e.question for e in examples(path, [])] == ["q1", "q2"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "not a list of training questions, or an empty one"),
        (["x"], "entry 0: needs the text fields db_id, question and query"),
        ([row("q", "SELECT 1"), {"db_id": "zoo", "question": "q"}], "entry 1: needs the text fields"),
        ([row("q", " ")], "entry 0: needs the text fields"),
        ([labelled("q", "SELECT 1", ["SELECT 2"], [2])], "entry 0: label 2 is neither 0 nor 1"),
        ([row("how many big cats are there?", "SELECT 1")], "none of its 1 examples is left"),
        ([row("q", "SELECT 1")], "none of its 1 examples is left"),
    ],
)
def test_a_file_that_gives_no_examples(tmp_path: Path, rows: list[Any], said: str) -> None:
    path = training(tmp_path, *rows)
    with pytest.raises(DataError) as error:
        examples(path, [ASKED])
    assert said in str(error.value)
    assert path in str(error.value)


def test_a_training_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        examples(str(tmp_path / "none.json"), [])
