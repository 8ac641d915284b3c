"""Where a training that is cut short goes on, and where finished ones are kept. Knows no model library.

A checkpoint counts once its mark is there, which is written last: a kill in the middle of saving leaves a folder that
is not taken, and the one before it still lies beside it. Finished trainings are kept by the digest of all that decides
them, outside of what Snakemake deletes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqljudge.core.errors import ModelError
from sqljudge.core.files import parse_json, write_json

MARK = "whole.json"
KEPT = 2
"""Checkpoints that are kept: the last whole one, and the one that is being written."""


def last_checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint of a folder; those that are not whole are deleted. None where there is none."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in found:
        if not (path / MARK).is_file():
            shutil.rmtree(path)
    return next((path for path in reversed(found) if (path / MARK).is_file()), None)


def mark(checkpoint: Path, state: Mapping[str, Any], seconds: float) -> None:
    """Say that a checkpoint is whole, with the state of all that its trainer does not know, and the seconds so far."""
    write_json(checkpoint / MARK, {"state": state, "seconds": round(seconds, 3)})


def marked_state(checkpoint: Path) -> dict[str, Any]:
    """The state that a checkpoint was marked with."""
    state: dict[str, Any] = _marked(checkpoint)["state"]
    return state


def _marked(checkpoint: Path) -> dict[str, Any]:
    marked: dict[str, Any] = parse_json((checkpoint / MARK).read_text(encoding="utf-8"))
    return marked


def stopwatch(folder: Path) -> Callable[[], float]:
    """A function that gives the seconds since now, and those that went into the last whole checkpoint."""
    checkpoint = last_checkpoint(folder)
    before = _marked(checkpoint)["seconds"] if checkpoint else 0.0
    start = time.monotonic()
    return lambda: before + time.monotonic() - start


@contextmanager
def asked_to_end() -> Iterator[Callable[[], bool]]:
    """A function that says whether the process was asked to end (SIGTERM), which does not end it meanwhile.

    In another thread than the main one nothing is caught, and nothing ever asked.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


def train_from(trainer: Any, folder: Path, *, updates: int = 1) -> None:
    """Let a trainer train from the last whole checkpoint of its folder on.

    A process that is asked to end saves one more after the step that it is at, or, where a batch serves several
    `updates`, after the last of these. Raises ModelError then, which says how to go on.
    """
    from transformers import TrainerCallback

    class Ends(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if asked() and state.global_step % updates == 0:
                control.should_save = control.should_training_stop = True

    checkpoint = last_checkpoint(folder)
    with asked_to_end() as asked:
        trainer.add_callback(Ends())
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        done, steps = trainer.state.global_step, trainer.args.max_steps
        if done < steps:
            what = f"the training was asked to end (SIGTERM, such as at a time limit) after step {done} of {steps}"
            raise ModelError(f"{what}; its checkpoint is whole: run the same command again, and it goes on from there")


def training_key(**parts: Any) -> str:
    """The digest of all that decides a training: its data, base model, method, settings, seed, prompts and code."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def stored(store: Path, key: str) -> Path | None:
    """The folder of a finished training; None where it is not kept."""
    return store / key if (store / key).is_dir() else None


def keep(store: Path, key: str, made: Path) -> Path:
    """Keep a finished training, whole or not at all; one that another job has kept meanwhile stays as it is."""
    store.mkdir(parents=True, exist_ok=True)
    target = store / key
    temporary = Path(tempfile.mkdtemp(dir=store, prefix=f".{key}."))
    shutil.copytree(made, temporary, dirs_exist_ok=True)
    try:
        temporary.rename(target)
    except OSError:
        shutil.rmtree(temporary)
        if not target.is_dir():
            raise
    return target
