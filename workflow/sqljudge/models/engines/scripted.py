"""A backend that answers from a file, for tests. No model: what it says is written down beforehand.

The model's `source` is a JSON file: a list of rules, each `{"match": regex on the prompt, "response": text}` and/or
`{"match": ..., "probabilities": {word: p}}`. The first rule that matches answers. A token is one character.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqljudge.core.errors import DataError, ModelError
from sqljudge.core.files import read_json
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
    Prompt,
    silent,
)

TOKEN_PROBABILITY = 0.9


def load(spec: ModelSpec, device: str) -> ScriptedBackend:
    """Read the script. Raises ModelError where the file is missing or not such a list."""
    try:
        rules = read_json(spec.source)
        return ScriptedBackend(spec, [(re.compile(rule["match"], re.DOTALL), rule) for rule in rules])
    except (DataError, TypeError, KeyError, re.error) as error:
        raise ModelError(f"model '{spec.name}': {spec.source} is not a list of scripted answers ({error})") from error


class ScriptedBackend:
    """Answers by the first rule whose pattern is found in the prompt."""

    batch = 0

    def __init__(self, spec: ModelSpec, rules: list[tuple[re.Pattern[str], dict[str, Any]]]) -> None:
        self.spec = spec
        self.rules = rules

    def _rule(self, prompt: Prompt, wanted: str) -> Any:
        for pattern, rule in self.rules:
            if wanted in rule and pattern.search(prompt.text):
                return rule[wanted]
        raise ModelError(f"model '{self.spec.name}': no scripted {wanted} matches a prompt; add a rule")

    def render_chat(self, user: str, opening: str) -> Prompt:
        """A plain chat prompt."""
        return Prompt(f"<user>{user}</user>{opening}")

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        """The scripted response, cut to the budget; a list of responses is one a sample."""
        for i, request in enumerate(requests):
            response = self._rule(request.prompt, "response")
            whole = response if isinstance(response, str) else response[request.sample % len(response)]
            text = whole[: request.max_new_tokens]
            reason = "stop" if len(whole) <= request.max_new_tokens else "length"
            logprobs = (math.log(TOKEN_PROBABILITY),) * len(text)
            ends = tuple(range(1, len(text) + 1))
            yield i, Completion(text, tuple(map(ord, text)), logprobs, ends, reason, len(request.prompt.text))

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice]]:
        """The scripted probabilities; a word that is not named has 0."""
        for i, request in enumerate(requests):
            given = self._rule(request.prompt, "probabilities")
            yield i, Choice(tuple(float(given.get(word, 0.0)) for word in request.words), len(request.prompt.text))

    def identity(self) -> dict[str, str]:
        """The script itself."""
        return {"model": self.spec.name, "backend": "scripted", "script": json.dumps([rule for _, rule in self.rules])}

    def describe(self) -> dict[str, Any]:
        """No device."""
        return {"device": "script"}
