"""The execute stage: what happens when candidates run, whether they are right, and which give equal results."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.records import Candidate, CandidateSet, Execution, Question, ResultGroup, read_jsonl, write_jsonl
from sqljudge.sql.official import execution as execution_match
from sqljudge.sql.official.execution import TEST_SUITE, results_equal
from sqljudge.sql.sandbox import Limits
from sqljudge.sql.sandbox.engine import Connection, Engine
from sqljudge.stages.execute import as_cell, execute_candidates, execute_pool, group_pool, group_results

GOLD = "SELECT name FROM animal WHERE age > 1"


def make_database(path: Path, rows: list[tuple[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE animal (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, age INTEGER)")
        db.executemany("INSERT INTO animal (name, age) VALUES (?, ?)", rows)
    db.close()


@pytest.fixture
def databases(tmp_path: Path) -> Path:
    make_database(tmp_path / "zoo" / "zoo.sqlite", [("Rex", 1), ("Tia", 2), ("Uno", 3)])
    make_database(tmp_path / "none" / "none.sqlite", [])
    return tmp_path


def question(number: int, db_id: str = "zoo", gold: str = GOLD) -> Question:
    return Question(number, db_id, "Which?", gold, "", "easy")


def executed(databases: Path, *sqls: str, db_id: str = "zoo", gold: str = GOLD, **options: object) -> list[Execution]:
    candidates = CandidateSet(7, tuple(map(Candidate, sqls)))
    return execute_candidates([question(7, db_id, gold)], [candidates], databases, **options)  # type: ignore[arg-type]


def test_candidates_run_and_are_labelled_in_order(databases: Path) -> None:
    wide = "SELECT name FROM animal"
    found = executed(
        databases, GOLD, "SELECT name FROM animal WHERE age IN (3, 2)", wide, "SELECT x", ";", "DROP TABLE animal"
    )
    assert [(one.outcome, one.correct) for one in found] == [
        *[("ok", True)] * 2,
        ("ok", False),
        *[("error", False)] * 2,
        ("refused", False),
    ]
    assert found[2].rows == (("Rex",), ("Tia",), ("Uno",))
    assert (found[3].message, found[4].message) == ("no such column: x", "empty query")
    assert {one.question_id for one in found} == {7}


def test_only_the_first_rows_are_kept(databases: Path) -> None:
    (found,) = executed(databases, "SELECT name FROM animal", shown_rows=2)
    assert (found.rows, found.row_count) == ((("Rex",), ("Tia",)), 3)


def test_the_names_of_the_columns_are_kept(databases: Path) -> None:
    named, empty, failed = executed(
        databases, "SELECT name, count(*) AS n, 1 FROM animal", "SELECT age FROM animal WHERE 0", "SELECT x"
    )
    assert (named.columns, empty.columns, failed.columns) == (("name", "n", "1"), ("age",), ())


def test_outcome_is_of_the_text_and_label_of_the_official_match(databases: Path) -> None:
    """The official program drops DISTINCT and whatever follows the first statement."""
    gold = "SELECT age > 1 FROM animal"
    two, one = executed(databases, f"{gold}; SELECT 1", "SELECT DISTINCT age > 1 FROM animal", gold=gold)
    assert (two.outcome, two.correct) == ("error", True)
    assert (one.outcome, one.row_count, one.correct) == ("ok", 2, True)


def test_a_database_without_rows_decides_nothing(databases: Path) -> None:
    found = executed(databases, GOLD, "SELECT x", db_id="none")
    assert [(one.outcome, one.correct) for one in found] == [("ok", None), ("error", None)]


def test_all_databases_of_the_folder_must_agree(databases: Path) -> None:
    by_luck = "SELECT name FROM animal WHERE name IN ('Tia', 'Uno')"
    assert executed(databases, by_luck)[0].correct is True
    make_database(databases / "zoo" / "zoo_2.sqlite", [("Vic", 9)])
    assert executed(databases, by_luck)[0].correct is False
    assert executed(databases, GOLD)[0].correct is True


def test_workers_change_nothing(databases: Path) -> None:
    questions = [question(n, gold=f"SELECT name FROM animal WHERE age > {n % 4}") for n in range(60)]
    sets = [
        CandidateSet(n, tuple(Candidate(f"SELECT name FROM animal WHERE id > {m}") for m in range(4)))
        for n in range(60)
    ]
    runs = [execute_candidates(questions, sets, databases, workers=workers) for workers in (1, 3)]
    assert [(e.question_id, e.sql, e.rows, e.correct) for e in runs[0]] == [
        (e.question_id, e.sql, e.rows, e.correct) for e in runs[1]
    ]
    assert [e.correct for e in runs[0][:4]] == [True, False, False, False]


def test_gold_executions_are_shared(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    engine, path = Engine(Limits()), str(databases / "zoo" / "zoo.sqlite")
    run = Connection.run
    monkeypatch.setattr(Connection, "run", lambda self, sql: runs.append(sql) or run(self, sql))
    for pred in ("SELECT 1", "SELECT 2", "SELECT 3"):
        execution_match.execution_match(engine.run, [path], GOLD, pred)
    assert runs == [GOLD, "SELECT 1", "SELECT 2", "SELECT 3"]


def test_an_undecided_comparison_is_no_answer_and_says_so(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_match, "results_equal", partial(results_equal, work_limit=1))
    path = str(databases / "zoo" / "zoo.sqlite")
    gold, pred = "SELECT age, age / 2 FROM animal", "SELECT age / 2, age FROM animal"
    match = execution_match.execution_match(Engine(Limits()).run, [path], gold, pred)
    assert match.correct is None
    assert match.reason.startswith("results not compared")


def test_a_prediction_that_cannot_be_tokenized_is_wrong(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def run(self, sql: str) -> None:
            raise RecursionError("too deep")

    monkeypatch.setattr(execution_match, "FilterStack", Failing)
    path = str(databases / "zoo" / "zoo.sqlite")
    match = execution_match.execution_match(Engine(Limits()).run, [path], GOLD, "SELECT DISTINCT 1")
    assert (match.correct, match.reason) == (False, "cannot be tokenized: too deep")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda zoo: zoo.unlink(), r"question 7 \(database zoo\): .*zoo\.sqlite: no such database"),
        (
            lambda zoo: zoo.write_bytes(zoo.read_bytes()[:5000]),
            r"question 7 \(database zoo\): .*malformed.*fetch it again",
        ),
        (lambda zoo: zoo.write_text("not a database " * 99), r"question 7 \(database zoo\): .*not a database"),
        (lambda zoo: zoo.write_bytes(b""), r"question 7 \(database zoo\): the gold query does not run .*no such table"),
    ],
)
def test_a_bad_database_is_an_error_and_no_wrong_answer(databases: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(databases / "zoo" / "zoo.sqlite")
    with pytest.raises(DataError, match=message) as caught:
        executed(databases, "SELECT 1")
    assert "\n" not in str(caught.value)


def test_a_gold_query_that_does_not_run_is_an_error(databases: Path) -> None:
    with pytest.raises(DataError, match=r"question 7 \(database zoo\): the gold query .*no such column: x"):
        executed(databases, "SELECT 1", gold="SELECT x FROM animal")
    with pytest.raises(DataError, match=r"timeout: stopped after 1,000 steps; .* raise the limits"):
        executed(databases, "SELECT 1", gold="SELECT count(*) FROM animal, animal, animal, animal, animal, animal",
                 limits=Limits(steps=1000))  # fmt: skip


def test_candidates_of_an_unknown_question_are_an_error(databases: Path) -> None:
    with pytest.raises(DataError, match="question 8: no such question"):
        execute_candidates([question(7)], [CandidateSet(8, (Candidate("SELECT 1"),))], databases)


def test_cells_fit_json() -> None:
    cells = [as_cell(cell, 5) for cell in (b"\x00\xff", float("inf"), -float("inf"), "abcdef", None, 1, 1.5)]
    assert cells == ["x'00…", "Inf", "-Inf", "abcd…", None, 1, 1.5]


# --- groups of equal results ------------------------------------------------------------------------------------------

ITEMS = Question(3, "shop", "?", "SELECT 1;", "", "easy")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    with sqlite3.connect(tmp_path / "shop" / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE item (name TEXT, price INTEGER)")
        connection.executemany("INSERT INTO item VALUES (?, ?)", [(f"i{n}", n % 4) for n in range(12)])
    return tmp_path


def groups(shop: Path, *sqls: str) -> list[int | None]:
    sets = [CandidateSet(3, tuple(map(Candidate, sqls)))]
    runs = execute_candidates([ITEMS], sets, shop)
    found = group_results([ITEMS], sets, runs, shop)
    assert [(each.question_id, each.sql) for each in found] == [(3, sql) for sql in sqls]
    return [each.group for each in found]


def test_equal_results_are_one_group_whatever_the_order(shop: Path) -> None:
    assert groups(
        shop,
        "SELECT nothing FROM nowhere",
        "SELECT name, price FROM item",
        "SELECT price FROM item",
        "SELECT price, name FROM item ORDER BY price DESC",
        "SELECT name, price FROM item WHERE price < 9",
        ";",
    ) == [None, 1, 2, 1, 1, None]


def test_results_that_differ_after_the_rows_that_are_kept_differ(shop: Path) -> None:
    first = "SELECT name FROM item ORDER BY name"
    last = "SELECT CASE WHEN name = 'i9' THEN 'other' ELSE name END FROM item ORDER BY name"
    assert groups(shop, first, last) == [0, 1]


def test_values_count_as_often_as_they_stand(shop: Path) -> None:
    united = "SELECT 0 UNION SELECT 1 UNION SELECT 2 UNION SELECT 3"
    low, shifted = "SELECT price FROM item WHERE price < 2", "SELECT price + 2 FROM item WHERE price < 2"
    assert groups(shop, low, shifted, "SELECT DISTINCT price FROM item", united) == [0, 1, 2, 2]


def test_empty_results_are_equal(shop: Path) -> None:
    assert groups(shop, "SELECT name FROM item WHERE 0", "SELECT * FROM item WHERE price > 9") == [0, 0]


def test_what_is_missing_is_named(shop: Path) -> None:
    sets = [CandidateSet(3, (Candidate("SELECT 1"),))]
    with pytest.raises(DataError, match="question 3: no execution of candidate 'SELECT 1'"):
        group_results([ITEMS], sets, [], shop)
    with pytest.raises(DataError, match="question 3: no such question"):
        group_results([], sets, [], shop)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_pools_executions_and_groups_are_written(databases: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {name: str(databases / f"{name}.jsonl") for name in ("questions", "candidates", "executions")}
    groups = str(databases / "groups.jsonl")
    sets = [CandidateSet(7, tuple(map(Candidate, (GOLD, "SELECT name FROM animal WHERE age IN (3, 2)", "SELECT x"))))]
    write_jsonl(files["questions"], [question(7), question(8)])
    write_jsonl(files["candidates"], sets)
    how: dict[str, Any] = {"databases": str(databases), "comparison": TEST_SUITE, "limits": {"rows": 2}, "workers": 1}
    with caplog.at_level("INFO"):
        execute_pool(**files, **how)
    found = read_jsonl(files["executions"], Execution)
    assert [(one.outcome, one.correct, one.rows) for one in found] == [
        *[("ok", True, (("Tia",), ("Uno",)))] * 2,
        ("error", False, ()),
    ]
    assert caplog.messages == ["3 candidates, 2 equal to the gold: {'ok': 2, 'error': 1}"]
    group_pool(**files, groups=groups, **how)
    assert [(one.sql, one.group) for one in read_jsonl(groups, ResultGroup)] == [
        (candidate.sql, group) for candidate, group in zip(sets[0].candidates, (0, 0, None), strict=True)
    ]
    how["limits"] = {"rows": 1}
    with pytest.raises(DataError, match=r"question 7 .*row_limit"):
        execute_pool(**files, **how)
