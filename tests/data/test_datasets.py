"""Spider's files: questions and schema text."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from sqljudge.core.errors import DataError
from sqljudge.core.records import HARDNESS, NO_LEVEL, Question
from sqljudge.data.datasets import load_questions, schema_text, schema_texts

MINI = ROOT / "resources" / "mini_spider"
SHOP = {
    "db_id": "shop",
    "table_names_original": ["Item", "SALE"],
    "table_names": ["item", "sale"],
    "column_names_original": [[-1, "*"], [0, "ID"], [0, "Name"], [1, "item_id"], [1, "Price"]],
    "column_names": [[-1, "*"], [0, "id"], [0, "name"], [1, "item id"], [1, "price"]],
    "column_types": ["text", "number", "text", "number", "number"],
    "primary_keys": [1],
    "foreign_keys": [[3, 1]],
}
GOOD = {"db_id": "shop", "question": "How many items?", "query": "SELECT count(*) FROM Item"}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write(tmp_path / "tables.json", [SHOP])


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_schema_text_is_one_line_a_table_in_lower_case() -> None:
    assert schema_text(SHOP) == "-- Table item: id, name\n-- Table sale: item_id, price"


def test_a_table_without_columns() -> None:
    assert schema_text({"table_names_original": ["T"], "column_names_original": [[-1, "*"]]}) == "-- Table t: "


def test_schema_texts(tables: Path) -> None:
    assert schema_texts(tables) == {"shop": schema_text(SHOP)}


def test_questions(tmp_path: Path, tables: Path) -> None:
    rows = [GOOD, {**GOOD, "question": "Wie viele Stück?", "extra": 1}]
    questions = load_questions(write(tmp_path / "dev.json", rows), tables)
    assert questions[0] == Question(0, "shop", GOOD["question"], GOOD["query"], schema_text(SHOP), "easy")
    assert (questions[1].id, questions[1].question) == (1, "Wie viele Stück?")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": 1}, "not a list of questions"),
        ([GOOD, "text"], "question 1: needs the text fields"),
        ([{"db_id": "shop", "question": "?"}], "question 0: needs the text fields"),
        ([{**GOOD, "question": "  "}], "question 0: needs the text fields"),
        ([{"db_id": "shop"}], "question 0: needs the text fields"),
        ([{**GOOD, "db_id": 5}], "question 0: needs the text fields"),
        ([GOOD, {**GOOD, "db_id": "shops"}], "question 1: database 'shops' is not in"),
        ([GOOD, {**GOOD, "question": ["How many?"]}], "question 1: needs the text fields"),
    ],
)
def test_malformed_questions(tmp_path: Path, tables: Path, rows: Any, message: str) -> None:
    path = write(tmp_path / "dev.json", rows)
    with pytest.raises(DataError) as error:
        load_questions(path, tables)
    assert message in one_line(error)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("query", ["SELECT FROM WHERE", "SELECT x.id FROM item x", "", "  ", None, 5, ["SELECT 1"]])
def test_a_gold_query_without_a_level_is_read_all_the_same(tmp_path: Path, tables: Path, query: Any) -> None:
    """So that one of them does not stop a run: the sample leaves it out."""
    good, bad = load_questions(write(tmp_path / "dev.json", [GOOD, {**GOOD, "query": query}]), tables)
    assert (good.hardness, bad.id, bad.hardness) == ("easy", 1, NO_LEVEL)
    assert isinstance(bad.gold_sql, str)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ('[{"db_id": "é"'.encode("latin-1"), "not UTF-8"), (b"[{", "not JSON")],
)
def test_question_files_that_cannot_be_read(tmp_path: Path, tables: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "dev.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_questions(path, tables)
    assert str(path) in one_line(error)


@pytest.mark.parametrize("value", [{}, [1], [{"db_id": "shop"}], [{**SHOP, "foreign_keys": [[99, 1]]}]])
def test_malformed_tables(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataError, match=r"tables\.json"):
        load_questions(write(tmp_path / "dev.json", [GOOD]), write(tmp_path / "tables.json", value))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_question_files_and_schemas_in_other_encodings(tmp_path: Path, tables: Path, encoding: str) -> None:
    questions = tmp_path / "dev.json"
    questions.write_text(json.dumps([{**GOOD, "question": "é"}], ensure_ascii=False), encoding=encoding)
    tables.write_text(json.dumps([SHOP]), encoding="utf-8-sig")
    if encoding == "utf-8-sig":
        assert load_questions(questions, tables)[0].question == "é"
        return
    with pytest.raises(DataError) as error:
        load_questions(questions, tables)
    assert one_line(error) == f"{questions}: not UTF-8 text but UTF-16 or UTF-32; save the file as UTF-8"


def test_the_embedded_benchmark() -> None:
    questions = load_questions(MINI / "dev.json", MINI / "tables.json")
    assert Counter(question.hardness for question in questions) == dict.fromkeys(HARDNESS, 15)


def test_the_real_dev_set(spider: Path) -> None:
    questions = load_questions(spider / "dev.json", spider / "tables.json")
    assert Counter(question.hardness for question in questions) == {
        "easy": 248,
        "medium": 446,
        "hard": 174,
        "extra": 166,
    }
    assert [question.id for question in questions] == list(range(1034))
    assert questions[0].schema_text.startswith("-- Table stadium: stadium_id, location, name, capacity, highest,")
