"""One worker process and the jobs that it has been handed. Knows nothing of SQL, nor of other workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqljudge.core.errors import SqlRunError

Reply = list[Any]
"""[kind, value], as the worker sends it."""

IN_FLIGHT_BYTES = 16_384
"""Requests handed over ahead of their replies: less than a pipe holds, so that a write never blocks for long."""

START_SECONDS = 60.0
GRACE_SECONDS = 2.0
"""A worker ends a query by itself when its time is over; it is killed if it has not answered so much later."""

MAX_STARTS = 3
OUTSIDE_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from sqljudge.sql.sandbox.worker import main; main(sys.argv[2])"
)  # not multiprocessing: that would import the caller's __main__, which may be a script with effects


@dataclass
class Job:
    """One request: its place among the answers, its text, the seconds it may take, and how its workers died."""

    place: int
    line: bytes
    seconds: float
    crashes: int = 0
    kills: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it was at work when a worker died."""
        return bool(self.crashes or self.kills)


class WorkerProcess:
    """A process that answers jobs in order. `at_work`: handed over, the first is being worked on; `waiting`: next."""

    def __init__(self, settings: str) -> None:
        self.at_work: deque[Job] = deque()
        self.waiting: deque[Job] = deque()
        self.ready = False
        self.output: IO[bytes] | None = None
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._last_words = "no message"
        self._starts = 0
        self._since = 0.0
        self._parts: list[bytes] = []

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process. Raises SqlRunError if it cannot be started, or has died too often before it was ready."""
        self._starts += 1
        if self._starts > MAX_STARTS:
            raise SqlRunError(f"the SQL worker does not start: {self._last_words}; check the Python environment")
        library = str(Path(__file__).parents[3])
        path = json.dumps([library, *(entry for entry in sys.path if entry and entry != library)])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in stop)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, path, self._settings],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise SqlRunError(f"the SQL worker cannot be started ({error}); free memory or processes") from error
        self.output = self._process.stdout
        self.ready, self._since, self._parts = False, time.monotonic(), []

    def stop(self, wait: float = 0.0) -> int:
        """End the process, after `wait` seconds in which it may end by itself, and return its exit code.

        The jobs that it had been handed wait again.
        """
        process, log = self._process, self._log
        if process is None or log is None:
            return 0
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        self._last_words = lines[-1] if lines else f"it ended with code {code}"
        for stream in (process.stdin, process.stdout, log):
            if stream is not None:
                stream.close()
        self._process = self._log = self.output = None
        self.waiting.extendleft(reversed(self.at_work))
        self.at_work.clear()
        return code

    def hand_over(self) -> None:
        """Hand over waiting jobs. A suspect goes alone, so that blame is certain."""
        while self.waiting:
            job = self.waiting[0]
            ahead = sum(len(other.line) for other in self.at_work) + len(job.line)
            alone = job.suspect or any(other.suspect for other in self.at_work)
            if self.at_work and (alone or ahead > IN_FLIGHT_BYTES):
                return
            if not self.at_work and self.ready:
                self._since = time.monotonic()
            self.at_work.append(self.waiting.popleft())
            if not self._write(job.line):
                return  # it is dead, and its closed output will say so

    def _write(self, line: bytes) -> bool:
        assert self._process is not None and self._process.stdin is not None
        view = memoryview(line)
        while view:
            try:
                view = view[os.write(self._process.stdin.fileno(), view) :]
            except BrokenPipeError:
                return False
        return True

    def receive(self) -> list[tuple[Job, Reply]] | None:
        """The answers that have come in; None if the process has closed its output."""
        assert self.output is not None
        data = os.read(self.output.fileno(), 1 << 20)
        if not data:
            return None
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            self._parts.append(data)
            return []
        lines = b"".join([*self._parts, head]).split(b"\n")
        self._parts = [tail]
        self._since = time.monotonic()
        if not self.ready:
            self.ready, self._starts = True, 0
            del lines[0]
        return [(self.at_work.popleft(), json.loads(line, object_hook=_bytes)) for line in lines]

    def deadline(self) -> float:
        """When, on the monotonic clock, the process has to be killed."""
        if self._process is None:
            return float("inf")
        if not self.ready:
            return self._since + START_SECONDS
        return self._since + self.at_work[0].seconds + GRACE_SECONDS if self.at_work else float("inf")


def _bytes(value: dict[str, str]) -> bytes:
    return bytes.fromhex(value["blob"])
