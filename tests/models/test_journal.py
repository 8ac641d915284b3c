"""Finished requests survive whatever ends the process; one process at a time writes a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from sqljudge.models import journal as inner
from sqljudge.models.journal import JournalError, JournalReader, JournalWriter, request_key


def answers(folder: Path, better: Callable[[Any, Any], bool] = lambda new, old: False) -> dict[str, Any]:
    """All answers of a folder, by key; `better` compares them whole."""
    reader = JournalReader(folder, dict, better)
    reader.refresh()
    return {key: reader.answer(key) for key in reader.places}


def write(folder: Path, *numbers: int, writer: str = "job") -> None:
    with JournalWriter(folder, writer) as journal:
        for number in numbers:
            journal.put_all([(f"k{number}", {"n": number}, {"text": f"é{number}\n"})])


def read(folder: Path, *numbers: int) -> dict[int, Any]:
    found = answers(folder)
    return {n: found[f"k{n}"] for n in numbers if f"k{n}" in found}


def test_what_is_put_can_be_read(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    write(tmp_path, 3)
    write(tmp_path, 4, writer="other")
    assert read(tmp_path, 1, 3, 4, 5) == {n: {"text": f"é{n}\n"} for n in (1, 3, 4)}


def test_lines_are_readable_with_ordinary_tools(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    text = (tmp_path / "job.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert [json.loads(line)["request"] for line in text.splitlines()] == [{"n": 1}, {"n": 2}]
    assert "é1" in text


def test_a_journal_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert answers(tmp_path / "none") == {}


def test_of_several_answers_the_better_is_kept(tmp_path: Path) -> None:
    for length in (2, 5, 3):
        with JournalWriter(tmp_path, f"job{length}") as journal:
            journal.put_all([("k", {}, {"tokens": length})])
    assert answers(tmp_path, lambda new, old: new["tokens"] > old["tokens"]) == {"k": {"tokens": 5}}
    assert answers(tmp_path) == {"k": {"tokens": 2}}


TAILS = [b"{", b'{"key": "k9", "requ', b"\x00" * 10, b"x" * 70_000, '{"key": "k9é'.encode()[:-1]]


@pytest.mark.parametrize("tail", TAILS, ids=range(len(TAILS)))
def test_a_torn_tail_is_dropped_at_the_next_opening(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, 1, 2)
    path = tmp_path / "job.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert read(tmp_path, 1, 2, 9).keys() == {1, 2}, "reading passes over it"
    write(tmp_path, 3)
    assert path.read_bytes().startswith(whole)
    assert [json.loads(line)["key"] for line in path.read_bytes().splitlines()] == ["k1", "k2", "k3"]


def write_batch(folder: Path, *numbers: int) -> None:
    with JournalWriter(folder, "job") as journal:
        journal.put_all([(f"k{n}", {"n": n}, {"text": f"é{n}\n"}) for n in numbers])


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.7, 0.99])
def test_of_a_batch_all_count_or_none(tmp_path: Path, cut: float) -> None:
    write_batch(tmp_path, 1, 2, 3)
    path = tmp_path / "job.jsonl"
    first = path.read_bytes()
    write_batch(tmp_path, 4, 5, 6)
    assert read(tmp_path, *range(9)).keys() == {1, 2, 3, 4, 5, 6}
    whole = path.read_bytes()
    torn = whole[: len(first) + int(cut * (len(whole) - len(first)))]
    path.write_bytes(torn)
    assert read(tmp_path, *range(9)).keys() == {1, 2, 3}
    path.write_bytes(torn + b"\n" + first)
    assert read(tmp_path, *range(9)).keys() == {1, 2, 3}, "a batch that another one follows was never finished"
    path.write_bytes(torn)
    write_batch(tmp_path, 7)
    assert path.read_bytes().startswith(first)
    assert path.read_bytes().count(b"\n") == 4
    assert read(tmp_path, *range(9)).keys() == {1, 2, 3, 7}


def test_a_file_that_is_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    (tmp_path / "job.jsonl").write_bytes(b"y" * 200_000)
    write(tmp_path)
    assert (tmp_path / "job.jsonl").read_bytes() == b""


BAD = [
    b"",
    b"null",
    b"[1]",
    b'"x"',
    b"{}",
    b"\xff\xfe",
    b'{"left": 0, "key": "k1"}',
    b'{"left": 0, "answer": {}}',
    b'{"left": 0, "key": 1, "answer": {}}',
    b'{"key": "k1", "answer": {}}',
]
WORSE = [
    b'{"left": 0, "key": ["k1"], "answer": {}}',
    b'{"left": 0, "key": "k1", "answer": null}',
    b'{"left": 0, "key": "k1", "answer": {"te',
]


@pytest.mark.parametrize("line", [*BAD, *WORSE])
def test_bad_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    write(tmp_path, 1)
    path = tmp_path / "job.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes() + line + b"\n")
    write(tmp_path, 2)
    assert read(tmp_path, 1, 2) == {n: {"text": f"é{n}\n"} for n in (1, 2)}


def one_line(error: pytest.ExceptionInfo[JournalError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, "job") as first:
        first.put_all([("k1", {}, {"text": "a"})])
        with pytest.raises(JournalError) as error:
            JournalWriter(tmp_path, "job").__enter__()
        assert "another job is writing it" in one_line(error)
        assert str(tmp_path / "job.jsonl") in str(error.value)
        with JournalWriter(tmp_path, "other") as beside:
            beside.put_all([("k2", {}, {"text": "b"})])
        first.put_all([("k3", {}, {"text": "c"})])
    with JournalWriter(tmp_path, "job"):
        pass
    assert read(tmp_path, 1, 2, 3).keys() == {1, 2, 3}


def test_a_refused_writer_truncates_nothing(tmp_path: Path) -> None:
    """A line that the first writer has half written is not a torn tail."""
    with JournalWriter(tmp_path, "job"):
        with (tmp_path / "job.jsonl").open("ab") as half:
            half.write(b'{"key"')
        with pytest.raises(JournalError):
            JournalWriter(tmp_path, "job").__enter__()
        assert (tmp_path / "job.jsonl").read_bytes() == b'{"key"'


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written") as error, JournalWriter(tmp_path / "file", "job"):
        pass
    one_line(error)


class FullDisk:
    """A file that takes so many bytes, a few at a time, and no more."""

    def __init__(self, inner: Any, room: int) -> None:
        self.inner, self.room = inner, room

    def write(self, data: Any) -> int:
        if self.room == 0:
            raise OSError(28, "No space left on device")
        taken = min(7, self.room, len(data))
        self.room -= taken
        self.inner.write(bytes(data[:taken]))
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_full_disk_is_one_line_and_loses_nothing_finished(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as error, JournalWriter(tmp_path, "job") as journal:
        journal.put_all([("k1", {}, {"text": "a"})])
        full = FullDisk(journal._handle, 30)
        journal._handle = full  # type: ignore[assignment]
        journal.put_all([("k2", {}, {"text": "b" * 100})])
    assert "No space left on device" in one_line(error)
    assert "make room" in str(error.value)
    assert read(tmp_path, 1, 2).keys() == {1}
    assert (tmp_path / "job.jsonl").read_bytes().endswith(b"\n"), "no half line is left"


def test_writes_may_be_short(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, "job") as journal:
        journal._handle = FullDisk(journal._handle, 10_000)  # type: ignore[assignment]
        for number in range(5):
            journal.put_all([(f"k{number}", {}, {"text": "é" * number})])
    assert len(read(tmp_path, *range(5))) == 5


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system of its own needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    done = 0
    with pytest.raises(JournalError, match="No space left on device"), JournalWriter(tiny_disk, "job") as journal:
        for number in range(100):
            journal.put_all([(f"k{number}", {}, {"text": "x" * 3000})])
            done += 1
    assert 5 < done < 30
    assert len(read(tiny_disk, *range(100))) == done
    with pytest.raises(JournalError), JournalWriter(tiny_disk, "job") as journal:
        journal.put_all([("k200", {}, {"text": "x" * 50_000})])
    assert len(read(tiny_disk, *range(201))) == done


def test_every_put_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    sync = os.fsync

    def watched(handle: int) -> None:
        seen.append((tmp_path / "job.jsonl").read_bytes())
        sync(handle)

    with JournalWriter(tmp_path, "job") as journal:
        monkeypatch.setattr(os, "fsync", watched)
        journal.put_all([("k1", {}, {})])
        journal.put_all([("k2", {}, {})])
    assert [content.count(b"\n") for content in seen] == [1, 2]


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from sqljudge.models.journal import JournalWriter
with JournalWriter(sys.argv[2], "job") as journal:
    for number in range(int(sys.argv[3]), 10**9):
        journal.put_all([(f"k{number}", {"n": number}, {"text": "x" * (number * 7919 % 20000)})])
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
"""


def test_kill_9_at_any_moment_loses_no_put_that_returned(tmp_path: Path) -> None:
    start = 0
    for attempt in range(8):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(ROOT / "workflow"), str(tmp_path), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.013 * attempt)
            process.send_signal(signal.SIGKILL)
            said = [start, *map(int, process.stdout.read().split())]
        assert process.returncode == -signal.SIGKILL
        last = said[-1]
        found = read(tmp_path, *range(last + 2))
        assert set(range(last + 1)) <= found.keys()
        assert all(answer == {"text": "x" * (n * 7919 % 20000)} for n, answer in found.items())
        write(tmp_path)
        content = (tmp_path / "job.jsonl").read_bytes()
        assert content.endswith(b"\n")
        assert content.count(b"\n") in (last + 1, last + 2)
        start = content.count(b"\n")
    assert start > 8


def test_keys_do_not_depend_on_the_order_of_fields() -> None:
    assert request_key({"a": 1, "b": {"c": "é", "d": 2}}) == request_key({"b": {"d": 2, "c": "é"}, "a": 1})
    keys = {request_key(content) for content in ({"a": 1}, {"a": 2}, {"a": "1"}, {"b": 1}, {"a": 1, "b": 1})}
    assert len(keys) == 5
    assert all(len(key) == 64 for key in keys)


def test_halves_of_surrogate_pairs_are_kept_as_replacement_characters(tmp_path: Path) -> None:
    keys = [request_key({"prompt": f"a{part}"}) for part in ("\ud83d", "\udfff", "\ufffd", "b")]
    assert len(set(keys)) == 2
    with JournalWriter(tmp_path, "job") as journal:
        journal.put_all([("k1", {"about": "\ud83d"}, {"text": "\udfffb"}), ("k2", {}, {"text": "c"})])
    assert read(tmp_path, 1, 2) == {1: {"text": "\ufffdb"}, 2: {"text": "c"}}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that are read, as they are."""
    lines: list[bytes] = []
    entry = inner._entry
    monkeypatch.setattr(inner, "_entry", lambda line: (lines.append(line), entry(line))[1])
    return lines


def noted(reader: JournalReader[int]) -> dict[str, int]:
    reader.refresh()
    return {key: place.note for key, place in reader.places.items()}


def test_what_was_read_is_not_read_again(tmp_path: Path, parsed: list[bytes]) -> None:
    write(tmp_path, *range(100))
    reader = JournalReader(tmp_path, len, lambda new, old: False)
    assert len(noted(reader)) == len(parsed) == 100
    write(tmp_path, 100, 101)
    write(tmp_path, 200, writer="other")
    assert len(noted(reader)) == len(parsed) == 103, "what two writers added"
    assert len(noted(reader)) == len(parsed) == 103, "nothing new"
    assert reader.answer("k7") == {"text": "é7\n"}
    assert len(parsed) == 104, "one answer is one line"


def test_an_unfinished_end_is_read_when_it_is_finished(tmp_path: Path, parsed: list[bytes]) -> None:
    write(tmp_path, 1)
    write_batch(tmp_path, 2, 3)
    path = tmp_path / "job.jsonl"
    whole = path.read_bytes()
    reader = JournalReader(tmp_path, len, lambda new, old: False)
    for cut in (-1, -10, -(len(whole) // 2)):  # no line break; half a line; a batch without its last line
        path.write_bytes(whole[:cut])
        assert set(noted(reader)) == {"k1"}
    path.write_bytes(whole)
    assert set(noted(reader)) == {"k1", "k2", "k3"}
    assert sum(b'"k1"' in line for line in parsed) == 1


def test_a_file_that_was_made_anew_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3)
    write(tmp_path, 4, writer="other")
    reader = JournalReader(tmp_path, len, lambda new, old: False)
    assert set(noted(reader)) == {"k1", "k2", "k3", "k4"}
    (tmp_path / "job.jsonl").unlink()
    write(tmp_path, 5)
    assert set(noted(reader)) == {"k4", "k5"}
    (tmp_path / "other.jsonl").write_bytes(b"x" * 1000)
    with pytest.raises(JournalError) as error:
        reader.answer("k4")
    assert "was changed" in one_line(error)


@pytest.mark.parametrize(
    "tail", [b"", b'{"left": 1, "key": "k', b'{"left": 1, "key": "k9", "answer": {}}\n', b"\0" * 99]
)
def test_opening_a_long_file_reads_its_end_alone(tmp_path: Path, tail: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    write_batch(tmp_path, *range(5000))
    whole = (tmp_path / "job.jsonl").read_bytes()
    (tmp_path / "job.jsonl").write_bytes(whole + tail)
    seen = 0

    class Counted(inner.mmap):  # type: ignore[misc]
        def rfind(self, what: bytes, start: int, end: int) -> int:  # type: ignore[override]
            nonlocal seen
            found: int = super().rfind(what, start, end)
            seen += end - max(found, start)
            return found

    monkeypatch.setattr(inner, "mmap", Counted)
    write(tmp_path, 9999)
    assert (tmp_path / "job.jsonl").read_bytes().startswith(whole + b'{"left": 0, "key": "k9999"')
    assert 0 < seen < len(whole) // 100
