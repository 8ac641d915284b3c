"""A whole run, killed at twenty random moments with all its processes, ends as one that was left alone."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from harness import ROOT, Project, undated
from sqljudge.models.journal import read_batches
from test_demo import REDUCED, merged

KILLS = 20
MORE = {"pool": {"questions": 8}}
TARGETS = ("table1", "table2")
COMPARED = ("candidates", "judgments", "scores", "selections", "metrics", "tables", "figures")


def results(folder: Path) -> dict[str, str]:
    """Digests of all results that hold neither times nor dates, nor the state of the tree that they were made from."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(b"\n".join(undated(file.read_bytes()))).hexdigest()
        for kind in COMPARED
        for file in sorted((folder / "results" / kind).rglob("*"))
        if file.is_file() and not file.name.endswith((".run.json", ".provenance.json", ".findings.rst"))
    }


def journalled(folder: Path) -> int:
    """How many finished requests a journal holds."""
    return sum(len(batch) for file in folder.rglob("*.jsonl") for _, batch in read_batches(file, len))


def progress(folder: Path) -> tuple[int, int]:
    """What a run has to show: requests in its journal, and files of results."""
    return journalled(folder / "results/journal"), sum(1 for file in (folder / "results").rglob("*") if file.is_file())


def killed(project: Project, changes: int, seconds: float) -> bool:
    """Start a run, kill it and all its processes some seconds after so many changes; whether it was still running."""
    command = project.command(*TARGETS)
    with (project.folder / "killed.log").open("ab") as log:
        run = subprocess.Popen(command, cwd=project.folder, stdout=log, stderr=log, start_new_session=True)
        seen = progress(project.folder)
        while changes and run.poll() is None:
            time.sleep(0.05)
            now = progress(project.folder)
            changes -= now != seen
            seen = now
        with suppress(subprocess.TimeoutExpired):
            run.wait(seconds)
            return False
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    return True


@pytest.mark.slow
@pytest.mark.model
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    """Moments are counted in what the run has to show, so that they come on a busy machine, too."""
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    settings = merged(merged(demo, REDUCED), MORE)
    alone, hunted = Project(tmp_path / "alone"), Project(tmp_path / "hunted")
    for project in (alone, hunted):
        project.folder.mkdir()
        project.configure(settings)
    run = alone.snakemake(*TARGETS)
    assert run.code == 0, run.output

    moments = random.Random(20)
    hits, kept = 0, []
    for _ in range(KILLS):
        hits += killed(hunted, moments.randint(1, 2), moments.random())
        assert hunted.snakemake("--unlock").code == 0
        kept.append(journalled(hunted.folder / "results/journal"))
    last = hunted.snakemake(*TARGETS)
    assert last.code == 0, last.output
    assert hits >= KILLS // 2, f"{hits} of {KILLS} kills met a run that was under way"
    assert kept == sorted(kept), "nothing that was in the journal is lost"
    assert results(hunted.folder) == results(alone.folder)
