"""A backend that answers from a file what a model has said elsewhere. Loads no model, and reads no prompt.

The model's `source` is a JSON Lines file, one answer a line: `question_id`, for a discriminator `sql`, and `text` (a
completion or response) or `score` (the probability of Yes, for a yes/no discriminator). A text may have `tokens`, which
give it when joined, and `logprobs`, one a token; without them it counts as one token of probability 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError, ModelError
from sqljudge.core.files import parse_json, read_text
from sqljudge.core.records import is_number, is_probability
from sqljudge.models.engines.alignment import token_ends
from sqljudge.models.engines.base import (
    About,
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
    Prompt,
    silent,
)
from sqljudge.sql.text import normalize_sql


@dataclass(frozen=True, slots=True)
class _Records:
    """What is recorded of each question and SQL, in the order of the file."""

    completions: dict[About, list[Completion]]
    scores: dict[About, float]


def load(spec: ModelSpec, device: str) -> RecordedBackend:
    """Read the records. Raises ModelError naming the file, and the line that is malformed."""
    path = Path(spec.source).expanduser()
    try:
        lines = read_text(path).split("\n")
        content = path.read_bytes()
    except DataError as error:
        raise ModelError(f"model '{spec.name}': {error}") from error
    records = _Records({}, {})
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                _add(records, parse_json(line))
        except (ValueError, TypeError, KeyError) as error:
            said = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise ModelError(f"model '{spec.name}': {path}, line {number}: {said}") from error
    return RecordedBackend(spec, records, hashlib.sha256(content).hexdigest())


def _add(records: _Records, given: Any) -> None:
    if not isinstance(given, dict):
        raise ValueError("is not a JSON object")
    if unknown := sorted(given.keys() - {"question_id", "sql", "text", "score", "tokens", "logprobs"}):
        raise ValueError(f"unknown key '{unknown[0]}'")
    question_id = given["question_id"]
    if type(question_id) is not int:
        raise ValueError(f"question_id {question_id!r} is no integer")
    about = _about((question_id, str(given.get("sql", ""))))
    if "score" in given:
        if not is_probability(given["score"]):
            raise ValueError(f"score {given['score']!r} is not between 0 and 1")
        score = min(1.0, float(given["score"]))
        if records.scores.setdefault(about, score) != score:
            raise ValueError("the query has another score above")
        return
    text = given["text"]
    if not isinstance(text, str):
        raise ValueError(f"text {text!r} is no string")
    tokens = given.get("tokens", [text] if text else [])
    given_logprobs = given.get("logprobs", [0.0] * len(tokens))
    if wrong := [one for one in given_logprobs if not is_number(one)]:
        raise ValueError(f"log-probability {wrong[0]!r} is not a number")
    logprobs = tuple(map(float, given_logprobs))
    ends = token_ends(text, tokens)
    if ends is None or len(logprobs) != len(tokens):
        raise ValueError("the tokens do not give the text when joined, or there is not one log-probability for each")
    completion = Completion(text, tuple(range(len(tokens))), logprobs, ends, "stop", 0)
    records.completions.setdefault(about, []).append(completion)


def _about(about: About) -> About:
    return about[0], normalize_sql(about[1]) if about[1] else ""


class RecordedBackend:
    """Answers by the question and the SQL that a request is about."""

    batch = 0
    by_subject = True

    def __init__(self, spec: ModelSpec, records: _Records, digest: str) -> None:
        self.spec = spec
        self.records = records
        self.digest = digest

    def render_chat(self, user: str, opening: str) -> Prompt:
        """No model reads it."""
        return Prompt(f"{user}\n{opening}")

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion | Failure]]:
        """The recorded text, cut to the budget: of several of one question, sample 0 is the first."""
        for i, request in enumerate(requests):
            about = self._subject(request.about)
            found = self.records.completions.get(about, [])
            sample = request.sample if request.temperature else 0
            if sample < len(found):
                yield i, found[sample].cut(request.max_new_tokens)
            else:
                yield (
                    i,
                    Failure(
                        f"{_name(about)}: {len(found)} texts are recorded, and number {sample + 1} is asked for",
                        own=True,
                    ),
                )

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice | Failure]]:
        """The recorded score as the probability of the first of two words, and what is left as that of the second."""
        for i, request in enumerate(requests):
            about = self._subject(request.about)
            score = self.records.scores.get(about)
            if score is None:
                yield i, Failure(f"{_name(about)}: no score is recorded", own=True)
            else:
                yield i, Choice((score, 1.0 - score)[: len(request.words)], 0)

    def _subject(self, about: About | None) -> About:
        if about is None:
            raise ModelError(f"model '{self.spec.name}': nothing is recorded of what is asked; take a model that runs")
        return _about(about)

    def identity(self) -> dict[str, str]:
        """The records themselves."""
        return {"model": self.spec.name, "backend": "recorded", "records": self.digest}

    def describe(self) -> dict[str, Any]:
        """No device."""
        return {"device": "records"}


def _name(about: About) -> str:
    return f"question {about[0]}" + (f", {about[1]!r}" if about[1] else "")
