"""Spider's files: questions, schema text, stratified samples, and databases without rows."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.core.records import HARDNESS, Question, read_jsonl
from sqljudge.data.datasets import (
    empty_databases,
    load_questions,
    pick_questions,
    sample_questions,
    schema_text,
    schema_texts,
    write_sample,
)
from sqljudge.data.staging import stage_dataset
from sqljudge.sql.databases import database_path

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


def made(*levels: str, db_id: str = "shop") -> list[Question]:
    return [Question(i, db_id, f"q{i}", "SELECT 1", "", level) for i, level in enumerate(levels)]  # type: ignore[arg-type]


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
        ([{**GOOD, "query": None}], "question 0: needs the text fields"),
        ([{**GOOD, "question": "  "}], "question 0: needs the text fields"),
        ([{"db_id": "shop"}], "question 0: needs the text fields"),
        ([{**GOOD, "db_id": 5}], "question 0: needs the text fields"),
        ([GOOD, {**GOOD, "db_id": "shops"}], "question 1: database 'shops' is not in"),
        ([GOOD, {**GOOD, "query": "SELECT FROM WHERE"}], "question 1: "),
    ],
)
def test_malformed_questions(tmp_path: Path, tables: Path, rows: Any, message: str) -> None:
    path = write(tmp_path / "dev.json", rows)
    with pytest.raises(DataError) as error:
        load_questions(path, tables)
    assert message in one_line(error)
    assert str(path) in str(error.value)


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


def test_the_embedded_benchmark() -> None:
    questions = load_questions(MINI / "dev.json", MINI / "tables.json")
    assert Counter(question.hardness for question in questions) == dict.fromkeys(HARDNESS, 15)


LEVELS = st.lists(st.sampled_from(HARDNESS), min_size=40, max_size=80).filter(
    lambda levels: min(Counter(levels)[level] for level in HARDNESS) >= 4
)


@given(LEVELS, st.integers(0, 5))
def test_samples_are_equal_per_hardness_ordered_and_nested(levels: list[str], seed: int) -> None:
    questions = made(*levels)
    larger: Sequence[Question] = questions
    for size in (4, 3, 2, 1):
        sample = sample_questions(questions, per_hardness=size, seed=seed)
        assert Counter(question.hardness for question in sample) == dict.fromkeys(HARDNESS, size)
        assert [q.id for q in sample] == sorted({q.id for q in sample})
        assert set(sample) <= set(larger)
        assert sample == sample_questions(questions[::-1], per_hardness=size, seed=seed)
        larger = sample


def test_samples_depend_on_the_seed() -> None:
    questions = made(*HARDNESS * 20)
    samples = {tuple(sample_questions(questions, per_hardness=5, seed=seed)) for seed in range(10)}
    assert len(samples) == 10


def test_every_question_can_be_drawn() -> None:
    questions = made(*HARDNESS * 4)
    drawn = {question.id for seed in range(40) for question in sample_questions(questions, per_hardness=1, seed=seed)}
    assert len(drawn) == 16


def test_excluded_databases_are_left_out_before_sampling() -> None:
    questions = made(*HARDNESS * 2) + [Question(100 + i, "bad", "", "", "", level) for i, level in enumerate(HARDNESS)]
    sample = sample_questions(questions, per_hardness=2, seed=0, exclude={"bad"})
    assert {question.db_id for question in sample} == {"shop"}
    with pytest.raises(DataError, match="only 2 usable questions"):
        sample_questions(questions, per_hardness=3, seed=0, exclude={"bad"})


def test_too_few_questions_name_the_scarcest_hardness() -> None:
    questions = made(*["easy"] * 9, *["medium"] * 8, *["hard"] * 3, *["extra"] * 5)
    with pytest.raises(DataError) as error:
        sample_questions(questions, per_hardness=10, seed=0)
    assert "per_hardness is 10, but only 3 usable questions are hard; set it to 3 or less" in one_line(error)
    assert len(sample_questions(questions, per_hardness=3, seed=0)) == 12


def test_no_question_of_a_hardness() -> None:
    with pytest.raises(DataError, match=r"only 0 usable questions are extra; list .* dataset\.question_ids"):
        sample_questions(made("easy", "medium", "hard"), per_hardness=1, seed=0)


def test_picked_questions_keep_the_order_of_the_list(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("3\n\n 0 \n2")
    assert [q.id for q in pick_questions(made(*HARDNESS), ids)] == [3, 0, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1\n4\n", "line 2: '4' is not a question id of this dataset (0 to 3)"),
        (b"one", "line 1: 'one' is not a question id"),
        (b"-1", "'-1' is not a question id"),
        (b"1.0", "'1.0' is not a question id"),
        ("1\n²".encode(), "line 2: '²' is not a question id"),
        (b"1\n2\n\n1", "line 4: '1' is listed twice"),
        (b"\n \n", "lists no question ids"),
        (b"\xff\xfe1", "UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_malformed_lists_of_ids(tmp_path: Path, text: bytes | None, message: str) -> None:
    ids = tmp_path / "ids.txt"
    if text is not None:
        ids.write_bytes(text)
    with pytest.raises(DataError) as error:
        pick_questions(made(*HARDNESS), ids)
    assert message in one_line(error)
    assert str(ids) in str(error.value)


def database(folder: Path, db_id: str, *statements: str) -> Path:
    path = database_path(folder, db_id)
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def test_databases_with_and_without_rows(tmp_path: Path) -> None:
    create = ["CREATE TABLE a (x)", 'CREATE TABLE "b ""c""" (id INTEGER PRIMARY KEY AUTOINCREMENT, y)']
    database(tmp_path, "empty", *create)
    database(tmp_path, "full", *create, 'INSERT INTO "b ""c""" (y) VALUES (1)')
    database(tmp_path, "once", *create, 'INSERT INTO "b ""c""" (y) VALUES (1)', 'DELETE FROM "b ""c"""')
    questions = [Question(i, db_id, "", "", "", "easy") for i, db_id in enumerate(["full", "empty", "full", "once"])]
    assert empty_databases(questions, tmp_path) == {"empty", "once"}, "the counter of ids is no row of the data"


def test_a_sample_looks_at_the_database_that_is_named_after_the_db_id_alone(tmp_path: Path) -> None:
    database(tmp_path, "x", "CREATE TABLE t (a)")
    with closing(sqlite3.connect(tmp_path / "x/x_2.sqlite")) as connection:
        connection.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    assert empty_databases(made("easy", db_id="x"), tmp_path) == {"x"}


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b?#%20é"
    database(folder, "x", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    assert empty_databases(made("easy", db_id="x"), folder) == set()


def test_checking_writes_nothing(tmp_path: Path) -> None:
    path = database(tmp_path, "x", "CREATE TABLE t (a)")
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert empty_databases(made("easy", db_id="x"), tmp_path) == {"x"}
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [file.name for file in path.parent.iterdir()] == ["x.sqlite"]


@pytest.mark.parametrize("keep", [0, 10, 50, 4096, 20_000])
def test_truncated_databases(tmp_path: Path, keep: int) -> None:
    many = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 3000) SELECT i FROM n"
    path = database(tmp_path, "x", "CREATE TABLE t (a)", many)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError) as error:
        empty_databases(made("easy", db_id="x"), tmp_path)
    assert str(path) in one_line(error)
    assert "fetch it again" in str(error.value)


def test_a_missing_database(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such database") as error:
        empty_databases(made("easy"), tmp_path)
    assert str(database_path(tmp_path, "shop")) in one_line(error)


def test_the_real_dev_set(spider: Path) -> None:
    questions = load_questions(spider / "dev.json", spider / "tables.json")
    assert Counter(question.hardness for question in questions) == {
        "easy": 248,
        "medium": 446,
        "hard": 174,
        "extra": 166,
    }
    assert [question.id for question in questions] == list(range(1034))
    assert empty_databases(questions, spider / "database") == {"wta_1"}
    sample = sample_questions(questions, per_hardness=100, seed=42, exclude={"wta_1"})
    assert len(sample) == 400
    assert questions[0].schema_text.startswith("-- Table stadium: stadium_id, location, name, capacity, highest,")


def test_a_sample_is_written_without_questions_of_empty_databases(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Or the questions whose ids a file lists, whatever their databases hold."""
    stage_dataset(MINI, tmp_path / "mini", questions_file="dev.json")
    files = {name: str(tmp_path / "mini" / f"{name}.json") for name in ("questions", "tables")}
    loaded = load_questions(files["questions"], files["tables"])
    void, other = (loaded[place].db_id for place in (0, -1))
    with closing(sqlite3.connect(database_path(tmp_path / "mini" / "database", void))) as connection, connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            connection.execute(f'DELETE FROM "{table}"')

    def sampled(*ids: str) -> list[Question]:
        write_sample(
            **files,
            databases=str(tmp_path / "mini" / "database"),
            ids=ids,
            sample=str(tmp_path / "sample"),
            dataset_format="spider",
            per_hardness=2,
            exclude=[other],
            seed=7,
        )
        return read_jsonl(tmp_path / "sample", Question)

    with caplog.at_level("INFO"):
        assert sampled() == sample_questions(loaded, per_hardness=2, seed=7, exclude={void, other})
    assert caplog.messages == [
        f"left out, since their databases hold no rows: {void}",
        f"8 of {len(loaded)} questions",
    ]
    (tmp_path / "ids").write_text(f"{loaded[3].id}\n{loaded[0].id}\n")
    assert sampled(str(tmp_path / "ids")) == [loaded[3], loaded[0]]
