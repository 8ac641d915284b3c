"""Ctrl-C while Python imports is one line, wherever it is; what nobody foresaw is still shown with its traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import interruptible
from sqljudge.core.interrupts import STOPPED

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
LARGE = "import os, signal; os.kill(os.getpid(), signal.SIGINT); sum(range(10**7))"
"""A module that is interrupted while it is imported."""
PROGRAMS = {
    "a script of a rule": f"import sys; sys.path.insert(0, {str(WORKFLOW)!r})\nsnakemake = 1\n"
    "from sqljudge.core.joblog import job\nimport large",
    "anything beside the library": "import large",
    "a command": "from sqljudge.core.joblog import command\n\ndef main():\n    import large\n\ncommand(main)",
}


def run(folder: Path, program: str, path: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "large.py").write_text(LARGE, encoding="utf-8")
    (folder / "program.py").write_text(program, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True, text=True, check=False, preexec_fn=interruptible,
    )  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_interrupted_import_is_one_line(name: str, tmp_path: Path) -> None:
    ended = run(tmp_path, PROGRAMS[name], path="" if "script" in name else str(WORKFLOW))
    assert ended.returncode != 0
    assert (ended.stdout, ended.stderr) == ("", f"{STOPPED}\n")


def test_a_job_of_a_run_that_speaks_for_it_says_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path, "import large", path=str(WORKFLOW), SQLJUDGE_MESSAGES="log")
    assert (ended.returncode != 0, ended.stdout + ended.stderr) == (True, "")
    speaks = "import os; os.environ['SQLJUDGE_MESSAGES'] = 'log'\nimport large"
    assert run(tmp_path, speaks, path=str(WORKFLOW)).stderr == f"{STOPPED}\n", "the run itself does"


def test_other_exceptions_have_their_traceback(tmp_path: Path) -> None:
    said = run(tmp_path, "1 / 0", path=str(WORKFLOW)).stderr
    assert said.startswith("Traceback") and said.endswith("ZeroDivisionError: division by zero\n")
