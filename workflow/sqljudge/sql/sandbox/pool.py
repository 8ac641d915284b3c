"""Worker processes that share out requests, are killed when they are overdue, and are replaced when they die.

A request that is at work when its worker dies is tried again, on its own, in a fresh one. A second crash is its own
doing, and is its answer; a worker that something outside keeps killing is a fault of the machine and no answer at all.
Knows nothing of SQL.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqljudge.core.errors import SqlRunError

Batch = Sequence[tuple[dict[str, Any], float]]
"""Requests for one worker, each with the seconds it may take."""

Reply = list[Any]
"""[kind, value], as the worker sends it."""

IN_FLIGHT_BYTES = 16_384
"""Requests handed over ahead of their replies: less than a pipe holds, so that a write never blocks for long."""

START_SECONDS = 60.0
GRACE_SECONDS = 2.0
"""A worker ends a query by itself when its time is over; it is killed if it has not answered so much later."""

MAX_STARTS = 3
MAX_CRASHES = 2
MAX_KILLS = 3
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


class Pool:
    """As many workers as asked for, started when there is work, and kept until `close`."""

    def __init__(self, workers: int, settings: dict[str, Any]) -> None:
        self._workers = [WorkerProcess(json.dumps(settings)) for _ in range(workers)]
        self._pending: deque[deque[Job]] = deque()
        self._replies: dict[int, Reply] = {}

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.stop()
            worker.waiting.clear()

    def pids(self) -> list[int]:
        """The process ids of the living workers."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def answers(self, batches: Sequence[Batch]) -> list[Reply]:
        """The replies to all requests, in order. A batch goes to one worker, to profit from what that has at hand.

        Replies beside the worker's own: ["timeout", message], ["crash", message]. Raises SqlRunError if workers do not
        start or keep being killed.
        """
        self._pending.clear()
        self._replies = {}
        count = 0
        for batch in batches:
            jobs = (Job(count + at, _line(request), seconds) for at, (request, seconds) in enumerate(batch))
            self._pending.append(deque(jobs))
            count += len(batch)
        try:
            with selectors.DefaultSelector() as selector:
                for worker in self._workers:
                    if worker.output is not None:
                        selector.register(worker.output, selectors.EVENT_READ, worker)
                while len(self._replies) < count:
                    self._turn(selector)
        except BaseException:
            self.close()
            raise
        return [self._replies[place] for place in range(count)]

    def _turn(self, selector: selectors.BaseSelector) -> None:
        for worker in self._workers:
            if not worker.waiting and not worker.at_work and self._pending:
                worker.waiting = self._pending.popleft()
            if worker.waiting and worker.output is None:
                worker.start()
                selector.register(worker.output, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
            worker.hand_over()
        first = min(worker.deadline() for worker in self._workers)
        for key, _ in selector.select(max(0.0, first - time.monotonic())):
            self._take_in(key.data, selector)
        for worker in self._workers:
            if time.monotonic() > worker.deadline():
                self._overdue(worker, selector)

    def _take_in(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> None:
        received = worker.receive()
        if received is None:
            self._died(worker, selector)
            return
        for job, reply in received:
            if reply[0] == "bug":
                raise SqlRunError(f"the SQL worker failed: {reply[1].strip().splitlines()[-1]}; please report it")
            self._replies[job.place] = reply

    def _died(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> None:
        selector.unregister(worker.output)  # type: ignore[arg-type]
        blamed = worker.at_work[0] if worker.ready and worker.at_work else None
        code = worker.stop(wait=1.0)
        if blamed is None:
            return
        if -code in OUTSIDE_SIGNALS:
            blamed.kills += 1
            if blamed.kills >= MAX_KILLS:
                what = f"the SQL worker was killed from outside {MAX_KILLS} times ({_name(code)})"
                raise SqlRunError(f"{what}; look for a lack of memory, or lower the memory limit, and run again")
            return
        blamed.crashes += 1
        if blamed.crashes >= MAX_CRASHES:
            self._replies[blamed.place] = ["crash", f"the engine crashed on this query ({_name(code)})"]
            worker.waiting.remove(blamed)

    def _overdue(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> None:
        selector.unregister(worker.output)  # type: ignore[arg-type]
        job = worker.at_work[0] if worker.ready and worker.at_work else None
        worker.stop()
        if job is not None:
            self._replies[job.place] = ["timeout", f"stopped after {job.seconds:g} seconds, inside one operation"]
            worker.waiting.remove(job)


def _line(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode("ascii") + b"\n"


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
