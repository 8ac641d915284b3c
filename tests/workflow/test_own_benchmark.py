"""A benchmark of one's own: databases and a pool alone, without schemas, labels or questions; and with questions."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import ROOT, Project
from sqljudge.sql.databases import build_database

MINI = ROOT / "resources/mini_spider"


def own(project: Project) -> list[dict[str, Any]]:
    """Databases and a pool of six questions, two of them beyond the official grammar; returns the pool."""
    rows = [
        row for row in json.loads((MINI / "pool.json").read_text(encoding="utf-8")) if row["db_id"] == "tram_network"
    ]
    pool = [{key: row[key] for key in ("db_id", "question", "sql", "top_n")} for row in rows[:6]]
    for row, odd in zip(
        pool, ("SELECT CAST(count(*) AS TEXT) FROM stop", "SELECT name FROM stop WHERE name='x'"), strict=False
    ):
        row |= {"sql": odd, "top_n": [odd, "SELECT 1"]}
    folder = project.folder / "own"
    database = folder / "database/tram_network/tram_network.sqlite"
    build_database(MINI / "database/tram_network/tram_network.sql", database)
    (project.folder / "pool.json").write_text(json.dumps(pool), encoding="utf-8")
    project.change("dataset", {"name": "own", "source": "own", "question_ids": "", "per_hardness": 1})
    project.change("pool", {"file": "pool.json"})
    project.change("experiments.table1", {"discriminators": ["taster"], "modes": ["naive", "check"]})
    return pool


def status(project: Project, table: str) -> set[str]:
    lines = (project.folder / f"results/tables/{table}.csv").open(encoding="utf-8")
    return {row["status"] for row in csv.DictReader(lines)}


def records(project: Project, kind: str, name: str) -> list[dict[str, Any]]:
    path = Path(project.folder, "results", kind, f"{name}.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_databases_and_a_pool_without_labels_are_enough(new_project: Callable[[], Project]) -> None:
    project = new_project()
    pool = own(project)
    run = project.snakemake("table1")
    assert run.code == 0, run.output
    assert status(project, "table1") == {"ok"}
    known = [
        row for row in json.loads((MINI / "pool.json").read_text(encoding="utf-8")) if row["db_id"] == "tram_network"
    ]
    sets = records(project, "candidates", "pool")
    assert [[one["label"] for one in group["candidates"]] for group in sets] == [
        *[[1, 0]] * 2,
        *(row["top_n_label"] for row in known[2:6]),
    ]
    asked = records(project, "questions", "pool")
    assert [one["hardness"] for one in asked][:2] == ["unknown"] * 2 and "unknown" not in [*asked][2]["hardness"]
    assert [one["schema_text"] for one in asked] == [row["schema"] for row in known[: len(pool)]]
    line = project.refused("table2")
    assert "the dataset's source has no question file, only a pool; name one in dataset.questions_file" in line


def test_questions_beyond_the_grammar_are_asked(new_project: Callable[[], Project]) -> None:
    project = new_project()
    pool = own(project)
    rows = [{"db_id": row["db_id"], "question": row["question"], "query": row["sql"]} for row in pool]
    (project.folder / "own/dev.json").write_text(json.dumps(rows), encoding="utf-8")
    (project.folder / "ids.txt").write_text("0\n1\n2\n3\n", encoding="utf-8")
    project.change("dataset.question_ids", "ids.txt")
    run = project.snakemake("table7")
    assert run.code == 0, run.output
    assert [one["hardness"] == "unknown" for one in records(project, "questions", "own")] == [True, True, False, False]
    table = (project.folder / "results/tables/table7.csv").open(encoding="utf-8")
    counts = {
        row["n"] for row in csv.DictReader(table) if row["metric"] == "All" and row["group"].startswith("Execution")
    }
    assert counts == {"4"}
