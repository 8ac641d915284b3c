"""What trainings still have to do: tokens and time, by what finished ones recorded of themselves. Knows no model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqljudge.core.files import read_json, read_text
from sqljudge.core.provenance import file_digest, text_digest
from sqljudge.training.methods import ONLINE, PROBE, method_of, settings_of

Record = Mapping[str, Any]
SEQUENCES = {"verdict": 2, "redi": 2}
"""Sequences of a unit of an offline method, where it is not one."""
WORK = 3
"""What training on a token costs, in times of reading it: forwards, and twice as much backwards."""
PROMPT_TOKENS = 250
"""Tokens of a prompt, where no training of the model has counted them."""
LEFT = ("requests", "prompt_tokens", "new_tokens", "most_tokens", "seconds", "most_seconds")


def asked_of(method: str, settings: Mapping[str, Any], steps: int) -> tuple[int, int, float]:
    """What a training goes through: sequences that are trained on, responses that are drawn, and most tokens of one.

    Online these are steps x prompts x generations; what is drawn beside the batches (references, monitoring) is not
    counted, and neither are groups drawn anew.
    """
    trainer = method_of(method).trainer
    if trainer != ONLINE:
        units = 0 if trainer == PROBE else steps * settings["batch"] * SEQUENCES.get(method, 1)
        return units, 0, 0
    rows = math.ceil(steps / settings["updates"]) * settings["prompts"] * settings["generations"]
    most = settings["budget"]
    if method == "adapt_think":
        most = (most + settings["skip_budget"]) / 2
    return rows, rows, most


def training_job(name: str, training: Any, *, seed: int, prompts: Sequence[str], code: str) -> dict[str, Any]:
    """A training as an estimate takes it. `prompts`: its templates' files; `code`: the digest of its method's code."""
    return {
        "name": f"train.{name}",
        "model": training.model,
        "method": training.method,
        "settings": asdict(settings_of(training.method, training.settings)),
        "steps": training.steps,
        "seed": seed,
        "data": f"results/training/data/{training.data}.jsonl",
        "prompts": list(prompts),
        "framing": {"prompt_format": training.prompt_format, "special_tokens": training.special_tokens},
        "extraction": training.extraction,
        "code": code,
    }


def read_records(store: str) -> list[dict[str, Any]]:
    """The records of all finished trainings of a folder."""
    return [read_json(file) for file in sorted(Path(store).glob("*/run.json"))]


def is_finished(job: Mapping[str, Any], records: Sequence[Record]) -> bool:
    """Whether a training lies finished in the store: by its model's name, settings, seed, prompts, code and data.

    Data that are not made yet are taken to be the same. That the base model's weights are, only the job itself checks.
    """
    digests = {key: job[key] for key in ("framing", "extraction", "code")}
    digests["prompts"] = [text_digest(read_text(file)) for file in job["prompts"]]
    if Path(job["data"]).is_file():
        digests["data"] = file_digest(job["data"])
    keys = ("model", "method", "settings", "steps", "seed")
    return any(
        all(record.get(key) == job[key] for key in keys)
        and all(record.get("digests", {}).get(key) == value for key, value in digests.items())
        for record in records
    )


def training_remainder(
    job: Mapping[str, Any],
    records: Sequence[Record],
    size: float | None,
    measure: Callable[[], float | None],
    attained: float,
) -> dict[str, Any]:
    """What a training still has to do, as a row of `estimate.remainders`.

    Tokens in are those of prompts and those that are trained on. A response is expected to be as long, and a token to
    take as long, as in finished trainings of the same model (of the same method, if there are any). `size`: the model's
    parameters; `measure`: operations a second, of which so much is `attained`, where the model was not trained here.
    """
    row: dict[str, Any] = {"job": job["name"], "model": job["model"], "rough": False}
    if is_finished(job, records):
        return {**row, **dict.fromkeys(LEFT, 0)}
    sequences, responses, longest = asked_of(job["method"], job["settings"], job["steps"])
    if method_of(job["method"]).trainer == PROBE and Path(job["data"]).is_file():
        sequences = len(Path(job["data"]).read_text(encoding="utf-8").splitlines())
    of_model = [record for record in records if record.get("model") == job["model"]]
    known = [record for record in of_model if record["method"] == job["method"]] or of_model
    prompt, answer = _lengths(known)
    most = round(responses * longest)
    written = None if responses and answer is None else round(responses * min(answer or 0.0, longest))
    read = round(responses * prompt)

    def trained(tokens: int) -> int:
        return tokens if responses else round(sequences * prompt)

    work = sum(_work(record["tokens"]) for record in known)
    seconds = sum(record["seconds"] for record in known)
    speed = work / seconds if seconds else None
    power = measure() if speed is None and size else None
    if power and size:
        speed = attained * power / (2 * size)

    def time(tokens: int | None) -> float | None:
        return None if tokens is None or not speed else float((read + tokens + WORK * trained(tokens)) / speed)

    return {
        **row,
        "requests": responses or sequences,
        "prompt_tokens": read + trained(most if written is None else written),
        "new_tokens": written,
        "most_tokens": most,
        "seconds": time(written),
        "most_seconds": time(most),
        "rough": power is not None,
    }


def _work(tokens: Mapping[str, int]) -> int:
    """Tokens of a training, weighed by what they cost."""
    return tokens["prompted"] + tokens["generated"] + WORK * tokens["trained"]


def _lengths(records: Sequence[Record]) -> tuple[float, float | None]:
    """Mean tokens of a prompt (offline: of a sequence) and of a response, in finished trainings."""
    counted = [(asked_of(r["method"], r["settings"], r["steps"]), r["tokens"]) for r in records]
    responses = sum(drawn for (_, drawn, _), _ in counted)
    if responses:
        prompted = sum(tokens["prompted"] for (_, drawn, _), tokens in counted if drawn)
        return prompted / responses, sum(tokens["generated"] for _, tokens in counted) / responses
    sequences = sum(units for (units, _, _), _ in counted)
    trained = sum(tokens["trained"] for (units, _, _), tokens in counted if units)
    return (trained / sequences if sequences else PROMPT_TOKENS), None
