"""A script's messages go to the terminal and its log; a mistake is one line; a command's reader may leave early."""

from __future__ import annotations

import io
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.iocontainers import InputFiles, Log, Namedlist, OutputFiles, Params
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.joblog import command, job

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"

Capture = pytest.CaptureFixture[str]


def given(log: Path, **parts: Any) -> Any:
    """What Snakemake gives a script, as far as it is read."""
    empty: dict[str, Any] = {"input": InputFiles(), "output": OutputFiles(), "params": Params()}
    return SimpleNamespace(**{**empty, **parts}, log=Log([str(log)]))


def test_a_script_is_given_its_named_files_and_params(tmp_path: Path) -> None:
    """A file as a path, a list of files as a list of paths; not the digest of its code, which is there to change."""
    scores = Namedlist(["a.jsonl", "b.jsonl"])
    read = InputFiles(["unnamed", "a b.jsonl", scores, Namedlist()])
    for place, name in enumerate(("candidates", "scores", "groups"), 1):
        read._set_name(name, place)
    made = OutputFiles(fromdict={"selections": "out.jsonl"})
    params = Params(fromdict={"planner": "vote", "budgets": [0, 8], "limits": {"rows": 5}, "code": "c0de"})
    with job(given(tmp_path / "x.log", input=read, output=made, params=params)) as arguments:
        assert arguments == {
            "candidates": "a b.jsonl",
            "scores": ["a.jsonl", "b.jsonl"],
            "groups": [],
            "selections": "out.jsonl",
            "planner": "vote",
            "budgets": [0, 8],
            "limits": {"rows": 5},
        }
        assert (type(arguments["candidates"]), type(arguments["scores"])) == (str, list)


def test_messages_go_to_the_terminal_and_the_log(tmp_path: Path, capsys: Capture) -> None:
    terminal = sys.stderr
    log = tmp_path / "deep" / "x.log"
    with job(given(log)):
        print("é one", file=sys.stderr)
        assert not sys.stderr.isatty()
        assert sys.stderr.encoding == "utf-8"
        assert sys.stderr.write("two\n") == 4
        sys.stderr.flush()
    assert sys.stderr is terminal
    assert capsys.readouterr().err == log.read_text(encoding="utf-8") == "é one\ntwo\n"


def test_what_the_library_logs_goes_there_as_plain_lines(tmp_path: Path, capsys: Capture) -> None:
    log = tmp_path / "x.log"
    module = logging.getLogger("sqljudge.models.session")
    for _ in range(2):  # a second job in one process does not say things twice
        with job(given(log)):
            module.debug("too much")
            logging.getLogger("another").warning("not ours")
            module.info("100% done")
            assert log.read_text() == "100% done\n"
            module.warning("odd")
        assert capsys.readouterr().err == log.read_text() == "100% done\nodd\n"
    assert not logging.getLogger("sqljudge").handlers


def test_what_is_said_is_in_the_log_at_once(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with job(given(log)):
        print("one", file=sys.stderr, flush=True)
        assert log.read_text() == "one\n"


@pytest.mark.parametrize("error", [DataError("x.json: bad\n  indeed"), ConfigError("x.json: bad indeed")])
def test_a_users_mistake_is_one_line_and_exit_code_1(tmp_path: Path, capsys: Capture, error: Exception) -> None:
    terminal = sys.stderr
    log = tmp_path / "x.log"
    with pytest.raises(SystemExit) as ended, job(given(log)):
        raise error
    assert ended.value.code == 1
    assert ended.value.__suppress_context__
    assert capsys.readouterr().err == log.read_text() == "Error: x.json: bad indeed\n"
    assert sys.stderr is terminal


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt(), SystemExit(3)])
def test_other_exceptions_propagate(tmp_path: Path, capsys: Capture, error: BaseException) -> None:
    terminal = sys.stderr
    with pytest.raises(type(error)) as raised, job(given(tmp_path / "x.log")):
        raise error
    assert raised.value is error
    assert sys.stderr is terminal
    assert capsys.readouterr().err == ""


def test_a_second_run_writes_its_log_anew(tmp_path: Path) -> None:
    for text in ("first\n", "second\n"):
        with job(given(tmp_path / "x.log")):
            sys.stderr.write(text)
    assert (tmp_path / "x.log").read_text() == "second\n"


def unread(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A command of the library whose output nobody reads, as when `head` has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "-m", "sqljudge", *arguments],
            input=typed,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(WORKFLOW)},
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "arguments",
    [
        ["docs"],
        ["execute", "--db", "x.sqlite"],
        ["evaluate", "--help"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_whose_reader_has_gone_ends_quietly(
    arguments: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sqlite3.connect("x.sqlite").execute("CREATE TABLE t (a)").connection.close()
    done = unread(*arguments, typed="SELECT 1\nSELECT 2\n")
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize(("status", "code"), [(0, 0), (1, 1), (None, None)])
def test_a_command_ends_with_the_status_of_its_main(status: int | None, code: int | None) -> None:
    with pytest.raises(SystemExit) as ended:
        command(lambda: status)
    assert ended.value.code == code


def test_a_message_that_no_file_can_hold_is_written_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a path whose name is not UTF-8; Python's own standard error escapes it, too."""
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace"))
    with pytest.raises(SystemExit), job(given(tmp_path / "x.log")):
        raise DataError("caf\udce9.json: cannot be read")
    assert (tmp_path / "x.log").read_text(encoding="utf-8") == "Error: caf\\udce9.json: cannot be read\n"
