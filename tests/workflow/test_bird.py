"""A run on the embedded set in BIRD's format: its levels are the columns, its knowledge is in the prompts."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from harness import Project

SCRIPT = [
    {"match": "External knowledge: .*\nQuestion: .*electric bicycles does", "response": ' "Kind", 1 FROM bike'},
    {
        "match": "External knowledge: (?!none).*\nQuestion: ",
        "response": [" count(*) FROM station", " nonsense FROM nowhere"],
    },
    {"match": "Write one SQLite query", "response": [" 1"]},
    {"match": "Is the SQL query a correct", "probabilities": {"Yes": 0.6, "No": 0.3}},
]
LEVELS = ["Simple", "Moderate", "Challenging", "All"]


def on_mini_bird(project: Project) -> None:
    """Lay the embedded set in BIRD's format over the scripted project."""
    (project.folder / "script.json").write_text(json.dumps(SCRIPT), encoding="utf-8")
    project.change(
        "dataset", {"name": "mini_bird", "format": "bird", "source": "resources/mini_bird", "question_ids": ""}
    )
    project.change("dataset.per_hardness", 8)
    project.change("pool", {"file": "resources/mini_bird/pool.json", "questions": 6})
    project.change("generators.writer.prompt", "config/prompts/generator_bird.txt")
    project.change("contexts.no_schema", {"yes_no": "config/prompts/yes_no_bird.txt"})
    project.change("experiments.table1.discriminators", ["taster"])
    project.change(
        "experiments.table2", {"generator": "writer", "discriminators": ["taster"], "baselines": ["majority"]}
    )
    project.change("experiments.table2.planners", ["vote"])


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_tables_of_birds_questions_have_birds_levels(new_project: Callable[[], Project]) -> None:
    project = new_project()
    on_mini_bird(project)
    run = project.snakemake("table1", "table2", "table7", "figure5")
    assert run.code == 0, run.output
    tables = project.folder / "results/tables"
    for name in ("table2", "table7"):
        rows = [row for row in read_csv(tables / f"{name}.csv") if row["group"].startswith("Execution accuracy")]
        assert [row["metric"] for row in rows[:4]] == LEVELS
        assert {(row["metric"], row["n"]) for row in rows} == {*((level, "8") for level in LEVELS[:3]), ("All", "24")}
        assert {row["status"] for row in rows} == {"ok"}
        page = (tables / f"{name}.md").read_text(encoding="utf-8")
        assert "same set of rows" in page
        assert "beyond the official evaluator's grammar" in page
    assert {row["status"] for row in read_csv(tables / "table1.csv")} == {"ok"}
    first = json.loads((project.folder / "results/candidates/writer.sample.jsonl").read_text("utf-8").splitlines()[0])
    assert first["candidates"][0]["sql"] == 'SELECT "Kind", 1 FROM bike;', (
        "knowledge was asked, names kept their quotes"
    )
