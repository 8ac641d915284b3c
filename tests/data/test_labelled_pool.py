"""A user's labelled pool is read in full or refused by name; a sampled one is labelled by execution."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from sqljudge.core.errors import DataError
from sqljudge.core.records import (
    EMPTY_SQL,
    NO_LEVEL,
    Candidate,
    CandidateSet,
    Execution,
    Question,
    ResultGroup,
    read_jsonl,
    write_jsonl,
)
from sqljudge.data.pool import databases_of, label_candidates, read_pool, write_labelled_pool
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.session import Session
from sqljudge.stages.judge import METHODS, judge, judged_pairs
from sqljudge.stages.label import import_pool
from sqljudge.stages.plan import PLANNERS
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.stages.score import score_judgments

MINI = ROOT / "resources" / "mini_spider"
TABLES = [
    {
        "db_id": "shop",
        "table_names_original": ["item"],
        "column_names_original": [[-1, "*"], [0, "id"], [0, "name"]],
        "foreign_keys": [],
    }
]
ENTRY = {
    "db_id": "shop",
    "schema": "-- Table item: id, name",
    "question": "How many items?",
    "sql": "SELECT count(*) FROM item",
    "top_n": ["SELECT count(*) FROM item", "SELECT count(id)  FROM item;", "SELECT max(id) FROM item"],
    "top_n_label": [1, 1, 0],
}


def read(folder: Path, rows: Any, **how: int) -> Any:
    (folder / "tables.json").write_text(json.dumps(TABLES))
    (folder / "pool.json").write_text(json.dumps(rows) if not isinstance(rows, str) else rows)
    return read_pool(folder / "pool.json", folder / "tables.json", **how)


def test_a_pool_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    expected = read(tmp_path, [ENTRY])
    (tmp_path / "pool.json").write_text(json.dumps([ENTRY]), encoding="utf-8-sig")
    assert read_pool(tmp_path / "pool.json", tmp_path / "tables.json") == expected
    assert databases_of(tmp_path / "pool.json") == ["shop"]


@pytest.mark.parametrize("rows", ["[", "{}", [], [3, {"db_id": 5}, {}]])
def test_the_databases_of_a_malformed_pool(tmp_path: Path, rows: Any) -> None:
    (tmp_path / "pool.json").write_text(rows if isinstance(rows, str) else json.dumps(rows))
    assert databases_of(tmp_path / "pool.json") == []
    assert databases_of(tmp_path / "none.json") == []


def refused(folder: Path, rows: Any, **how: int) -> str:
    with pytest.raises(DataError) as error:
        read(folder, rows, **how)
    assert "\n" not in str(error.value)
    assert str(folder / "pool.json") in str(error.value)
    return str(error.value)


def changed(**fields: Any) -> dict[str, Any]:
    return {**ENTRY, **fields}


def test_a_pool(tmp_path: Path) -> None:
    questions, sets = read(tmp_path, [ENTRY, changed(sql="SELECT name FROM item ORDER BY id LIMIT 1", extra=1)])
    assert [(q.id, q.db_id, q.question, q.hardness) for q in questions] == [
        (0, "shop", "How many items?", "easy"),
        (1, "shop", "How many items?", "medium"),
    ]
    assert questions[0].gold_sql == ENTRY["sql"]
    assert questions[0].schema_text == ENTRY["schema"]
    assert sets[0] == CandidateSet(
        0,
        (
            Candidate("SELECT COUNT(*) FROM item;", 1, 1),
            Candidate("SELECT COUNT(id) FROM item;", 1, 1),
            Candidate("SELECT MAX(id) FROM item;", 1, 0),
        ),
    )


@pytest.mark.parametrize("field", ["db_id", "question", "sql", "top_n"])
def test_missing_fields(tmp_path: Path, field: str) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != field}
    assert f"entry 1: the field '{field}' is missing" in refused(tmp_path, [ENTRY, entry])


@pytest.mark.parametrize("field", ["db_id", "schema", "question", "sql"])
def test_text_fields_that_are_not_text(tmp_path: Path, field: str) -> None:
    for value in (None, 3, ["x"])[field == "schema" :]:
        assert f"entry 0: '{field}' must be text" in refused(tmp_path, [changed(**{field: value})])


@pytest.mark.parametrize("field", ["top_n", "top_n_label"])
def test_list_fields_that_are_no_lists(tmp_path: Path, field: str) -> None:
    for value in (None, "SELECT 1", {"a": 1})[field == "top_n_label" :]:
        assert f"entry 0: '{field}' must be a list" in refused(tmp_path, [changed(**{field: value})])


@pytest.mark.parametrize("label", [2, -1, 0.5, 1.0, "1", True, [1]])
def test_labels_that_are_neither_0_nor_1(tmp_path: Path, label: Any) -> None:
    message = refused(tmp_path, [changed(top_n_label=[1, label, 0])])
    assert f"entry 0: label {label!r} is neither 0 nor 1" in message


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "an empty one"),
        ({"db_id": "shop"}, "not a list of pool questions"),
        ("[", "not JSON"),
        ([["x"]], "entry 0: not an object with the fields db_id, schema"),
        ([changed(top_n=["SELECT 1"])], "entry 0: 1 candidates but 3 labels"),
        ([changed(top_n=["a", 2, "c"])], "entry 0: 'top_n' must be a list of texts"),
        ([ENTRY, changed(db_id="shops")], "entry 1: database 'shops' is not in"),
        ([ENTRY, changed(sql=" ", top_n_label=None)], "entry 1: a label is missing, and 'sql' has no gold query"),
    ],
)
def test_malformed_pools(tmp_path: Path, rows: Any, message: str) -> None:
    assert message in refused(tmp_path, rows)


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text(json.dumps(TABLES))
    (tmp_path / "pool.json").write_bytes(json.dumps([changed(question="Stück")], ensure_ascii=False).encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_pool(tmp_path / "pool.json", tmp_path / "tables.json")


def test_equal_candidates_are_merged_after_normalisation(tmp_path: Path) -> None:
    entry = changed(
        top_n=["select ID from item", "SELECT  id FROM item ;", "SELECT max(id) FROM item", "SELECT id FROM item"],
        top_n_label=[1, 1, 0, 1],
    )
    _, (group,) = read(tmp_path, [entry])
    assert group.candidates == (Candidate("SELECT id FROM item;", 3, 1), Candidate("SELECT MAX(id) FROM item;", 1, 0))


def test_equal_candidates_must_agree_in_their_label(tmp_path: Path) -> None:
    entry = changed(top_n=["select ID from item", "SELECT id FROM item;"], top_n_label=[1, 0])
    assert "entry 0: 'SELECT id FROM item;' is labelled both 0 and 1" in refused(tmp_path, [entry])


def test_a_limit_keeps_smaller_draws(tmp_path: Path) -> None:
    rows = [changed(question=f"q{i}") for i in range(12)]
    kept = {size: [q.id for q in read(tmp_path, rows, questions=size, seed=5)[0]] for size in (3, 6, 12, 0)}
    assert [len(ids) for ids in kept.values()] == [3, 6, 12, 12]
    assert set(kept[3]) < set(kept[6])
    assert all(ids == sorted(ids) for ids in kept.values())
    questions, sets = read(tmp_path, rows, questions=6, seed=5)
    assert [q.question for q in questions] == [f"q{i}" for i in kept[6]]
    assert [group.question_id for group in sets] == kept[6]
    assert kept[6] != [q.id for q in read(tmp_path, rows, questions=6, seed=6)[0]]


def test_a_limit_above_the_pool(tmp_path: Path) -> None:
    assert "pool.questions is 3, but" in refused(tmp_path, [ENTRY, ENTRY], questions=3)


def test_entries_that_are_not_drawn_are_checked_too(tmp_path: Path) -> None:
    rows = [changed(question=f"q{i}") for i in range(5)]
    for i in range(5):
        assert f"entry {i}: the field 'sql'" in refused(
            tmp_path,
            [{k: v for k, v in row.items() if k != "sql" or j != i} for j, row in enumerate(rows)],
            questions=1,
        )


def test_the_embedded_pool() -> None:
    questions, sets = read_pool(MINI / "pool.json", MINI / "tables.json")
    assert len(questions) == len(sets) == 60
    assert all(3 <= len(group.candidates) <= 5 for group in sets)
    assert {candidate.label for group in sets for candidate in group.candidates} == {0, 1}


def test_a_question_without_candidates_flows_through(tmp_path: Path, scripted: Callable[..., ScriptedBackend]) -> None:
    """An empty list of candidates is allowed: nothing is judged, and the planners choose the empty query."""
    questions, sets = read(tmp_path, [changed(top_n=[], top_n_label=[]), changed(question="Second?")])
    assert sets[0] == CandidateSet(0, ())
    pairs = judged_pairs(questions, sets)
    assert {question.id for question, _ in pairs} == {1}
    session = Session(scripted({"match": "", "probabilities": {"Yes": 0.9}}), None, "job")
    how: dict[str, Any] = {"template": PromptTemplate("${sql}", ""), "framing": Framing("raw")}
    judgments = judge(session, pairs, method="yes_no", budget=0, **how)
    scores = score_judgments(sets, judgments, budget=1, scoring="soft", mode="naive", executable=None)
    assert len(scores) == 3
    for plan in PLANNERS.values():
        empty, full = plan(sets, scores, [ResultGroup(score.question_id, score.sql, 0) for score in scores])
        assert (empty.question_id, empty.sql, empty.score, empty.reason) == (0, EMPTY_SQL, None, "no candidates")
        assert full.sql != EMPTY_SQL


def test_only_questions_without_candidates(tmp_path: Path, scripted: Callable[..., ScriptedBackend]) -> None:
    questions, sets = read(tmp_path, [changed(top_n=[], top_n_label=[])])
    session = Session(scripted(), None, "job")
    for method in METHODS:
        assert (
            judge(
                session,
                judged_pairs(questions, sets),
                method=method,
                template=PromptTemplate("", ""),
                framing=Framing("raw"),
                budget=5,
            )
            == []
        )
    assert label_candidates(sets, []) == sets


def execution(question_id: int, sql: str, correct: bool | None) -> Execution:
    return Execution(question_id, sql, "ok", "", (), 0, 0, 0.0, correct)


def test_labels_are_those_of_the_executions() -> None:
    sets = [
        CandidateSet(1, (Candidate("a;", 2, mean_logprob=-0.5), Candidate("b;"))),
        CandidateSet(2, (Candidate("a;"),)),
    ]
    done = [execution(1, "b;", False), execution(1, "a;", True), execution(2, "a;", False)]
    assert label_candidates(sets, done) == [
        CandidateSet(1, (Candidate("a;", 2, 1, -0.5), Candidate("b;", label=0))),
        CandidateSet(2, (Candidate("a;", label=0),)),
    ]


def test_questions_without_rows_to_compare_are_left_out() -> None:
    sets = [CandidateSet(1, (Candidate("a;"), Candidate("b;"))), CandidateSet(2, (Candidate("a;"),))]
    done = [execution(1, "a;", None), execution(1, "b;", None), execution(2, "a;", True)]
    assert [group.question_id for group in label_candidates(sets, done)] == [2]


def test_a_candidate_that_was_never_executed() -> None:
    with pytest.raises(DataError, match=r"question 1: no execution of 'a;'; re-run the rule execute"):
        label_candidates([CandidateSet(1, (Candidate("a;"),))], [execution(2, "a;", True)])


def test_a_labelled_pool_is_written_with_its_questions(tmp_path: Path) -> None:
    """Those of databases without rows to compare are in neither file."""
    sets = [CandidateSet(1, (Candidate("a;"),)), CandidateSet(2, (Candidate("a;"), Candidate("b;")))]
    questions = [Question(number, "shop", "?", "SELECT 1", "", "easy") for number in (1, 2, 3)]
    done = [execution(1, "a;", None), execution(2, "a;", True), execution(2, "b;", False)]
    names = ("questions", "candidates", "executions", "pool_questions", "pool_candidates")
    files = {name: str(tmp_path / name) for name in names}
    for name, some in zip(names, (questions, sets, done), strict=False):
        write_jsonl(files[name], some)
    write_labelled_pool(**files)
    assert read_jsonl(files["pool_questions"], Question) == [questions[1]]
    assert read_jsonl(files["pool_candidates"], CandidateSet) == label_candidates(sets, done)


EXECUTION: dict[str, Any] = {
    "databases": "none",
    "dataset_format": "spider",
    "comparison": "test_suite",
    "limits": {},
    "workers": 1,
}


def imported(
    folder: Path, pool: list[dict[str, Any]], items: str = "(1, 'a'), (4, 'b')"
) -> tuple[list[Question], list[CandidateSet]]:
    """What is made of a pool over a shop with some items."""
    database = folder / "database/shop/shop.sqlite"
    database.parent.mkdir(parents=True)
    (folder / "pool.json").write_text(json.dumps(pool))
    (folder / "tables.json").write_text(json.dumps(TABLES))
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "CREATE TABLE item (id, name);" + (f"INSERT INTO item VALUES {items}" if items else "")
        )
    files = {name: str(folder / name) for name in ("questions", "candidates")}
    given = {name: str(folder / f"{name}.json") for name in ("pool", "tables")}
    import_pool(**given, **files, **{**EXECUTION, "databases": str(folder / "database")}, limit=0, seed=5)
    return read_jsonl(files["questions"], Question), read_jsonl(files["candidates"], CandidateSet)


def test_labels_that_are_missing_are_those_of_an_execution(tmp_path: Path) -> None:
    without = {key: value for key, value in ENTRY.items() if key not in ("top_n_label", "schema")}
    rows = [
        without,
        changed(top_n_label=None, top_n=["SELECT 2", "SELECT count(*) FROM items", "SELECT 3"]),
        changed(top_n_label=[0, None, None]),
        changed(top_n_label=[0, 0, 1]),
    ]
    questions, sets = imported(tmp_path, rows)
    assert [[candidate.label for candidate in group.candidates] for group in sets] == [
        [1, 1, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    ], "labels that are given stay"
    assert [question.schema_text for question in questions] == ["-- Table item: id, name", *[ENTRY["schema"]] * 3]


def test_a_gold_query_beyond_the_grammar_labels_as_any_other(tmp_path: Path) -> None:
    golds = (
        "SELECT CASE WHEN id > 2 THEN 'big' ELSE 'small' END FROM item",
        "SELECT name FROM item WHERE name='b'",
        "SELECT CAST(sum(id) AS REAL) / count(*) FROM item",
    )
    rows = [changed(sql=sql, top_n=[sql, "SELECT 7"], top_n_label=None) for sql in golds]
    questions, sets = imported(tmp_path, rows)
    assert [question.hardness for question in questions] == [NO_LEVEL] * 3
    assert [[candidate.label for candidate in group.candidates] for group in sets] == [[1, 0]] * 3


def test_labels_cannot_be_had_of_a_database_without_rows_or_a_gold_query_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pool\.json: no question is left; its databases hold no rows"):
        imported(tmp_path / "a", [changed(top_n_label=None)], items="")
    with pytest.raises(DataError, match=r"question 1 \(database shop\): the gold query does not run on .*no such tab"):
        imported(tmp_path / "b", [ENTRY, changed(sql="SELECT a FROM items", top_n_label=None)])


def test_a_users_pool_is_written_as_questions_and_candidates(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    questions, sets = read(tmp_path, [changed(question=f"q{i}") for i in range(9)], questions=4, seed=5)
    files = {name: str(tmp_path / name) for name in ("questions", "candidates")}
    given = {name: str(tmp_path / f"{name}.json") for name in ("pool", "tables")}
    with caplog.at_level("INFO"):
        import_pool(**given, **files, **EXECUTION, limit=4, seed=5)
    assert read_jsonl(files["questions"], Question) == questions
    assert read_jsonl(files["candidates"], CandidateSet) == sets
    assert caplog.messages == ["4 questions, 12 candidates"]
