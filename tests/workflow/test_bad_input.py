"""A user's mistake ends in one line that says what, where and what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, Project

NewProject = Callable[[], Project]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("sede", 1, "unknown key 'sede'; did you mean 'seed'?"),
        ("discriminators.taster.model", "actr", "'actr' is not defined; did you mean 'actor'?"),
        ("dataset.source", "no/such/folder", "dataset.source: no/such/folder does not exist"),
        ("models_table", "no.tsv", "models_table: "),
    ],
)
def test_the_configuration_is_refused_before_anything_runs(
    new_project: NewProject, path: str, value: Any, said: str
) -> None:
    """Its types, names, files and models; every message has a test in tests/experiments/test_config.py."""
    project = new_project()
    project.change(path, value)
    assert said in project.refused("-n")


def test_more_questions_than_there_are(new_project: NewProject) -> None:
    project = new_project()
    project.change("dataset.per_hardness", 16)
    line = project.refused("results/questions/mini_spider.jsonl")
    assert "per_hardness is 16, but only 15 usable questions are easy" in line


def own_dataset(project: Project) -> Path:
    """A copy of the embedded benchmark that the project uses, to damage."""
    folder = project.folder / "own"
    shutil.copytree(ROOT / "resources/mini_spider", folder)
    project.change("dataset.source", "own")
    return folder


def test_a_dataset_without_training_questions(new_project: NewProject) -> None:
    project = new_project()
    (own_dataset(project) / "train.json").unlink()
    line = project.refused("results/judgments/taster/few_shot/pool.parquet")
    assert "holds no train.json, which demonstrations come from; name a training file in demonstrations.file" in line


def test_a_training_file_that_holds_evaluated_questions_alone(new_project: NewProject) -> None:
    project = new_project()
    rows = json.loads((ROOT / "resources/mini_spider/dev.json").read_text(encoding="utf-8"))[:3]
    pool = json.loads((ROOT / "resources/mini_spider/pool.json").read_text(encoding="utf-8"))[:3]
    (project.folder / "train.json").write_text(json.dumps(rows), encoding="utf-8")
    (project.folder / "pool.json").write_text(json.dumps(pool), encoding="utf-8")
    project.change("pool", {"file": "pool.json"})
    project.change("demonstrations", {"file": "train.json"})
    line = project.refused("results/judgments/taster/few_shot/pool.parquet")
    assert "train.json: none of its 3 examples is left when the evaluated questions are taken out" in line


def test_a_missing_database(new_project: NewProject) -> None:
    project = new_project()
    folder = own_dataset(project)
    victim = next((folder / "database").iterdir())
    shutil.rmtree(victim)
    assert f"{victim.name}.sqlite is missing" in project.refused("results/questions/mini_spider.jsonl")


def test_a_truncated_database(new_project: NewProject) -> None:
    project = new_project()
    folder = own_dataset(project)
    assert project.snakemake("results/questions/mini_spider.jsonl").code == 0
    victim = next((folder / "database").iterdir())
    built = project.folder / "results/data/mini_spider/database" / victim.name / f"{victim.name}.sqlite"
    (victim / built.name).write_bytes(built.read_bytes()[:5000])
    line = project.refused("results/questions/mini_spider.jsonl")
    assert built.name in line
    assert "the database is damaged, fetch it again" in line


def test_questions_that_are_not_utf8(new_project: NewProject) -> None:
    project = new_project()
    questions = own_dataset(project) / "dev.json"
    questions.write_bytes(questions.read_bytes().replace(b'"question": "', b'"question": "\xff', 1))
    assert "not UTF-8" in project.refused("results/questions/mini_spider.jsonl")


def test_a_gold_query_that_does_not_execute(new_project: NewProject) -> None:
    project = new_project()
    rows = json.loads((ROOT / "resources/mini_spider/pool.json").read_text(encoding="utf-8"))[:1]
    tables = json.loads((ROOT / "resources/mini_spider/tables.json").read_text(encoding="utf-8"))
    entry = next(table for table in tables if table["db_id"] == rows[0]["db_id"])
    ghost = {**entry, "column_names_original": [*entry["column_names_original"], [0, "ghost"]]}
    ghost["column_names"] = [*entry["column_names"], [0, "ghost"]]
    ghost["column_types"] = [*entry["column_types"], "text"]
    folder = own_dataset(project)
    (folder / "tables.json").write_text(json.dumps([ghost, *(t for t in tables if t is not entry)]), encoding="utf-8")
    rows[0]["sql"] = f"SELECT ghost FROM {entry['table_names_original'][0]}"
    (project.folder / "pool.json").write_text(json.dumps(rows), encoding="utf-8")
    project.change("pool", {"file": "pool.json"})
    line = project.refused("results/executions/pool.jsonl")
    assert "gold" in line
    assert "question 0" in line


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda row: row.pop("question"), "entry 0: the field 'question' is missing"),
        (lambda row: row["top_n_label"].__setitem__(0, 2), "entry 0: label 2 is neither 0 nor 1"),
        (lambda row: row["top_n_label"].pop(), "candidates but"),
    ],
)
def test_a_malformed_pool(new_project: NewProject, damage: Callable[[Any], Any], said: str) -> None:
    project = new_project()
    rows = json.loads((ROOT / "resources/mini_spider/pool.json").read_text(encoding="utf-8"))[:2]
    damage(rows[0])
    (project.folder / "pool.json").write_text(json.dumps(rows), encoding="utf-8")
    project.change("pool", {"file": "pool.json"})
    assert said in project.refused("results/candidates/pool.jsonl")


def test_a_question_without_candidates_flows_through(new_project: NewProject) -> None:
    project = new_project()
    rows = json.loads((ROOT / "resources/mini_spider/pool.json").read_text(encoding="utf-8"))[:3]
    rows[0]["top_n"], rows[0]["top_n_label"] = [], []
    (project.folder / "pool.json").write_text(json.dumps(rows), encoding="utf-8")
    project.change("pool", {"file": "pool.json"})
    run = project.snakemake("table1")
    assert run.code == 0, run.output


def test_a_model_folder_without_weights(new_project: NewProject) -> None:
    project = new_project()
    (project.folder / "hollow").mkdir()
    table = "name\tsource\trevision\tbackend\tdtype\tquantization\nactor\t./hollow\t-\ttransformers\tfloat32\tnone\n"
    (project.folder / "models.tsv").write_text(table, encoding="utf-8")
    assert "hollow holds no weights" in project.refused("results/candidates/writer.greedy.jsonl")


def test_no_source_and_no_network_says_what_to_download(new_project: NewProject) -> None:
    project = new_project()
    project.change("dataset", {"name": "spider", "source": "", "mirrors": ["http://127.0.0.1:9/spider_data.zip"]})
    line = project.refused("results/questions/spider.jsonl")
    assert "Download it by hand from http://127.0.0.1:9/spider_data.zip" in line
    assert "set dataset.source" in line
