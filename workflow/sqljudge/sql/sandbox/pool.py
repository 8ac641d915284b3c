"""Worker processes that share out requests, are killed when they are overdue, and are replaced when they die.

A request that is at work when its worker dies is tried again, on its own, in a fresh one. A second crash is its own
doing, and is its answer; a worker that something outside keeps killing is a fault of the machine and no answer at all.
Knows nothing of SQL.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

from sqljudge.core.errors import SqlRunError

Batch = Sequence[tuple[dict[str, Any], float]]
"""Requests for one worker, each with the seconds it may take."""

Reply = list[Any]
"""[kind, value], as the worker sends it."""

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


class Pool:
    """As many workers as asked for, started when there is work, and kept until `close`."""

    def __init__(self, workers: int, settings: dict[str, Any]) -> None:
        self._given_up = Event()
        self._workers = [_Worker(json.dumps(settings), self._given_up) for _ in range(workers)]

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.stop()

    def pids(self) -> list[int]:
        """The process ids of the workers that are ready for work."""
        return [worker.process.pid for worker in self._workers if worker.process and worker.ready]

    def answers(self, batches: Sequence[Batch]) -> list[Reply]:
        """The replies to all requests, in order. A batch goes to one worker, to profit from what that has at hand.

        Replies beside the worker's own: ["timeout", message], ["crash", message]. Raises SqlRunError if workers do not
        start or keep being killed.
        """
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            idle.put(worker)

        def replies(batch: Batch) -> list[Reply]:
            worker = idle.get()
            try:
                return worker.answers(batch)
            finally:
                idle.put(worker)

        self._given_up.clear()
        threads = ThreadPoolExecutor(len(self._workers))
        try:
            return [reply for some in threads.map(replies, batches) for reply in some]
        except BaseException:
            self._given_up.set()
            for worker in self._workers:
                worker.kill()
            threads.shutdown(cancel_futures=True)
            self.close()
            raise
        finally:
            threads.shutdown()


class _Worker:
    """A process that answers requests in order, and is started again when it has died. One thread at a time uses it."""

    def __init__(self, settings: str, given_up: Event) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False
        self._settings = settings
        self._given_up = given_up
        self._failed_starts = 0
        self._received = bytearray()

    def answers(self, batch: Batch) -> list[Reply]:
        """The replies to a batch. Raises SqlRunError as `Pool.answers` does."""
        replies: list[Reply] = []
        crashes = kills = 0
        while len(replies) < len(batch):
            first = len(replies)
            some = batch[first : first + 1] if crashes or kills else batch[first:]
            self._send([request for request, _ in some])
            for _, seconds in some:
                reply = self._receive(seconds)
                if reply is None:  # it died at work on this one
                    code = self.stop(wait=1.0)
                    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
                    kills += -code in OUTSIDE_SIGNALS
                    crashes += -code not in OUTSIDE_SIGNALS
                    if kills >= MAX_KILLS:
                        what = f"the SQL worker was killed from outside {MAX_KILLS} times ({name}); look for a lack of"
                        raise SqlRunError(f"{what} memory, or lower the memory limit, and run again")
                    if crashes < MAX_CRASHES:
                        break
                    reply = ["crash", f"the engine crashed on this query ({name})"]
                if reply[0] == "bug":
                    raise SqlRunError(f"the SQL worker failed: {reply[1].strip().splitlines()[-1]}; please report it")
                replies.append(reply)
                crashes = kills = 0
                if self.process is None:
                    break
        return replies

    def kill(self) -> None:
        """Make the process end, whatever its thread is at."""
        if process := self.process:
            process.kill()

    def stop(self, wait: float = 0.0) -> int:
        """End the process, after `wait` seconds in which it may end by itself, and return its exit code."""
        process = self.process
        if process is None:
            return 0
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self.process, self.ready = None, False
        return code

    def _send(self, requests: list[dict[str, Any]]) -> None:
        """Hand requests over, to a fresh process if there is none."""
        while not self.ready:
            self._start()
        assert self.process and self.process.stdin
        with suppress(BrokenPipeError):  # it is dead, and its closed output will say so
            self.process.stdin.write(json.dumps(requests).encode("ascii") + b"\n")
            self.process.stdin.flush()

    def _start(self) -> None:
        """Start a process and wait until it is ready or has died. Raises SqlRunError if it has died too often."""
        if self._given_up.is_set():
            raise SqlRunError("the sandbox was closed")
        library = str(Path(__file__).parents[3])
        path = json.dumps([library, *(entry for entry in sys.path if entry and entry != library)])
        with tempfile.TemporaryFile() as log:
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", _START, path, self._settings],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise SqlRunError(f"the SQL worker cannot be started ({error}); free memory or processes") from error
            if self._given_up.is_set():
                self.process.kill()
            self._received = bytearray()
            with suppress(TimeoutError):
                self.ready = bool(self._line(START_SECONDS))
            if self.ready:
                self._failed_starts = 0
                return
            code = self.stop(wait=1.0)
            log.seek(0)
            words = log.read().decode(errors="replace").strip().splitlines() or [f"it ended with code {code}"]
        self._failed_starts += 1
        if self._failed_starts >= MAX_STARTS:
            raise SqlRunError(f"the SQL worker does not start: {words[-1]}; check the Python environment")

    def _receive(self, seconds: float) -> Reply | None:
        """The next reply; None if the process has died."""
        try:
            line = self._line(seconds + GRACE_SECONDS)
        except TimeoutError:
            self.stop()
            return ["timeout", f"stopped after {seconds:g} seconds, inside one operation"]
        return json.loads(line, object_hook=lambda value: bytes.fromhex(value["blob"])) if line else None

    def _line(self, seconds: float) -> bytes:
        """The next line of output; b"" if it has ended. Raises TimeoutError if none comes in time."""
        assert self.process and self.process.stdout
        output, deadline = self.process.stdout.fileno(), time.monotonic() + seconds
        poll = select.poll()
        poll.register(output, select.POLLIN)
        end = self._received.find(b"\n")
        while end < 0:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            data, known = os.read(output, 1 << 20), len(self._received)
            if not data:
                return b""
            self._received += data
            end = self._received.find(b"\n", known)
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line
