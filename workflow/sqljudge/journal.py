"""Finished model requests, by content. Knows neither what a request means nor who asks.

A journal is a folder of JSON Lines files, one per writer, each line a request's key, the request in readable form and
its answer. A line is on disk (fsync) before `put` returns; a line torn by a crash is dropped at the next opening.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from sqljudge.errors import SqljudgeError


class JournalError(SqljudgeError):
    """The journal cannot be written."""


def request_key(content: Mapping[str, Any]) -> str:
    """The key of a request: SHA-256 of its content as canonical JSON."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_answers(
    folder: str | Path, keys: Collection[str], better: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> dict[str, dict[str, Any]]:
    """The answers that a journal's folder holds for the given keys.

    Where several lines have one key, `better(new, old)` says whether the later one is kept. Lines that are not whole
    JSON (torn by a crash) are passed over.
    """
    wanted = set(keys)
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        with path.open("rb") as handle:
            for line in handle:
                entry = _entry(line)
                if entry is None or entry["key"] not in wanted:
                    continue
                key, answer = entry["key"], entry["answer"]
                if key not in found or better(answer, found[key]):
                    found[key] = answer
    return found


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(entry, dict) and isinstance(entry.get("key"), str) and isinstance(entry.get("answer"), dict)
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def put(self, key: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Add one finished request; it is on disk when this returns."""
        assert self._handle is not None, "the journal is not open"
        line = json.dumps({"key": key, "request": request, "answer": answer}, ensure_ascii=False) + "\n"
        start = self._handle.seek(0, os.SEEK_END)
        try:
            rest = memoryview(line.encode())
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

    @staticmethod
    def _drop_torn_tail(handle: FileIO) -> None:
        end = handle.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            step = min(1 << 16, position)
            handle.seek(position - step)
            cut = handle.read(step).rfind(b"\n")
            if cut >= 0:
                position += cut + 1 - step
                break
            position -= step
        if position < end:
            handle.truncate(position)
        handle.seek(0, os.SEEK_END)


def _sync_folder(folder: Path) -> None:
    """Make sure that a new file's name, too, outlives a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
