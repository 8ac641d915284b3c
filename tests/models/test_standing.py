"""An engine that the jobs of a run share: one start, one device, and nothing left of it when the run has ended.

Its process is a real one; the engine in it answers by rules. `test_vllm_itself.py` has vLLM in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock
from sqljudge.core.errors import ModelError, SqljudgeError
from sqljudge.models import standing
from sqljudge.models.engines import load_backend
from sqljudge.models.engines.base import ChoiceRequest, GenerationRequest, ModelSpec, Prompt

REQUESTS = [GenerationRequest(Prompt(f"ship {i}"), 40) for i in range(50)]
CHOICES = [ChoiceRequest(Prompt("ship"), ("Yes", "No"))]
Run = subprocess.Popen[bytes]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where engines stand; its name is short, as a socket's must be."""
    made = Path(tempfile.mkdtemp(prefix="s"))
    monkeypatch.setattr(standing, "lock_folder", lambda: made)
    yield made
    end_job()
    shutil.rmtree(made)


@pytest.fixture
def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Run]]:
    """Starts a process that stands for a run of the workflow; jobs are then its own."""
    started: list[Run] = []

    def new() -> Run:
        run = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        started.append(run)
        monkeypatch.setenv(standing.RUN, str(run.pid))
        return run

    yield new
    for run in started:
        run.kill()
        run.wait()
    until(lambda: not engines(folder))


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"match": "ship", "response": " sails on", "probabilities": {"Yes": 0.7}}]))
    return ModelSpec("m", str(script), "-", "scripted", "float32")


def until(done: Callable[[], Any]) -> None:
    while not done():
        time.sleep(0.05)


def end_job() -> None:
    """What happens when the process of a job ends."""
    for peer in standing._peers.values():
        peer.close()
    for lock in standing._locks.values():
        lock.release()
    standing._peers.clear()
    standing._locks.clear()


def ask(spec: ModelSpec, kind: str = "generate") -> list[Any]:
    return [*standing.ask(spec, "cpu", kind, REQUESTS if kind == "generate" else CHOICES, lambda tokens: None)]


def engines(folder: Path) -> list[int]:
    return [int(file.read_text().split()[0]) for file in folder.glob("*.pid")]


def test_jobs_of_a_run_share_one_engine_and_its_answers_are_those_of_one_of_their_own(
    start: Callable[[], Run], spec: ModelSpec, folder: Path
) -> None:
    start()
    own = load_backend(spec, device="cpu")
    seen = []
    for kind, expected in (("generate", own.generate(REQUESTS)), ("choose", own.choose(CHOICES))):
        assert sorted(ask(spec, kind)) == sorted(expected)
        end_job()
        seen += engines(folder)
    assert len(seen) == 2 and seen[0] == seen[1] != os.getpid()


def test_the_end_of_the_run_however_it_comes_is_the_end_of_the_engine(
    start: Callable[[], Run], spec: ModelSpec, folder: Path
) -> None:
    for end in (lambda run: run.kill(), lambda run: run.communicate(b"\n")):
        run = start()
        ask(spec)
        (engine,) = engines(folder)
        end_job()
        end(run)
        until(lambda engine=engine: not psutil.pid_exists(engine) or psutil.Process(engine).status() == "zombie")
        until(lambda: not [*folder.iterdir()])


def test_a_job_of_another_model_finds_the_device_free(
    start: Callable[[], Run], spec: ModelSpec, folder: Path, tmp_path: Path
) -> None:
    start()
    ask(spec)
    (first,) = engines(folder)
    end_job()
    (tmp_path / "other.json").write_text((tmp_path / "script.json").read_text())
    ask(ModelSpec("other", str(tmp_path / "other.json"), "-", "scripted", "float32"))
    assert not psutil.pid_exists(first)
    (second,) = engines(folder)
    (lock,) = (file for file in folder.glob("*.lock") if file.with_suffix(".pid").exists())
    end_job()
    with FileLock(lock):  # another job is using it
        standing.clear("cpu")
        assert engines(folder) == [second]
    standing.clear("cpu")  # as a job does that loads a model in its own process
    assert not engines(folder)
    assert not psutil.pid_exists(second)


def test_two_runs_at_once_have_an_engine_each(start: Callable[[], Run], spec: ModelSpec, folder: Path) -> None:
    first, second = start(), start()
    ask(spec)
    end_job()
    os.environ[standing.RUN] = str(first.pid)
    ask(spec)
    end_job()
    assert len(engines(folder)) == 2
    second.kill()
    second.wait()
    until(lambda: len(engines(folder)) == 1)
    assert len(ask(spec)) == len(REQUESTS)


def test_an_engine_that_is_killed_is_one_line_and_the_next_job_starts_another(
    start: Callable[[], Run], spec: ModelSpec, folder: Path
) -> None:
    start()
    found = standing.ask(spec, "cpu", "generate", REQUESTS, lambda tokens: None)
    next(found)
    found.close()
    assert len(ask(spec)) == len(REQUESTS), "what a job no longer reads is not in the way"
    (engine,) = engines(folder)
    os.kill(engine, 9)
    psutil.Process(engine).wait()
    with pytest.raises(ModelError, match=r"model 'm': the process that held it ended \(.*\); run again") as error:
        ask(spec)
    assert "\n" not in str(error.value)
    end_job()
    assert len(ask(spec)) == len(REQUESTS)
    assert engines(folder) != [engine]


def test_an_engine_that_cannot_load_is_one_line(start: Callable[[], Run], spec: ModelSpec, folder: Path) -> None:
    start()
    script = Path(spec.source)
    text = script.read_text()
    script.unlink()
    with pytest.raises(SqljudgeError) as without:
        load_backend(spec, device="cpu")
    for _ in range(3):
        with pytest.raises(SqljudgeError, match=f"^{re.escape(str(without.value))}$"):
            ask(spec)
    assert not engines(folder)
    script.write_text(text)
    assert len(ask(spec)) == len(REQUESTS)


def test_what_an_engine_says_last_is_waited_for(
    start: Callable[[], Run], spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(spec.source).write_text(json.dumps([{"match": "ship", "probabilities": {"Yes": "no number"}}]))
    slow = (
        "import runpy, sys, time",
        "sys.excepthook = lambda *_: (print('first', flush=True), time.sleep(1), print('its last'))",
        "runpy.run_module('sqljudge.models.standing', run_name='__main__')",
    )
    python = tmp_path / "python"
    python.write_text("\n".join((f"#!{sys.executable}", *slow)))
    python.chmod(0o755)
    start()
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ModelError, match=r"ended \(its last\)"):
        ask(spec, "choose")


def test_outside_a_run_there_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(standing.RUN, raising=False)
    assert not standing.possible()
    standing.clear("cpu")
    monkeypatch.setenv(standing.RUN, "1")
    assert standing.possible()
    monkeypatch.setattr(standing, "lock_folder", lambda: folder / ("long" * 20))
    assert not standing.possible(), "a socket's name would be too long"
