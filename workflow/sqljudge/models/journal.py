"""Finished model requests, by content. Knows neither what a request means nor who asks.

A journal is a folder of JSON Lines files, one per writer, each line a request's key, the request in readable form and
its answer. Requests that were computed together are put together: they are on disk (fsync) before `put_all` returns,
and all of them count or none. `left` says how many lines of a batch follow; what a crash left unfinished is passed over
by readers and dropped when the file is next opened for writing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from sqljudge.core.errors import SqljudgeError
from sqljudge.core.records import parse_json, whole_text

Entry = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""Key, request, answer."""
_MORE_FOLLOW = re.compile(rb'\{"left": [1-9]')


class JournalError(SqljudgeError):
    """The journal cannot be written."""


def request_key(content: Mapping[str, Any]) -> str:
    """The key of a request: SHA-256 of its content as canonical JSON."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(whole_text(text).encode()).hexdigest()


def read_answers(
    folder: str | Path, keys: Collection[str], better: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> dict[str, dict[str, Any]]:
    """The answers that a journal's folder holds for the given keys.

    Where several lines have one key, `better(new, old)` says whether the later one is kept.
    """
    wanted = set(keys)
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        for entry in read_entries(path):
            key, answer = entry["key"], entry["answer"]
            if key in wanted and (key not in found or better(answer, found[key])):
                found[key] = answer
    return found


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of one file: key, request and answer, of finished batches. Lines that are not entries are skipped."""
    batch: list[dict[str, Any]] = []
    with path.open("rb") as handle:
        for line in handle:
            entry = _entry(line)
            if entry is None:
                continue
            if batch and entry["left"] != batch[-1]["left"] - 1:  # another batch begins: that one was never finished
                batch = []
            batch.append(entry)
            if entry["left"] == 0:
                yield from batch
                batch = []


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = parse_json(line)
    except ValueError:
        return None
    kinds = {"left": int, "key": str, "answer": dict}
    whole = isinstance(entry, dict) and all(isinstance(entry.get(field), kind) for field, kind in kinds.items())
    return entry if whole else None


class JournalWriter:
    """Appends to one writer's file; a context manager. One process at a time may hold a file.

    Raises JournalError where the file cannot be opened or written, or another process holds it.
    """

    def __init__(self, folder: str | Path, writer: str) -> None:
        self.path = Path(folder) / f"{writer}.jsonl"
        self._handle: FileIO | None = None

    def __enter__(self) -> JournalWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self.path.open("ab+", buffering=0)  # what a full disk refuses is not tried again at the end
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._drop_torn_tail(self._handle)
            _sync_folder(self.path.parent)
        except BlockingIOError as error:
            self._close()
            raise JournalError(f"{self.path}: another job is writing it; wait for that job or stop it") from error
        except OSError as error:
            self._close()
            raise JournalError(f"{self.path}: cannot be written ({error.strerror})") from error
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def put_all(self, batch: Iterable[Entry]) -> None:
        """Add requests that were computed together; they are on disk when this returns, and count together."""
        assert self._handle is not None, "the journal is not open"
        entries = list(batch)
        lines = [
            json.dumps({"left": left, "key": key, "request": request, "answer": answer}, ensure_ascii=False) + "\n"
            for left, (key, request, answer) in zip(reversed(range(len(entries))), entries, strict=True)
        ]
        start = self._handle.seek(0, os.SEEK_END)
        try:
            rest = memoryview(whole_text("".join(lines)).encode())
            while rest:
                rest = rest[self._handle.write(rest) :]
            os.fsync(self._handle.fileno())
        except OSError as error:
            with suppress(OSError):
                self._handle.truncate(start)
            raise JournalError(
                f"{self.path}: cannot be written ({error.strerror}); make room and run again, nothing finished is lost"
            ) from error

    def _close(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def _drop_torn_tail(self, handle: FileIO) -> None:
        """Cut the file behind the last line that ends a batch."""
        position = end = 0
        with self.path.open("rb") as lines:
            for line in lines:
                position += len(line)
                if line.endswith(b"\n") and not _MORE_FOLLOW.match(line):
                    end = position
        if end < position:
            handle.truncate(end)
        handle.seek(0, os.SEEK_END)


def _sync_folder(folder: Path) -> None:
    """Make sure that a new file's name, too, outlives a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
