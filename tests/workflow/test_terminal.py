"""What a terminal shows with the logger plugin: a line a stage, each reason once, and how a run ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from processes import interruptible
from snakemake_logger_plugin_sqljudge import LogHandler
from sqljudge.core.interrupts import STOPPED

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
SNAKEFILE = """
rule all:
    input: "table1.txt"
rule judge:
    output: "{n}.txt"
    log: "logs/{n}.log"
    script: "judge.py"
rule table1:
    input: expand("{n}.txt", n=range(6))
    output: "table1.txt"
    shell: "touch {output}"
"""
SCRIPT = """
import logging, os, sys, time
from sqljudge.core.errors import ModelError
from sqljudge.core.joblog import job
with job(snakemake):
    print("Loading weights: 100%", file=sys.stderr)
    logging.getLogger("sqljudge").info("12 requests")
    open(snakemake.output[0] + ".began", "w").close()
    if os.path.exists("down"):
        raise ModelError("the server http://127.0.0.1:9 does not answer")
    if os.path.exists("broken"):
        raise ValueError("not foreseen")
    time.sleep(60 if os.path.exists("slow") else 0)
    open(snakemake.output[0], "w").close()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    (tmp_path / "judge.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", "--logger", "sqljudge", "--cores", "2", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(WORKFLOW)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, preexec_fn=interruptible,
    )  # fmt: skip


def lines(running: subprocess.Popen[str]) -> list[str]:
    return [line for line in running.communicate()[0].splitlines() if line]


def test_a_dry_run_and_a_run_have_a_line_a_stage(folder: Path) -> None:
    planned = lines(start(folder, "-n"))
    assert [line.split()[:2] for line in planned[:2]] == [["7", "jobs"], ["judgments", "6"]]
    assert len(planned) == 4
    shown = lines(start(folder))
    assert shown[0] == "7 jobs in 2 stages"
    assert shown[1].split()[:8] == ["judgments", "6", "of", "6", "6", "of", "7", "in"]
    assert shown[2].split()[:6] == ["tables", "and", "figures", "1", "of", "1"]
    assert shown[3].startswith("Done: 7 jobs in 0:")
    assert len(shown) == 4
    assert (folder / "logs/3.log").read_text(encoding="utf-8") == "Loading weights: 100%\n12 requests\n"
    assert lines(start(folder)) == ["Nothing to be done: all of it is there and up to date."]


def test_a_reason_that_many_jobs_share_is_given_once(folder: Path) -> None:
    (folder / "down").touch()
    running = start(folder, "--keep-going")
    shown = lines(running)
    assert running.returncode == 1
    assert sum("http://127.0.0.1:9" in line for line in shown) == 1
    assert shown[1].startswith("Error: the server http://127.0.0.1:9 does not answer (judge; log: logs/")
    assert shown[2].startswith("Not complete: 6 jobs failed, 0 of 7 done in ")
    assert len(shown) == 3


def test_what_nobody_foresaw_is_one_line_and_its_traceback_in_the_log(folder: Path) -> None:
    (folder / "broken").touch()
    shown = lines(start(folder, "0.txt"))
    assert shown[1] == "ValueError: not foreseen (judge; log: logs/0.log)"
    assert len(shown) == 3
    assert "Traceback" in (folder / "logs/0.log").read_text(encoding="utf-8")


def test_an_interrupt_is_one_line_that_says_how_to_go_on(folder: Path) -> None:
    (folder / "slow").touch()
    running = start(folder)
    while len([*folder.glob("*.began")]) < 2:
        assert running.poll() is None
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: all processes of the run
    shown = lines(running)
    assert shown[1:] == [
        "Stopped by hand after 0 of 7 jobs: what is finished is kept, answers of models in results/journal: the same "
        "command goes on from here."
    ]
    assert running.returncode != 0


def test_an_interrupt_while_rules_are_read_is_one_line(folder: Path) -> None:
    (folder / "Snakefile").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    running = start(folder)
    assert lines(running) == [STOPPED]
    assert running.returncode != 0


def test_the_time_left_counts_what_is_known_alone() -> None:
    """Four jobs of a model took a minute each and two are left; how long a table takes nobody knows yet."""
    handler = object.__new__(LogHandler)
    handler.rules, handler.done = Counter(judge=6, table1=3), Counter(judgments=5)
    handler.took = {"judge": [60.0] * 4}
    assert handler.left(elapsed=120.0) == 60.0, "two at a time"
    handler.took["table1"] = [2.0]
    assert handler.left(elapsed=121.0) == pytest.approx(62.0)
    handler.done.clear()
    assert handler.left(elapsed=1.0) is None
