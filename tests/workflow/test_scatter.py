"""A model job split over shards gives what one job gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Project, undated

NewProject = Callable[[], Project]
CANDIDATES = "results/candidates/writer.sample"
JUDGMENTS = "results/judgments/thinker/no_schema/pool"
FORCED = "results/forced/thinker/no_schema/pool"
COUNTS = ("requests", "distinct", "prompt_tokens", "new_tokens")


def counts(project: Project, job: str) -> list[int]:
    run = json.loads((project.folder / f"{job}.run.json").read_text(encoding="utf-8"))
    return [run[name] for name in COUNTS]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_tables_do_not_depend_on_the_number_of_shards(finished: Project, new_project: NewProject) -> None:
    project = new_project()
    run = project.snakemake("table1", "table2", "--set-scatter", "shards=2")
    assert run.code == 0, run.output
    assert (run.jobs["generate_shard"], run.jobs["judge_shard"]) == (2, 8)
    assert not {"generate", "judge"} & set(run.jobs)
    for table in ("table1", "table2"):
        for form in ("csv", "md", "tex", "html"):
            made = f"results/tables/{table}.{form}"
            one, other = ((each.folder / made).read_bytes() for each in (project, finished))
            assert undated(one) == undated(other), made
    for job in (CANDIDATES, JUDGMENTS):
        assert counts(project, job) == counts(finished, job)
    assert files(project.folder / "results/shards") == {}, "shards are gone once they are joined"
    assert "Nothing to be done" in project.snakemake("table1", "table2", "-n", "--set-scatter", "shards=2").output

    writers = sorted(path.name for path in (project.folder / "results/journal/actor").iterdir())
    assert "generate.writer.sample.1-of-2.jsonl" in writers
    again = project.snakemake(f"{JUDGMENTS}.parquet")
    assert again.code == 0, again.output
    report = json.loads((project.folder / f"{JUDGMENTS}.run.json").read_text(encoding="utf-8"))
    assert report["from_journal"] == report["distinct"], "one job finds what the shards asked"


@pytest.mark.parametrize("shards", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_shards_need_no_journal(finished: Project, new_project: NewProject, shards: int) -> None:
    project = new_project()
    project.change("journal", False)
    made = [f"{CANDIDATES}.jsonl", f"{JUDGMENTS}.parquet", f"{FORCED}.jsonl"]
    run = project.snakemake(*made, "--set-scatter", f"shards={shards}")
    assert run.code == 0, run.output
    assert run.jobs["force_shard"] == shards
    assert not (project.folder / "results/journal").exists()
    for path in made:
        assert (project.folder / path).read_bytes() == (finished.folder / path).read_bytes(), path
