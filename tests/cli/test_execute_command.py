"""`python -m sqljudge execute`: one answer a line, within limits; a mistake is one line."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from clock import HANGS

WORKFLOW = Path(__file__).parents[2] / "workflow"


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    path = tmp_path / "zoo" / "zoo.sqlite"
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE animal (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, age INTEGER)")
        db.executemany("INSERT INTO animal (name, age) VALUES (?, ?)", [("Rex", 1), ("Tia", 2), ("Uno", 3)])
    db.close()
    return path


def command(*arguments: str | Path, lines: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    run = [sys.executable, "-m", "sqljudge", "execute", *map(str, arguments)]
    return subprocess.run(run, input=lines, capture_output=True, cwd=WORKFLOW, timeout=HANGS)


def test_command_answers_every_line(zoo: Path) -> None:
    before = zoo.read_bytes()
    lines = b"\xef\xbb\xbf"
    lines += b"SELECT * FROM animal WHERE age = 2\n\nselect \xff\r\nDELETE FROM animal\nSELECT x'00', 1e999\nSELECT 1"
    for workers in ("1", "2"):
        done = command("--db", zoo, "--workers", workers, lines=lines)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [answer["outcome"] for answer in answers] == ["ok", "error", "error", "refused", "ok", "ok"]
        assert list(answers[0]) == ["outcome", "message", "rows", "row_count", "steps", "ms"]
        assert answers[0]["rows"] == [[2, "Tia", 2]]
        assert answers[2]["message"] == "the query is not valid Unicode text"
        assert answers[4]["rows"] == [["x'00'", "Inf"]]
        assert (done.returncode, done.stderr) == (0, b"")
    assert zoo.read_bytes() == before


def test_command_takes_limits(zoo: Path) -> None:
    lines = b"SELECT * FROM animal\nSELECT count(*) FROM animal a, animal b, animal c, animal d, animal e, animal f\n"
    done = command("--db", zoo, "--rows", "2", "--steps", "1000", lines=lines)
    assert [json.loads(line)["outcome"] for line in done.stdout.splitlines()] == ["row_limit", "timeout"]


@pytest.mark.parametrize("bad", ["missing", "text", "limit"])
def test_command_errors_are_one_line(zoo: Path, bad: str) -> None:
    if bad == "missing":
        shutil.rmtree(zoo.parent)
    elif bad == "text":
        zoo.write_text("nothing of the kind" * 100)
    done = command("--db", zoo, *(["--rows", "0"] if bad == "limit" else []), lines=b"SELECT 1\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1
