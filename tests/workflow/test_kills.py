"""A whole run, killed at twenty random moments with all its processes, ends as one that was left alone."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from harness import ROOT, Project
from sqljudge.models.journal import read_entries
from test_demo import REDUCED, merged

KILLS = 20
MORE = {
    "dataset": {"per_hardness": 4},
    "pool": {"questions": 25},
    "decodings": {"sample": {"samples": 5, "temperature": 0.8, "max_new_tokens": 24}},
}
TARGETS = ("table1", "table2")
COMPARED = ("candidates", "judgments", "scores", "selections", "metrics", "tables", "figures")


def results(folder: Path) -> dict[str, str]:
    """Digests of all results that hold neither times nor dates, nor the state of the tree that they were made from."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for kind in COMPARED
        for file in sorted((folder / "results" / kind).rglob("*"))
        if file.is_file() and not file.name.endswith((".run.json", ".provenance.json", ".findings.rst"))
    }


def journalled(folder: Path) -> int:
    """How many finished requests a journal holds."""
    return sum(len(list(read_entries(file))) for file in folder.rglob("*.jsonl"))


def killed(project: Project, seconds: float) -> bool:
    """Start a run, kill it and all its processes after so many seconds; whether it was still running."""
    command = project.command(*TARGETS)
    with (project.folder / "killed.log").open("ab") as log:
        run = subprocess.Popen(command, cwd=project.folder, stdout=log, stderr=log, start_new_session=True)
        try:
            run.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            return True
    return False


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(3600)
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    settings = merged(merged(demo, REDUCED), MORE)
    alone, hunted = Project(tmp_path / "alone"), Project(tmp_path / "hunted")
    for project in (alone, hunted):
        project.folder.mkdir()
        project.configure(settings)
    start = time.monotonic()
    run = alone.snakemake(*TARGETS, timeout=900)
    assert run.code == 0, run.output
    whole = time.monotonic() - start

    moments = random.Random(20)
    hits, kept = 0, []
    for _ in range(KILLS):
        hits += killed(hunted, moments.uniform(3, max(25, whole / 6)))
        assert hunted.snakemake("--unlock").code == 0
        kept.append(journalled(hunted.folder / "results/journal"))
    last = hunted.snakemake(*TARGETS, timeout=900)
    assert last.code == 0, last.output
    assert hits >= KILLS // 2, f"{hits} of {KILLS} kills met a run that was under way"
    assert kept == sorted(kept), "nothing that was in the journal is lost"
    assert results(hunted.folder) == results(alone.folder)
