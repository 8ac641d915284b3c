"""Real runs that train a model: planned without one, killed and resumed, never trained twice, judged as any other."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clock import HANGS
from harness import ROOT, Project, scripted
from sqljudge.core.records import CandidateSet, Score, read_jsonl
from sqljudge.metrics.intrinsic import intrinsic_metrics

sys.path.insert(0, str(ROOT / "tests" / "training"))
from toys import save_tiny

ROW = "{name}\t{source}\t-\ttransformers\tfloat32\tnone\n"
TRAINING: dict[str, Any] = {
    "model": "tiny",
    "method": "verdict",
    "data": "pairs",
    "steps": 6,
    "settings": {"rank": 0, "batch": 4, "save_every": 1, "learning_rate": 0.01},
    "prompt": "tiny.txt",
    "yes_token": "alone",
}


def items() -> list[dict[str, Any]]:
    known = {"db_id": "own", "schema": ""}
    return [
        {**known, "id": f"{q}{c}", "group": q, "question": f"{q} which", "sql": f"select {c}", "label": int(c in "ab")}
        for q in "pqrst"
        for c in "abcd"
    ]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A tiny model that judges as it is and trained, beside the scripted one."""
    made = scripted(tmp_path / "run")
    save_tiny(made.folder / "tiny")
    rows = [("tiny", "tiny"), ("tiny-trained", "trained:verdicts")]
    with (made.folder / "models.tsv").open("a", encoding="utf-8") as table:
        table.writelines(ROW.format(name=name, source=source) for name, source in rows)
    (made.folder / "tiny.txt").write_text("${question} ${sql}:\n=== answer ===\n", encoding="utf-8")
    (made.folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items()), encoding="utf-8")
    made.change("training_data", {"pairs": {"kind": "file", "file": "pairs.jsonl", "licence": "CC0-1.0"}})
    made.change("trainings", {"verdicts": json.loads(json.dumps(TRAINING))})
    made.change("discriminators.before", {"model": "tiny", "method": "yes_no"})
    made.change("discriminators.after", {"model": "tiny-trained", "method": "yes_no"})
    made.change("contexts.no_schema.yes_no", "tiny.txt")
    judged = {"training": {"discriminators": ["before", "after"], "budgets": [60], "scorings": ["soft"]}}
    judged["training"] |= {"modes": ["naive"], "context": "no_schema", "baselines": ["random", "executable"]}
    made.change("experiments", dict.fromkeys(made.settings["experiments"]) | judged)
    return made


@pytest.mark.slow
def test_a_training_is_planned_and_its_model_judges_as_any_other(project: Project) -> None:
    plan = project.snakemake("-n", "results/tables/training.csv")
    assert plan.code == 0, plan.output
    assert [plan.jobs[rule] for rule in ("prepare_training", "train", "merge_trained", "judge")] == [1, 1, 1, 2]
    run = project.snakemake("results/tables/training.csv")
    assert run.code == 0, run.output
    record = json.loads((project.folder / "results/training/verdicts/run.json").read_text())
    assert record["data"]["licence"] == "CC0-1.0"
    assert record["data"]["databases"] == ["own"]
    assert record["tokens"]["trained"] > 0
    rows = (project.folder / "results/tables/training.csv").read_text().splitlines()
    assert len(rows) > 4
    judged = project.folder / "results/judgments"
    before, after = (json.loads((judged / who / "no_schema/pool.run.json").read_text()) for who in ("before", "after"))
    assert before["model"]["revision"] != after["model"]["revision"]
    log = (project.folder / "results/training/verdicts/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 4, 5, 6]


def several_seeds(project: Project) -> list[str]:
    """Three seeds of the training, for a judge and a generator; gives what shows them."""
    writer = project.settings["generators"]["writer"]
    project.change("trainings.verdicts.seeds", [1, 2, 3])
    project.change("decodings.brief", {"samples": 1, "temperature": 0, "max_new_tokens": 4})
    project.change("generators.writes", {**writer, "model": "tiny"})
    project.change("generators.wrote", {**writer, "model": "tiny-trained"})
    project.change("experiments.trained_generators", {"generators": ["writes", "wrote"], "decoding": "brief"})
    names = ("tables/training.csv", "tables/trained_generators.csv", "figures/training_curves.svg")
    return [f"results/{name}" for name in names]


def test_several_seeds_are_planned_without_a_model(project: Project) -> None:
    plan = project.snakemake("-n", *several_seeds(project))
    assert plan.code == 0, plan.output
    jobs = ("prepare_training", "train", "merge_trained", "judge", "generate", "measure_training")
    assert [plan.jobs[rule] for rule in jobs] == [1, 3, 3, 4, 4, 4]


@pytest.mark.slow
def test_several_seeds_are_one_row_with_their_spread_and_cost(project: Project) -> None:
    files = several_seeds(project)
    run = project.snakemake(*files)
    assert run.code == 0, run.output
    with (project.folder / files[0]).open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["discriminator"] == "after"]
    known = {(row["group"], row["metric"]): row for row in rows}
    assert float(known["One training", "Seeds"]["value"]) == 3
    assert float(known["Spread of the difference over seeds", "PwAcc"]["value"]) > 0
    records = [read(project, f"training/verdicts-seed{seed}/run.json") for seed in (1, 2, 3)]
    assert len({record["adapter"] for record in records}) == 3
    found = read(project, "metrics/training/before/after/no_schema/pool.b60.soft.naive.json")
    assert found["seeds"] == ["after-seed1", "after-seed2", "after-seed3"]
    assert found["metrics"]["cost"]["trained"]["value"] == sum(r["tokens"]["trained"] for r in records) / 3
    pool = read_jsonl(project.folder / "results/candidates/pool.jsonl", CandidateSet)
    scores = [f"results/scores/after-seed{seed}/no_schema/pool.b60.soft.naive.jsonl" for seed in (1, 2, 3)]
    runs = [intrinsic_metrics(pool, read_jsonl(project.folder / file, Score), seed=1) for file in scores]
    mean = sum(each["metrics"]["pwacc"]["value"] for each in runs) / 3
    assert found["metrics"]["pwacc"]["value"] == pytest.approx(mean)
    drawn = (project.folder / files[2]).read_text(encoding="utf-8")
    assert "after (3 seeds)" in drawn


def read(project: Project, name: str) -> Any:
    return json.loads((project.folder / "results" / name).read_text(encoding="utf-8"))


def train(project: Project) -> dict[str, str]:
    """The weights' and the log's content after the training has run."""
    run = project.snakemake("results/training/verdicts/run.json")
    assert run.code == 0, run.output
    folder = project.folder / "results/training/verdicts"
    return {name: (folder / name).read_bytes().hex() for name in ("adapter/model.safetensors", "log.jsonl")}


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_training_goes_on_and_ends_as_a_whole_one(project: Project, sent: signal.Signals) -> None:
    project.change("trainings.verdicts.steps", 40)
    whole = train(project)
    shutil.rmtree(project.folder / "results/training")
    job = subprocess.Popen(
        project.command("results/training/verdicts/run.json"),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    folder = project.folder / "results/training/checkpoints"
    deadline = time.monotonic() + HANGS
    while not any(int(path.name.rpartition("-")[2]) >= 5 for path in folder.glob("*/checkpoint-*")):
        assert time.monotonic() < deadline
        assert job.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    os.killpg(job.pid, sent)
    assert job.wait(HANGS) != 0
    if sent == signal.SIGTERM:
        said = (project.folder / "logs/training/verdicts.log").read_text(encoding="utf-8")
        assert "its checkpoint is whole: run the same command again" in said
    project.snakemake("--unlock")
    steps = {int(path.name.rpartition("-")[2]) for path in folder.glob("*/checkpoint-*")}
    assert steps
    assert max(steps) < 40
    assert train(project) == whole
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_a_finished_training_is_not_run_again_unless_something_of_it_changes(project: Project) -> None:
    def trained() -> float:
        return float(json.loads((project.folder / "results/training/verdicts/run.json").read_text())["seconds"])

    first = train(project)
    seconds = trained()
    shutil.rmtree(project.folder / "results/training/verdicts")
    assert train(project) == first
    assert trained() == seconds, "it was trained again"
    project.change("trainings.verdicts.settings.weight", 0.5)
    assert train(project) != first
    project.change("trainings.verdicts.settings.weight", 1.0)
    assert train(project) == first
    assert trained() == seconds


@pytest.mark.parametrize(
    ("change", "value", "said"),
    [
        ("trainings.verdicts.method", "verdicts", "did you mean 'verdict'"),
        ("training_data.pairs.file", "resources/mini_spider/dev.json", "is evaluated"),
    ],
)
def test_a_training_that_cannot_be_is_refused_before_anything_runs(
    project: Project, change: str, value: Any, said: str
) -> None:
    project.change(change, value)
    assert said in project.refused("-n", "results/tables/training.csv")
