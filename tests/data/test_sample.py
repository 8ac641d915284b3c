"""The evaluation questions: samples, lists, databases without rows, gold queries that give nothing or do not run."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.core.records import HARDNESS, NO_LEVEL, Question, read_jsonl
from sqljudge.data.datasets import load_questions
from sqljudge.data.sample import (
    ListedQuestion,
    complete_list,
    empty_databases,
    pick_questions,
    read_listed,
    sample_questions,
    with_running_golds,
    write_sample,
)
from sqljudge.data.staging import stage_dataset
from sqljudge.sql.databases import database_path

MINI = ROOT / "resources" / "mini_spider"
PAPER = ROOT / "resources" / "paper_questions.tsv"


def made(*levels: str, db_id: str = "shop") -> list[Question]:
    return [Question(i, db_id, f"q{i}", "SELECT 1", "", level) for i, level in enumerate(levels)]  # type: ignore[arg-type]


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


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


def test_lists_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    questions = made(*HARDNESS)
    for text in ("3\n0\n", "3\r\n0\r\n"):
        (tmp_path / "ids.txt").write_bytes(text.encode("utf-8-sig"))
        assert [q.id for q in pick_questions(questions, tmp_path / "ids.txt")] == [3, 0]
    (tmp_path / "ids.tsv").write_text("hardness\tquestion_ids\nextra\t3\n", encoding="utf-8-sig")
    assert read_listed(tmp_path / "ids.tsv", questions) == [ListedQuestion("extra", (3,))]


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
        ("1".encode("utf-16-be"), "UTF-16"),
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


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """The embedded benchmark, its databases built."""
    stage_dataset(MINI, tmp_path / "mini", questions_file="dev.json")
    return tmp_path / "mini"


def written(data: Path, *ids: Path, questions: str = "questions.json", **settings: Any) -> list[Question]:
    """The questions that the job of a folder in the plain layout writes."""
    defaults: dict[str, Any] = {"per_hardness": 2, "exclude": (), "empty_golds": False, "seed": 7, "limits": {}}
    target = settings.pop("target", data.parent / "sample.jsonl")
    write_sample(
        questions=str(data / questions),
        tables=str(data / "tables.json"),
        databases=str(data / "database"),
        ids=[*map(str, ids)],
        sample=str(target),
        dataset_format="spider",
        **{**defaults, **settings},
    )
    return read_jsonl(target, Question)


def emptied(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            connection.execute(f'DELETE FROM "{table}"')


def test_a_sample_is_written_without_questions_of_empty_databases(mini: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Or the questions whose ids a file lists, whatever their databases hold."""
    loaded = load_questions(mini / "questions.json", mini / "tables.json")
    void, other = (loaded[place].db_id for place in (0, -1))
    emptied(database_path(mini / "database", void))
    with caplog.at_level("INFO"):
        assert written(mini, exclude=[other]) == sample_questions(loaded, per_hardness=2, seed=7, exclude={void, other})
    assert caplog.messages == [
        f"left out, since their databases hold no rows: {void}",
        f"8 of {len(loaded)} questions",
    ]
    ids = mini.parent / "ids"
    ids.write_text(f"{loaded[3].id}\n{loaded[0].id}\n")
    assert written(mini, ids) == [loaded[3], loaded[0]]


def no_database(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def gone(path: Path) -> None:
    path.unlink()


def with_a_stray_log(path: Path) -> None:
    no_database(path)
    path.with_name(f"{path.name}-journal").write_bytes(b"no log " * 1000)


@pytest.mark.parametrize("damage", [no_database, cut_short, gone, with_a_stray_log])
def test_a_database_that_is_excluded_is_not_looked_at(
    mini: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load_questions(mini / "questions.json", mini / "tables.json")
    void = loaded[0].db_id
    before = written(mini, exclude=[void])
    damage(database_path(mini / "database", void))
    assert written(mini, exclude=[void]) == before
    ids = mini.parent / "ids.txt"
    other = next(question for question in loaded if question.db_id != void)
    ids.write_text(str(other.id))
    assert written(mini, ids) == [other], "nor one that no listed question uses"
    with pytest.raises(DataError, match=re.escape(str(database_path(mini / "database", void)))):
        written(mini)


@pytest.mark.parametrize("module", ["VirtualSpatialIndex()", "vec0(a float[3])", "VirtualShape('x', CP1252, 23032)"])
def test_a_table_of_an_unknown_module_does_not_stop_sampling(mini: Path, module: str) -> None:
    before = written(mini)
    for path in mini.rglob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA writable_schema = ON")
            row = ("table", "aaa", "aaa", 0, f"CREATE VIRTUAL TABLE aaa USING {module}")
            connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    assert written(mini) == before


def rewritten(mini: Path, place: int, query: str) -> None:
    """Give a question another gold query."""
    rows = json.loads((mini / "questions.json").read_text(encoding="utf-8"))
    rows[place]["query"] = query
    (mini / "questions.json").write_text(json.dumps(rows), encoding="utf-8")


def test_gold_queries_that_give_nothing_are_not_drawn_unless_wanted(
    mini: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = [question.id for question in written(mini)]
    loaded = load_questions(mini / "questions.json", mini / "tables.json")
    first = loaded[before[0]]
    table, column = re.findall(r"\w+", first.schema_text.removeprefix("-- Table "))[:2]
    rewritten(mini, first.id, f"SELECT {column} FROM {table} WHERE {column} = 'no such value'")
    with caplog.at_level("INFO"):
        after = [question.id for question in written(mini)]
    assert caplog.messages[0] == "not drawn, since their gold queries return nothing: 1"
    assert first.id not in after
    assert len({*after} & {*before}) >= 7, "another takes its place, and perhaps its level has changed"
    assert first.id in [question.id for question in written(mini, empty_golds=True, per_hardness=14)]
    ids = mini.parent / "ids.txt"
    ids.write_text(str(first.id))
    assert [question.id for question in written(mini, ids)] == [first.id], "what is listed stays"


def test_gold_queries_that_do_not_run_are_left_out_counted_and_named(
    mini: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Here a table is gone, so that what names it does not run."""
    loaded = load_questions(mini / "questions.json", mini / "tables.json")
    broken = [question for question in loaded if question.db_id == loaded[0].db_id]
    path = database_path(mini / "database", loaded[0].db_id)
    with closing(sqlite3.connect(path)) as connection, connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            connection.execute(f'ALTER TABLE "{table}" RENAME TO "{table}_gone"')
    sample = written(mini, per_hardness=5)
    assert not {question.id for question in sample} & {question.id for question in broken}
    (said,) = [text for text in caplog.messages if "do not run" in text]
    assert f" ({len(broken)}): {broken[0].id} ({path}: error: no such table" in said
    ids = mini.parent / "ids.txt"
    ids.write_text(f"{broken[0].id}\n{sample[0].id}")
    assert [question.id for question in written(mini, ids)] == [sample[0].id]
    ids.write_text(f"{broken[0].id}")
    with pytest.raises(DataError, match="no question is left"):
        written(mini, ids)


SLOW = "SELECT count(*) FROM {table}" + " JOIN {table}" * 9


@pytest.mark.parametrize("listed", ["sample", "ids", "tsv"])
def test_every_kind_of_gold_query_that_does_not_run_is_left_out(
    mini: Path, caplog: pytest.LogCaptureFixture, listed: str
) -> None:
    loaded = load_questions(mini / "questions.json", mini / "tables.json")
    first = loaded[0]
    table, one, other = re.findall(r"\w+", first.schema_text.removeprefix("-- Table "))[:3]
    kinds: dict[str, tuple[Any, str]] = {
        "syntax": (f"SELECT {one}, FROM {table}", "error: near"),
        "no table": ("SELECT a FROM nowhere", "error: no such table"),
        "too slow": (SLOW.format(table=table), "timeout: stopped after"),
        "empty": ("", "error: empty query"),
        "blank": (" ", "error: empty query"),
        "null": (None, "error: near"),
        "number": (5, "error: near"),
        "list": ([f"SELECT {one} FROM {table}"], "error: near"),
        "lost comma": (f"SELECT {one} {other} {one} FROM {table}", "error: near"),
    }
    places = [question.id for question in loaded if question.db_id == first.db_id][: len(kinds)]
    rows = json.loads((mini / "questions.json").read_text(encoding="utf-8"))
    for place, (query, _) in zip(places, kinds.values(), strict=True):
        rows[place]["query"] = query
    (mini / "questions.json").write_text(json.dumps(rows), encoding="utf-8")
    good = next(question for question in loaded if question.id not in places and question.hardness == "easy")
    if listed == "sample":
        sample = written(mini, per_hardness=5, limits={"steps": 1_000_000})
    elif listed == "ids":
        (mini / "ids.txt").write_text("\n".join(map(str, [*places, good.id])))
        sample = written(mini, mini / "ids.txt", limits={"steps": 1_000_000})
    else:
        lines = [f"{question.hardness}\t{question.id}" for question in loaded if question.id in (*places, good.id)]
        (mini / "ids.tsv").write_text("\n".join(["hardness\tquestion_ids", *lines]))
        sample = written(mini, mini / "ids.tsv", per_hardness=5, limits={"steps": 1_000_000})
    assert good.id in {question.id for question in sample} or listed == "sample"
    assert all(question.hardness in HARDNESS for question in sample)
    assert not {question.id for question in sample} & {*places}
    (said,) = [text for text in caplog.messages if "do not run" in text]
    assert f"({len(kinds)}): " in said
    for place, (name, (_, why)) in zip(places, kinds.items(), strict=True):
        (own,) = [part for part in said.partition("): ")[2].split("; ") if part.startswith(f"{place} (")]
        assert why in own, name


@pytest.mark.parametrize("listed", ["sample", "ids", "tsv"])
def test_a_gold_query_beyond_the_grammar_has_unknown_hardness_and_everything_else(
    mini: Path, caplog: pytest.LogCaptureFixture, listed: str
) -> None:
    loaded = load_questions(mini / "questions.json", mini / "tables.json")
    table, one = re.findall(r"\w+", loaded[0].schema_text.removeprefix("-- Table "))[:2]
    golds = (
        f"SELECT x.{one} FROM {table} x",
        f"SELECT CASE WHEN {one} > 1 THEN 'a' ELSE 'b' END FROM {table}",
        f"SELECT CAST({one} AS TEXT) FROM {table}",
        f"SELECT count(*) FROM {table} WHERE {one}='1'",
        f"WITH some AS (SELECT {one} FROM {table}) SELECT * FROM some",
    )
    places = [question.id for question in loaded if question.db_id == loaded[0].db_id][: len(golds)]
    rows = json.loads((mini / "questions.json").read_text(encoding="utf-8"))
    for place, query in zip(places, golds, strict=True):
        rows[place]["query"] = query
    (mini / "questions.json").write_text(json.dumps(rows), encoding="utf-8")
    ids = mini / f"list.{listed}"
    lines = [f"unknown\t{place}" if listed == "tsv" else str(place) for place in places]
    ids.write_text("\n".join(["hardness\tquestion_ids"] * (listed == "tsv") + lines))
    with caplog.at_level("INFO"):
        sample = written(mini, *([] if listed == "sample" else [ids]), per_hardness=3)
    unknown = [question for question in sample if question.hardness == NO_LEVEL]
    assert len(unknown) == (5 if listed == "ids" else 3)
    assert {question.id for question in unknown} <= {*places}
    (said,) = [text for text in caplog.messages if "of unknown hardness" in text]
    assert said.endswith(f"the official evaluator does not read their gold query: {len(unknown)}")
    if listed == "sample":
        assert Counter(question.hardness for question in sample) == dict.fromkeys((*HARDNESS, NO_LEVEL), 3)
        fewer = written(mini, per_hardness=2)
        assert {question.id for question in fewer} < {question.id for question in sample}


def test_gold_queries_have_the_limits_of_all_other_queries(mini: Path) -> None:
    """Else one that runs here would stop the run where candidates are compared with it."""
    assert len(written(mini, per_hardness=1)) == 4
    with pytest.raises(DataError, match="only 0 usable questions"):
        written(mini, per_hardness=1, limits={"rows": 1, "steps": 100})


def test_a_gold_query_must_run_on_every_file_of_its_database_and_give_rows_on_its_own(tmp_path: Path) -> None:
    for db_id in "xy":
        database(tmp_path, db_id, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with closing(sqlite3.connect(tmp_path / "x/x_2.sqlite")) as connection:
        connection.execute("CREATE TABLE t (a)")
    with closing(sqlite3.connect(tmp_path / "y/y_2.sqlite")) as connection:
        connection.execute("CREATE TABLE other (a)")
    questions = [Question(i, db_id, "", "SELECT a FROM t", "", "easy") for i, db_id in enumerate("xy")]
    assert with_running_golds(questions, tmp_path) == (questions[:1], set())


LISTED = "position\thardness\tquestion_ids\tstatus\n"


def test_a_list_that_leaves_questions_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of two paraphrases one is drawn, once; what is not listed is drawn; what cannot be used is not replaced."""
    questions = made(*["easy"] * 8, *["hard"] * 8)
    file = tmp_path / "list.tsv"
    file.write_text(f"{LISTED}0\teasy\t2,3\tone of these\n1\teasy\t5\tcertain\n2\thard\t8,9\tcertain\n3\thard\t8,9\t\n")
    listed = read_listed(file, questions)
    assert listed[0] == ListedQuestion("easy", (2, 3))
    given: dict[str, Any] = {"levels": ("easy", "hard")}
    drawn = set()
    for seed in range(40):
        chosen = complete_list(listed, questions, questions[:12], per_hardness=3, seed=seed, **given)
        assert chosen == complete_list(listed, questions, questions[:12], per_hardness=3, seed=seed, **given)
        ids = [question.id for question in chosen]
        assert ids == sorted(set(ids))
        assert {5, 8, 9} < set(ids)
        assert len(ids) == 6
        assert len({2, 3} & {*ids}) >= 1
        assert not {12, 13, 14, 15} & {*ids}, "not drawable"
        fewer = complete_list(listed, questions, questions, per_hardness=1, seed=seed, **given)
        assert {question.id for question in fewer} <= {*ids}, "the first of the list"
        drawn |= {*ids}
    assert drawn == {*range(12)}
    without = [question for question in questions if question.id != 5]
    ids = [question.id for question in complete_list(listed, without, without, per_hardness=2, seed=0, **given)]
    assert ids in ([2, 8, 9], [3, 8, 9])
    assert "left out and not replaced (see above why): 1" in caplog.text
    with pytest.raises(DataError, match="per_hardness is 9, but only 8 usable questions are easy"):
        complete_list(listed, questions, questions, per_hardness=9, seed=0, **given)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{LISTED}0\thard\t0\tcertain",
            "line 2: question 0 is listed as hard, but is easy here: the list is of other",
        ),
        (f"{LISTED}0\teasy\t0,77\tcertain", "line 2: question 77 is listed as easy, but does not exist here"),
        (f"{LISTED}0\teasy\tx\tcertain", "line 2: needs the columns hardness and question_ids"),
        ("hardness\nEasy", "line 2: needs the columns hardness and question_ids"),
        (f"{LISTED}0\teasy\t0\t\n1\teasy\t0\t", "line 3: 0 is listed more often than there are ids; take one out"),
        (LISTED, "lists no questions"),
        (None, "cannot be read"),
    ],
)
def test_malformed_lists_that_leave_questions_open(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "list.tsv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DataError) as error:
        read_listed(file, made(*HARDNESS))
    assert message in one_line(error)
    assert str(file) in str(error.value)


def test_the_papers_questions_are_of_spider_alone(mini: Path) -> None:
    with pytest.raises(DataError, match=r"the list is of other data; set dataset\.question_ids to ''"):
        written(mini, PAPER)


REAL: dict[str, Any] = {"seed": 42, "questions": "dev.json", "workers": 2}


def real(spider: Path, tmp_path: Path, *ids: Path, **settings: Any) -> list[Question]:
    return written(spider, *ids, **{"target": tmp_path / "sample.jsonl", "per_hardness": 100, **REAL, **settings})


def test_a_sample_of_the_real_dev_set(spider: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        sample = real(spider, tmp_path)
    assert caplog.messages == [
        "left out, since their databases hold no rows: wta_1",
        "not drawn, since their gold queries return nothing: 49",
        "400 of 1034 questions",
    ]
    assert Counter(question.hardness for question in sample) == dict.fromkeys(HARDNESS, 100)
    rows = {row["question_id"]: row["rows"] for row in map(json.loads, (spider / "gold_status.jsonl").open())}
    assert all(rows[question.id] for question in sample)
    assert not all(rows[question.id] for question in real(spider, tmp_path, empty_golds=True))


def test_the_papers_questions_of_the_real_dev_set(
    spider: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """391 are listed, 20 of them over a database that has no rows here; nine are drawn, and give rows."""
    listed = read_listed(PAPER, load_questions(spider / "dev.json", spider / "tables.json"))
    assert Counter(row.hardness for row in listed) == {"easy": 95, "medium": 96, "hard": 100, "extra": 100}
    with caplog.at_level("INFO"):
        sample = real(spider, tmp_path, PAPER)
    assert len(sample) == 380
    assert "left out and not replaced (see above why): 20" in caplog.text
    assert "of the list: 371; drawn for those that it does not know: 9" in caplog.text
    certain = [row["question_ids"] for row in rows_of(PAPER) if row["status"] == "certain"]
    assert len(certain) == 198
    ids = {question.id for question in sample}
    wta = {*range(429, 491)}
    assert {int(one) for text in certain for one in text.split(",")} - wta <= ids
    assert with_running_golds(sample, spider / "database")[1] == set(), "no gold query of theirs gives nothing"
    fewer = real(spider, tmp_path, PAPER, per_hardness=20)
    assert {question.id for question in fewer} < ids


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.open(encoding="utf-8"), delimiter="\t"))


def test_the_papers_questions_where_every_database_has_rows(spider: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(spider, data, ignore=shutil.ignore_patterns("*.jsonl"))
    with closing(sqlite3.connect(database_path(data / "database", "wta_1"))) as connection, connection:
        connection.execute("INSERT INTO players (player_id) VALUES (1)")
    sample = written(data, PAPER, questions="dev.json", per_hardness=100)
    assert Counter(question.hardness for question in sample) == dict.fromkeys(HARDNESS, 100)


def test_the_shipped_list_is_the_known_one() -> None:
    shared = ROOT.parent / "shared" / "paper" / "subset.tsv"
    if not shared.exists():
        pytest.skip("no shared folder with the paper's questions beside the project")
    assert [(row["position"], row["hardness"], row["candidate_ids"], row["status"]) for row in rows_of(shared)] == [
        tuple(row.values()) for row in rows_of(PAPER)
    ]
