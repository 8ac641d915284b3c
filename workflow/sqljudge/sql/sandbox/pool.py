"""Worker processes that share out requests, are killed when they are overdue, and are replaced when they die.

A request that is at work when its worker dies is tried again, on its own, in a fresh one. A second crash is its own
doing, and is its answer; a worker that something outside keeps killing is a fault of the machine and no answer at all.
"""

from __future__ import annotations

import json
import selectors
import signal
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from sqljudge.core.errors import SqlRunError
from sqljudge.sql.sandbox.process import OUTSIDE_SIGNALS, Job, Reply, WorkerProcess

Batch = Sequence[tuple[dict[str, Any], float]]
"""Requests for one worker, each with the seconds it may take."""

MAX_CRASHES = 2
MAX_KILLS = 3


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
