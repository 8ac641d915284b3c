"""Rewrites keep a result and mutations change it; what is made has balanced styles and nothing that is evaluated."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import Candidate, CandidateSet, Judgment, Question, write_jsonl
from sqljudge.training.data import check_apart, from_judgments, from_sat, prepare
from sqljudge.training.items import Item, read_items, read_note, write_items
from sqljudge.training.mutations import COMPOUND_MUTATIONS, FAULTS, mutations
from sqljudge.training.pairs import make_pairs
from sqljudge.training.random_databases import literals_of, random_database
from sqljudge.training.rewrites import COMPOUND_REWRITES, REWRITES
from sqljudge.training.trees import changed

SCHEMA: dict[str, Any] = {
    "db_id": "garden",
    "table_names_original": ["bed", "plant"],
    "column_names_original": [
        [-1, "*"],
        [0, "bed_id"],
        [0, "name"],
        [0, "area"],
        [1, "plant_id"],
        [1, "bed_id"],
        [1, "kind"],
        [1, "height"],
    ],
    "column_types": ["text", "number", "text", "number", "number", "number", "text", "number"],
    "primary_keys": [1, 4],
    "foreign_keys": [[5, 1]],
}
SCHEMA |= {"table_names": SCHEMA["table_names_original"], "column_names": SCHEMA["column_names_original"]}
ROSES, LARGEST, HIGH, EMPTY, BETWEEN, LARGE = GOLDS_SQL = (
    "SELECT T1.name FROM bed AS T1 JOIN plant AS T2 ON T1.bed_id = T2.bed_id WHERE T2.kind = 'rose'",
    "SELECT name FROM bed ORDER BY area DESC LIMIT 1",
    "SELECT count(*) FROM plant WHERE height > 2",
    "SELECT name FROM bed WHERE bed_id NOT IN (SELECT bed_id FROM plant)",
    "SELECT kind FROM plant WHERE height BETWEEN 2 AND 4",
    "SELECT kind FROM plant WHERE bed_id IN (SELECT bed_id FROM bed WHERE area > 3)",
)
COUNTS = "SELECT T1.name, count(*) FROM bed AS T1 JOIN plant AS T2 ON T1.bed_id = T2.bed_id GROUP BY T1.bed_id"
BOTH = "SELECT kind FROM plant WHERE height > 2 INTERSECT SELECT kind FROM plant WHERE height < 5"
GOLDS = {f"Question {place}?": sql for place, sql in enumerate(GOLDS_SQL)}
INNER = "FROM plant AS T2 WHERE"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (ROSES, f"SELECT T1.name FROM bed AS T1 WHERE T1.bed_id IN (SELECT T2.bed_id {INNER} T2.kind = 'rose')"),
        (
            ROSES,
            f"SELECT T1.name FROM bed AS T1 WHERE EXISTS(SELECT 1 {INNER} T2.bed_id = T1.bed_id AND T2.kind = 'rose')",
        ),
        (LARGEST, "SELECT name FROM bed WHERE area = (SELECT MAX(area) FROM bed)"),
        (HIGH, "SELECT COUNT(*) FROM (SELECT 1 FROM plant WHERE height > 2) AS counted"),
        (EMPTY.replace("name", "bed_id"), "SELECT bed_id FROM bed EXCEPT SELECT bed_id FROM plant"),
        (BETWEEN, "SELECT kind FROM plant WHERE (height >= 2 AND height <= 4)"),
        (EMPTY, "SELECT bed.name FROM bed LEFT JOIN plant ON bed.bed_id = plant.bed_id WHERE plant.bed_id IS NULL"),
        (ROSES, "SELECT T1.name FROM bed AS T1, plant AS T2 WHERE T1.bed_id = T2.bed_id AND T2.kind = 'rose'"),
        (
            COUNTS,
            "SELECT T1.name, (SELECT COUNT(*) FROM plant AS T2 WHERE T2.bed_id = T1.bed_id) FROM bed AS T1 "
            "WHERE EXISTS(SELECT 1 FROM plant AS T2 WHERE T2.bed_id = T1.bed_id)",
        ),
        (HIGH, "SELECT COUNT(*) FROM (SELECT * FROM plant WHERE height > 2) AS plant"),
        (HIGH, "SELECT COUNT(*) FROM plant WHERE NOT (height <= 2)"),
        (HIGH, "SELECT COUNT(*) AS number FROM plant WHERE height > 2"),
        ("SELECT max(height) FROM plant", "SELECT height FROM plant ORDER BY height DESC LIMIT 1"),
        ("SELECT avg(height) FROM plant", "SELECT SUM(height) * 1.0 / COUNT(height) FROM plant"),
        ("SELECT DISTINCT kind FROM plant", "SELECT kind FROM plant GROUP BY kind"),
        (BOTH, f"SELECT DISTINCT kind FROM plant WHERE height > 2 AND kind IN ({BOTH.partition(' INTERSECT ')[2]})"),
        (
            BOTH.replace("INTERSECT", "EXCEPT"),
            f"SELECT DISTINCT kind FROM plant WHERE height > 2 AND kind NOT IN ({BOTH.partition(' INTERSECT ')[2]})",
        ),
    ],
)
def test_structure_is_rewritten_and_keeps_its_result(sql: str, expected: str) -> None:
    assert expected in changed(sql, REWRITES, COMPOUND_REWRITES)
    for seed in range(5):
        database = sqlite3.connect(":memory:")
        database.executescript(random_database(SCHEMA, literals_of([sql]), seed))
        if sql not in (ROSES, LARGEST):  # a bed may have two roses, and two may be the largest
            assert sorted(database.execute(sql)) == sorted(database.execute(expected))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (HIGH, "SELECT COUNT(*) FROM plant WHERE height > 3"),
        ("SELECT name FROM bed WHERE name = 'Rose'", "SELECT name FROM bed WHERE name = 'rose'"),
        ("SELECT count(DISTINCT kind) FROM plant", "SELECT COUNT(kind) FROM plant"),
        (LARGE, "SELECT kind FROM plant WHERE bed_id NOT IN (SELECT bed_id FROM bed WHERE area > 3)"),
        (EMPTY, "SELECT name FROM bed WHERE bed_id IN (SELECT bed_id FROM plant)"),
        (ROSES, "SELECT T1.name FROM bed AS T1, plant AS T2 WHERE T2.kind = 'rose'"),
        (COUNTS, "SELECT T1.name, COUNT(*) FROM bed AS T1 JOIN plant AS T2 ON T1.bed_id = T2.bed_id"),
        ("SELECT name FROM bed", "SELECT name, bed_id FROM bed"),
        (BOTH, BOTH.replace("INTERSECT", "UNION")),
        (BOTH, BOTH.partition(" INTERSECT ")[0]),
    ],
)
def test_mistakes_of_models_are_made(sql: str, expected: str) -> None:
    assert expected in changed(sql, mutations(columns()), COMPOUND_MUTATIONS)


@pytest.mark.parametrize(
    ("sql", "expected", "said"),
    [
        (LARGEST, "SELECT name FROM bed ORDER BY area_name DESC LIMIT 1", "no such column"),
        (ROSES, ROSES.replace("T2.kind", "T1.kind"), "no such column"),
        (ROSES, ROSES.replace("T1.bed_id = T2", "bed_id = T2"), "ambiguous"),
    ],
)
def test_faults_are_made(sql: str, expected: str, said: str) -> None:
    assert expected in changed(sql, FAULTS)
    database = sqlite3.connect(":memory:")
    database.executescript(random_database(SCHEMA, {}, 0))
    with pytest.raises(sqlite3.OperationalError, match=said):
        database.execute(expected)


def columns() -> dict[str, list[str]]:
    return {"bed": ["bed_id", "name", "area"], "plant": ["plant_id", "bed_id", "kind", "height"]}


@pytest.mark.parametrize("changes", [REWRITES, mutations(columns())], ids=["rewrites", "mutations"])
@pytest.mark.parametrize("sql", GOLDS.values())
def test_what_is_made_runs(sql: str, changes: Any) -> None:
    database = sqlite3.connect(":memory:")
    database.executescript(random_database(SCHEMA, literals_of(list(GOLDS.values())), 0))
    made = changed(sql, changes)
    assert made
    for each in made:
        database.execute(each)


def test_random_databases_hold_the_values_that_queries_ask_for_and_join() -> None:
    database = sqlite3.connect(":memory:")
    database.executescript(random_database(SCHEMA, literals_of(list(GOLDS.values())), 3))
    roses = database.execute("SELECT count(*) FROM plant WHERE kind = 'rose'").fetchone()[0]
    joined = database.execute("SELECT count(*) FROM bed JOIN plant USING (bed_id)").fetchone()[0]
    keys = database.execute("SELECT count(*) - count(DISTINCT bed_id) FROM bed").fetchone()[0]
    assert roses > 0
    assert joined > 0
    assert keys == 0
    one, same, other = (random_database(SCHEMA, {}, seed) for seed in (1, 1, 2))
    assert one == same != other


@pytest.fixture
def spider(tmp_path: Path) -> tuple[str, str]:
    """Questions about gardens, and their schema, in Spider's form."""
    rows = [{"db_id": "garden", "question": question, "query": sql} for question, sql in GOLDS.items()]
    rows.append({"db_id": "garden", "question": "What?", "query": "SELECT nothing FROM bed"})
    for name, value in (("train.json", rows), ("tables.json", [SCHEMA])):
        (tmp_path / name).write_text(json.dumps(value), encoding="utf-8")
    return str(tmp_path / "train.json"), str(tmp_path / "tables.json")


def test_pairs_are_right_and_wrong_by_execution_with_styles_balanced(spider: tuple[str, str]) -> None:
    items, dropped = make_pairs(file=spider[0], tables=spider[1], questions=0, validation_databases=0, seed=1)
    assert dropped["gold query fails or gives nothing"] >= 1
    groups = Counter((item.group, item.label) for item in items)
    assert all(groups[group, 1] == groups[group, 0] > 0 for group, _ in groups)
    styles = [
        [word in item.sql for item in items if item.label == label]
        for word in ("EXISTS", "(SELECT")
        for label in (0, 1)
    ]
    assert sum(styles[0]) == sum(styles[1]) > 0
    assert abs(sum(styles[2]) - sum(styles[3])) <= 2
    assert all(item.result for item in items)
    databases = [sqlite3.connect(":memory:") for _ in range(5)]
    for seed, database in enumerate(databases):
        database.executescript(random_database(SCHEMA, literals_of(list(GOLDS.values())), 100 + seed))
    golds = {f"q{place}": sql for place, sql in enumerate(GOLDS.values())}
    faulty = {item.id for item in items if item.result.startswith("It does not run")}
    assert 0 < len(faulty) < len(items) / 4
    assert not any(item.label for item in items if item.id in faulty)
    for item in items:
        if item.id in faulty:
            with pytest.raises(sqlite3.OperationalError):
                databases[0].execute(item.sql)
            continue
        same = [
            sorted(database.execute(item.sql), key=str) == sorted(database.execute(golds[item.group]), key=str)
            for database in databases
        ]
        assert all(same) if item.label else not all(same), item.sql
    again, _ = make_pairs(file=spider[0], tables=spider[1], questions=0, validation_databases=1, seed=1)
    assert [replace(item, validation=False) for item in again] == items
    assert all(item.validation for item in again)


# --- guards -----------------------------------------------------------------------------------------------------------

EVALUATED = [Question(0, "shop", "How many  goods?", "SELECT count(*) FROM goods", "", "easy")]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (Item("1", "1", "shop", "Other?", sql="SELECT 1", label=0), "the database 'shop'"),
        (Item("1", "1", "own", "how many goods?", sql="SELECT 1", label=0), "the question 'how many goods?'"),
        (Item("1", "1", "own", "Other?", sql="select COUNT(*)  from goods", label=1), "the gold query"),
        (Item("1", "1", "own", "Other?", gold="SELECT count(*) FROM goods;"), "the gold query"),
    ],
)
def test_what_is_evaluated_is_refused(item: Item, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="trained on what is evaluated") as error:
        check_apart([Item("0", "0", "own", "Fine?", sql="SELECT 2", label=1), item], EVALUATED, "here")
    assert said in str(error.value)
    write_items(tmp_path / "own.jsonl", [item], {})
    write_jsonl(tmp_path / "evaluated.jsonl", EVALUATED)
    with pytest.raises(DataError, match="training data 'mine'"):
        prepare(
            data=str(tmp_path / "made.jsonl"),
            note="",
            evaluated=[str(tmp_path / "evaluated.jsonl")],
            kind="file",
            settings={"licence": "CC0-1.0", "origin": ""},
            name="mine",
            file=str(tmp_path / "own.jsonl"),
        )
    assert not (tmp_path / "made.jsonl").exists()


def test_a_wrong_query_may_be_the_gold_query_of_another_database() -> None:
    check_apart([Item("1", "1", "own", "Other?", sql="SELECT count(*) FROM goods", label=0)], EVALUATED, "here")


# --- files ------------------------------------------------------------------------------------------------------------


def test_items_and_their_note_are_read_as_they_were_written(tmp_path: Path) -> None:
    items, note = from_sat(steps=[[3, 5, 5], [3, 5, 6]], number=3, validation=2, seed=1)
    write_items(tmp_path / "sat.jsonl", items, note)
    assert read_items(tmp_path / "sat.jsonl") == items
    assert read_note(tmp_path / "sat.jsonl")["steps"] == [[3, 5, 5], [3, 5, 6]]
    assert Counter((item.group, item.validation) for item in items) == {
        ("3-5-5", False): 3,
        ("3-5-5", True): 2,
        ("3-5-6", False): 3,
        ("3-5-6", True): 2,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no training items"),
        ("{", "line 1: not a training item"),
        ("[]", "must be an object"),
        ('{"id": "1", "group": "g", "question": "q", "labels": 1}', "labels"),
        ('{"id": "1", "group": "g", "question": "q", "label": 2}', "must be 0 or 1"),
        ('{"id": "1", "group": "g", "question": "q", "label": true}', "label is True"),
        ('{"id": 1, "group": "g", "question": "q"}', "id is 1"),
        ('{"id": "1", "group": "g"}', "neither a question nor an answer"),
        ('{"id": "1", "group": "g", "question": "q"}\n' * 2, "line 2: the id '1' stands twice"),
    ],
)
def test_a_file_that_holds_no_items_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "items.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"items\.jsonl") as error:
        read_items(tmp_path / "items.jsonl")
    assert said in str(error.value)


def test_traces_are_responses_that_ended_with_a_verdict_and_right_by_the_label(tmp_path: Path) -> None:
    def judged(sql: str, response: str, reason: str = "stop") -> Judgment:
        ends = tuple(range(1, len(response) + 1))
        return Judgment(0, sql, None, response, ends, (0.0,) * len(ends), ends, reason, 99)

    judgments = [
        judged("a", 'so {"correct": true}'),
        judged("b", 'so {"correct": true}'),
        judged("c", "no verdict"),
        judged("d", '{"correct": true} and', "length"),
    ]
    write_judgments(tmp_path / "j.parquet", judgments)
    labelled = tuple(Candidate(sql, label=int(sql == "a")) for sql in "abcd")
    write_jsonl(tmp_path / "c.jsonl", [CandidateSet(0, labelled)])
    write_jsonl(tmp_path / "q.jsonl", [Question(0, "own", "What?", "x", "-- s", "easy")])
    files = {
        key: str(tmp_path / name)
        for key, name in (("judgments", "j.parquet"), ("candidates", "c.jsonl"), ("questions", "q.jsonl"))
    }
    items, _ = from_judgments(**files, licence="own", origin="")
    assert [(item.sql, item.label, item.right) for item in items] == [("a", 1, True), ("b", 0, False)]
    assert items[0].schema == "-- s"
