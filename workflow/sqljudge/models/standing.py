"""Engines that outlive a job: the jobs of a run that ask one model share one start of it. Knows processes, not models.

A process of its own holds such an engine and serves one job at a time. It ends when the process that runs the workflow
ends, in whatever way, or when a job needs its device for another model.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from sqljudge.core.errors import ModelError, SqljudgeError
from sqljudge.models.device import RUN, lock_folder, usable_devices

LOOK_SECONDS = 0.5
END_SECONDS = 30
LONGEST_FOLDER = 65
"""Of the 104 bytes that a socket's name may have on some systems."""
SOURCE = str(Path(__file__).resolve().parents[2])
_locks: dict[Path, FileLock] = {}
_peers: dict[Path, Connection] = {}


def possible() -> bool:
    """Whether this is a job of a run, on a machine that has such sockets, in a folder whose name is short enough."""
    return RUN in os.environ and hasattr(socket, "AF_UNIX") and len(str(lock_folder())) < LONGEST_FOLDER


def ask(spec: Any, device: str, kind: str, requests: Sequence[Any], heartbeat: Any) -> Generator[Any, None, float]:
    """What a backend's method `kind` yields, from the engine of this run that holds the model; starts it if need be.

    Returns the most memory that the engine's process has taken, in MiB. Raises what the backend raises, and ModelError
    where the process ends.
    """
    stem = _stem(spec, device)
    peer = _peers.get(stem) or _peers.setdefault(stem, _connected(stem, spec, device))
    whole = False
    try:
        peer.send((kind, list(requests)))
        while not isinstance(said := peer.recv(), float):
            if isinstance(said, SqljudgeError):
                _end(stem)
                raise said
            if isinstance(said, int):
                heartbeat(said)
            else:
                yield said
        whole = True
        return said
    except (EOFError, ConnectionError) as error:
        what = f"the process that held it ended ({_last_words(stem)}); run again for what is not in the journal"
        raise ModelError(f"model '{spec.name}': {what}") from error
    finally:
        if not whole:  # the rest of the answers is for nobody
            _peers.pop(stem).close()


def clear(device: str, keep: Path | None = None) -> None:
    """End the engines that stand on a job's device, so that it has the memory; not those that a job is using."""
    place = _place(device)
    for file in lock_folder().glob(f"{place}+*.pid") if place else ():
        stem = file.with_suffix("")
        lock = _locks.get(stem) or FileLock(f"{stem}.lock")
        if stem == keep or lock.is_locked:
            continue
        with suppress(Timeout), lock.acquire(blocking=False):
            _end(stem)


def _place(device: str) -> str:
    """The device in the names of files. A CPU is each run's own; "" outside a run."""
    if device == "cpu":
        return f"cpu{os.environ[RUN]}" if RUN in os.environ else ""
    return hashlib.sha256(" ".join(usable_devices()).encode()).hexdigest()[:12]


def _stem(spec: Any, device: str) -> Path:
    key = hashlib.sha256(repr((os.environ[RUN], spec, device)).encode()).hexdigest()[:16]
    return lock_folder() / f"{_place(device)}+{key}"


def _connected(stem: Path, spec: Any, device: str) -> Connection:
    """A connection to the engine, which is this job's until its end."""
    if stem not in _locks:
        _locks[stem] = FileLock(f"{stem}.lock")
        _locks[stem].acquire()
    clear(device, keep=stem)
    with suppress(FileNotFoundError, ConnectionRefusedError):
        return Client(f"{stem}.sock", "AF_UNIX")
    log = stem.with_suffix(".log")
    environment = {name: value for name, value in os.environ.items() if name != RUN}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (SOURCE, environment.get("PYTHONPATH"))))
    with log.open("wb") as shown:
        process = subprocess.Popen(
            [sys.executable, "-m", "sqljudge.models.standing"],
            stdin=subprocess.PIPE,
            stdout=shown,
            stderr=shown,
            env=environment,
            start_new_session=True,  # what interrupts this job is not meant for it
        )
    assert process.stdin
    with process.stdin as pipe:
        pipe.write(pickle.dumps((stem, int(os.environ[RUN]), spec, device)))
    while process.poll() is None:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return Client(f"{stem}.sock", "AF_UNIX")
        time.sleep(0.05)
    raise ModelError(f"model '{spec.name}': the process that should hold it ended ({_last_words(stem)})")


def _last_words(stem: Path) -> str:
    """The last line that an engine's process wrote, once it has ended; what it left goes."""
    if process := _process(stem):
        _wait(process)
    log = stem.with_suffix(".log")
    said = log.read_text(encoding="utf-8", errors="replace").strip() if log.exists() else ""
    _forget(stem)
    return said.rpartition("\n")[2] or "without a word"


def _end(stem: Path) -> None:
    """End the process of an engine, and wait until it is gone."""
    if process := _process(stem):
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        _wait(process)
    _forget(stem)


def _process(stem: Path) -> psutil.Process | None:
    """The process of an engine, where it is still there."""
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        pid, began = stem.with_suffix(".pid").read_text().split()
        process = psutil.Process(int(pid))
        return process if process.create_time() == float(began) else None
    return None


def _wait(process: psutil.Process) -> None:
    """Wait for a process that is ending; one that does not end is killed."""
    try:
        process.wait(END_SECONDS)
    except psutil.TimeoutExpired:
        with suppress(psutil.NoSuchProcess):
            process.kill()
        process.wait()


def _forget(stem: Path) -> None:
    for kind in (".pid", ".sock", ".log"):
        stem.with_suffix(kind).unlink(missing_ok=True)


def serve(stem: Path, run: int, spec: Any, device: str) -> None:
    """Hold an engine and serve jobs, until the run ends or the engine fails."""
    from sqljudge.models.engines import load_backend

    stem.with_suffix(".pid").write_text(f"{os.getpid()} {psutil.Process().create_time()}")
    stem.with_suffix(".sock").unlink(missing_ok=True)
    threading.Thread(target=_end_with, args=(psutil.Process(run), stem), daemon=True).start()
    backend = None
    with Listener(f"{stem}.sock", "AF_UNIX") as listener:
        while True:
            with listener.accept() as peer, _broken_tells(peer):
                backend = backend or load_backend(spec, device=device)
                with suppress(EOFError, ConnectionError):  # the job has gone
                    while True:
                        _answer(backend, peer, *peer.recv())


def _answer(backend: Any, peer: Connection, kind: str, requests: Sequence[Any]) -> None:
    found = backend.generate(requests, peer.send) if kind == "generate" else backend.choose(requests)
    with closing(found):
        for each in found:
            peer.send(each)
    peer.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@contextmanager
def _broken_tells(peer: Connection) -> Iterator[None]:
    """What is wrong with an engine is told to its job, and ends the process: the next job starts another."""
    try:
        yield
    except SqljudgeError as error:
        with suppress(ConnectionError):
            peer.send(error)
        raise


def _end_with(run: psutil.Process, stem: Path) -> None:
    while run.is_running() and run.status() != psutil.STATUS_ZOMBIE:
        time.sleep(LOOK_SECONDS)
    _forget(stem)
    stem.with_suffix(".lock").unlink(missing_ok=True)
    os._exit(1)


if __name__ == "__main__":
    serve(*pickle.load(sys.stdin.buffer))
