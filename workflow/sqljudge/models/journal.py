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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqljudge.core.errors import SqljudgeError
from sqljudge.core.files import parse_json, whole_text

Entry = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""Key, request, answer."""
Note = TypeVar("Note")
"""What is kept in memory of an answer that lies on disk."""
_MORE_FOLLOW = re.compile(rb'\{"left": [1-9]')


class JournalError(SqljudgeError):
    """The journal cannot be written."""


def request_key(content: Mapping[str, Any]) -> str:
    """The key of a request: SHA-256 of its content as canonical JSON."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(whole_text(text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Place(Generic[Note]):
    """The byte of a file at which an entry's line begins, and a note of its answer."""

    path: Path
    start: int
    note: Note


class JournalReader(Generic[Note]):
    """What a journal's folder holds: a place for each key. Answers stay on disk until they are read one by one.

    `note`: what is kept in memory of an answer. Where several lines have one key, `better(new, old)` says by their
    notes whether the later one is kept.
    """

    def __init__(
        self, folder: str | Path, note: Callable[[dict[str, Any]], Note], better: Callable[[Note, Note], bool]
    ) -> None:
        self.folder = Path(folder)
        self.places: dict[str, Place[Note]] = {}
        self._note = note
        self._better = better
        self._ends: dict[Path, int] = {}

    def refresh(self) -> None:
        """Take in what was added since the last time; nothing is read twice but an unfinished end."""
        for path in sorted(self.folder.glob("*.jsonl")):
            start = self._ends.get(path, 0)
            if path.stat().st_size < start:  # it was made anew
                start, self.places = 0, {key: place for key, place in self.places.items() if place.path != path}
            for end, batch in read_batches(path, self._note, start):
                self._ends[path] = end
                for key, place in batch:
                    if key not in self.places or self._better(place.note, self.places[key].note):
                        self.places[key] = place

    def answer(self, key: str) -> dict[str, Any]:
        """The answer of a key that has a place. Raises JournalError where the file was changed meanwhile."""
        place = self.places[key]
        try:
            with place.path.open("rb") as handle:
                handle.seek(place.start)
                entry = _entry(handle.readline())
        except OSError:
            entry = None
        if entry is None or entry["key"] != key:
            raise JournalError(f"{place.path}: was changed by something else while it was read; run again")
        answer: dict[str, Any] = entry["answer"]
        return answer


def read_batches(
    path: Path, note: Callable[[dict[str, Any]], Note], start: int = 0
) -> Iterator[tuple[int, list[tuple[str, Place[Note]]]]]:
    """The finished batches of one file from a byte on: where each ends, and its entries' keys and places.

    Lines that are not entries are skipped, so is an end that a crash tore.
    """
    batch: list[tuple[str, Place[Note]]] = []
    due = 0
    with path.open("rb") as handle:
        handle.seek(start)
        for line in handle:
            begin, start = start, start + len(line)
            entry = _entry(line) if line.endswith(b"\n") else None
            if entry is None:
                continue
            if entry["left"] != due - 1:  # another batch begins: what came before it was never finished
                batch = []
            due = entry["left"]
            batch.append((entry["key"], Place(path, begin, note(entry["answer"]))))
            if due == 0:
                yield start, batch
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

    `lasting`: whether what is put must outlive a power loss. Raises JournalError where the file cannot be opened or
    written, or another process holds it.
    """

    def __init__(self, folder: str | Path, writer: str, *, lasting: bool = True) -> None:
        self.lasting = lasting
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
            if self.lasting:
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
        """Cut the file behind the last line that ends a batch; what comes before that line is not read."""
        end = handle.seek(0, os.SEEK_END)
        if not end:
            return
        with mmap(handle.fileno(), 0, access=ACCESS_READ) as lines:
            while end := lines.rfind(b"\n", 0, end) + 1:
                start = lines.rfind(b"\n", 0, end - 1) + 1
                if not _MORE_FOLLOW.match(lines, start):
                    break
                end = start
        handle.truncate(end)
        handle.seek(0, os.SEEK_END)


def _sync_folder(folder: Path) -> None:
    """Make sure that a new file's name, too, outlives a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
