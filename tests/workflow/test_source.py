"""Where a dataset lies: around the run's own folder, behind links, in another split, under a pool over more of it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import ROOT, Project

NewProject = Callable[[], Project]
MINI = ROOT / "resources/mini_spider"
SAMPLE = "results/questions/mini_spider.jsonl"
STAGED = "results/data/mini_spider/questions.json"


def around(project: Project, place: Path) -> None:
    """Put a copy of the embedded benchmark into a folder that is there already."""
    for name in ("dev.json", "tables.json", "train.json", "database"):
        source = MINI / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, place / name)


def runs_again(project: Project, target: str = SAMPLE) -> None:
    """It runs, then has nothing to do; and runs again from the start where what it staged is gone."""
    first = project.snakemake(target)
    assert first.code == 0, first.output
    again = project.snakemake(target, "-n")
    assert again.code == 0, again.output
    assert "Nothing to be done" in again.output, again.output
    shutil.rmtree(project.folder / "results/data")
    anew = project.snakemake(target, "--forcerun", "sample_questions")
    assert anew.code == 0, anew.output


@pytest.mark.slow
@pytest.mark.parametrize("source", [".", "parent", "link", "absolute"])
def test_a_run_inside_its_dataset(new_project: NewProject, source: str) -> None:
    project = new_project()
    if source == "parent":
        project.folder = project.folder / "run"
        shutil.copytree(project.folder.parent, project.folder, ignore=shutil.ignore_patterns("run"))
    around(project, project.folder.parent if source == "parent" else project.folder)
    (project.folder / "link").symlink_to(".")
    project.change("dataset.source", {"absolute": str(project.folder), "parent": ".."}.get(source, source))
    runs_again(project)
    if source == ".":
        assert project.snakemake("results/judgments/taster/few_shot/pool.parquet").code == 0


@pytest.mark.slow
def test_an_archive_in_the_folder_of_the_run(new_project: NewProject) -> None:
    """Also where a download would lie: no rule makes it where a source is named."""
    project = new_project()
    for name in ("data.zip", "results/downloads/mini_spider.zip"):
        (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(project.folder / name, "w") as out:
            for path in sorted(MINI.rglob("*")):
                if path.is_file():
                    out.write(path, path.relative_to(MINI).as_posix())
        project.change("dataset.source", name)
        runs_again(project)
        assert project.snakemake(SAMPLE, "--forceall").code == 0
        assert (project.folder / name).is_file()


@pytest.mark.parametrize("source", ["results", "link"])
def test_what_a_run_writes_is_refused_as_its_source(new_project: NewProject, source: str) -> None:
    project = new_project()
    (project.folder / "results/data/mini_spider").mkdir(parents=True)
    (project.folder / "logs").mkdir()
    (project.folder / "link").symlink_to("results")
    around(project, project.folder / "results")
    project.change("dataset.source", source)
    assert f"dataset.source: {source} is a folder that the run writes" in project.refused("-n", SAMPLE)
    assert (project.folder / "results/dev.json").is_file()


@pytest.mark.slow
def test_links_in_a_source(new_project: NewProject) -> None:
    project = new_project()
    (project.folder / "own/spider_data").mkdir(parents=True)
    around(project, project.folder / "own/spider_data")
    for name in ("own/spider_data/database", "own/spider_data"):
        shutil.move(project.folder / name, project.folder / Path(name).name)
        (project.folder / name).symlink_to(project.folder / Path(name).name)
    project.change("dataset.source", "own")
    runs_again(project)
    victim = next((project.folder / "database").iterdir())
    shutil.move(victim, project.folder / "gone")
    victim.symlink_to("nowhere")
    line = project.refused(SAMPLE)
    assert f"{victim.name} is a link to nowhere, which does not exist" in line


@pytest.mark.slow
def test_the_test_split(new_project: NewProject) -> None:
    """In the layout of Spider's own: its names beside those of the development set, whose files are there, too."""
    project = new_project()
    folder = project.folder / "own/spider_data"
    folder.mkdir(parents=True)
    around(project, folder)
    questions = json.loads((folder / "dev.json").read_text(encoding="utf-8"))
    victim = questions[0]["db_id"]
    test = [{**row, "db_id": "unseen"} for row in questions if row["db_id"] == victim]
    tables = json.loads((folder / "tables.json").read_text(encoding="utf-8"))
    entry = next(entry for entry in tables if entry["db_id"] == victim)
    (folder / "test.json").write_text(json.dumps(test), encoding="utf-8")
    (folder / "test_tables.json").write_text(json.dumps([{**entry, "db_id": "unseen"}]), encoding="utf-8")
    shutil.copytree(folder / "database" / victim, folder / "test_database/unseen")
    (old,) = (folder / "test_database/unseen").iterdir()
    old.rename(old.with_stem("unseen"))
    split = {"questions_file": "test.json", "tables_file": "test_tables.json", "databases_folder": "test_database"}
    project.change("dataset", {**project.settings["dataset"], "source": "own", "per_hardness": 1, **split})
    project.change("dataset.name", "spider_test")
    runs_again(project, "results/questions/spider_test.jsonl")
    rows = (project.folder / "results/questions/spider_test.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(row)["db_id"] for row in rows} == {"unseen"}


def test_a_pool_over_a_database_that_the_questions_do_not_use(new_project: NewProject) -> None:
    project = new_project()
    folder = project.folder / "own"
    folder.mkdir()
    around(project, folder)
    pool = json.loads((MINI / "pool.json").read_text(encoding="utf-8"))
    used = pool[0]["db_id"]
    questions = json.loads((folder / "dev.json").read_text(encoding="utf-8"))
    (folder / "dev.json").write_text(json.dumps([row for row in questions if row["db_id"] != used]), encoding="utf-8")
    (project.folder / "pool.json").write_text(
        json.dumps([row for row in pool if row["db_id"] == used][:2]), "utf-8-sig"
    )
    project.change("dataset.source", "own")
    project.change("pool", {"file": "pool.json"})
    run = project.snakemake("results/executions/pool.jsonl")
    assert run.code == 0, run.output
    shutil.rmtree(folder / "database" / used)
    assert f"{used}.sqlite: no such database; fetch it" in project.refused("results/executions/pool.jsonl")
