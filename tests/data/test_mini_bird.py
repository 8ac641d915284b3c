"""The embedded set in BIRD's format keeps its promises: every gold query and every label is run here, not believed."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqljudge.data.datasets import BIRD, load_questions, schema_texts
from sqljudge.data.pool import read_pool
from sqljudge.data.staging import stage_dataset
from sqljudge.sql.databases import build_database, database_path
from sqljudge.sql.text import normalize_sql
from sqljudge.stages.execute import execute_candidates

HERE = Path(__file__).parents[2] / "resources" / "mini_bird"
DEV: list[dict[str, Any]] = json.loads((HERE / "dev.json").read_text(encoding="utf-8"))
POOL: list[dict[str, Any]] = json.loads((HERE / "pool.json").read_text(encoding="utf-8"))
TABLES: list[dict[str, Any]] = json.loads((HERE / "dev_tables.json").read_text(encoding="utf-8"))
DB_IDS = {"bike_share", "wind_farms", "record_archive"}
FIELDS = ["question_id", "db_id", "question", "evidence", "SQL", "difficulty"]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini_bird") / "data"
    assert set(stage_dataset(HERE, folder, dataset_format=BIRD)) == DB_IDS
    return folder


@pytest.fixture(scope="module")
def connections(staged: Path) -> Iterator[dict[str, sqlite3.Connection]]:
    opened = {db_id: sqlite3.connect(database_path(staged / "database", db_id)) for db_id in DB_IDS}
    yield opened
    for connection in opened.values():
        connection.close()


def test_the_questions_have_birds_fields_and_eight_of_each_difficulty() -> None:
    assert all(list(row) == FIELDS for row in DEV)
    assert [row["question_id"] for row in DEV] == list(range(24))
    assert Counter(row["difficulty"] for row in DEV) == dict.fromkeys(BIRD.levels, 8)
    assert Counter(row["db_id"] for row in DEV) == dict.fromkeys(DB_IDS, 8)
    assert sum(bool(row["evidence"]) for row in DEV) == 23, "one question goes without, as some of BIRD's do"


@pytest.mark.parametrize("entry", TABLES, ids=[entry["db_id"] for entry in TABLES])
def test_the_schemas_agree_with_the_databases(entry: dict[str, Any], tmp_path: Path) -> None:
    db_id, names = entry["db_id"], entry["table_names_original"]
    build_database(HERE / "dev_databases" / db_id / f"{db_id}.sql", tmp_path / "built.sqlite")
    with closing(sqlite3.connect(tmp_path / "built.sqlite")) as connection:
        made = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info(`{table}`)")]
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    told: dict[str, list[str]] = {name: [] for name in names}
    for table, column in entry["column_names_original"][1:]:
        told[names[table]].append(column)
    assert told == made
    assert sum(" " in column for columns in told.values() for column in columns) >= 3


@pytest.mark.parametrize("row", DEV, ids=[str(row["question_id"]) for row in DEV])
def test_every_gold_query_gives_something(row: dict[str, Any], connections: dict[str, sqlite3.Connection]) -> None:
    rows = connections[row["db_id"]].execute(row["SQL"]).fetchall()
    assert rows
    assert rows not in ([(0,)], [(None,)])
    for quoted_names in (False, True):  # no gold query has double quotes, so both forms are the same query
        again = connections[row["db_id"]].execute(normalize_sql(row["SQL"], quoted_names=quoted_names)).fetchall()
        assert again == rows


def test_the_pool_is_of_the_same_questions_and_the_workflow_gives_its_labels(staged: Path) -> None:
    questions = load_questions(staged / "questions.json", staged / "tables.json", BIRD)
    asked, groups = read_pool(HERE / "pool.json", staged / "tables.json", dataset_format=BIRD)
    assert asked == questions
    assert {row["db_id"]: row["schema"] for row in POOL} == schema_texts(staged / "tables.json", BIRD)
    runs = execute_candidates(asked, groups, staged / "database", comparison=BIRD.comparison)
    labels = [candidate.label for group in groups for candidate in group.candidates]
    assert len(labels) == 72
    assert [run.correct for run in runs] == [label == 1 for label in labels]


def test_birds_rule_of_comparison_is_needed(staged: Path) -> None:
    asked, groups = read_pool(HERE / "pool.json", staged / "tables.json", dataset_format=BIRD)
    labels = [candidate.label == 1 for group in groups for candidate in group.candidates]
    by_spider = [run.correct for run in execute_candidates(asked, groups, staged / "database")]
    assert by_spider != labels, "some right candidates differ from the gold in how often a row occurs"
