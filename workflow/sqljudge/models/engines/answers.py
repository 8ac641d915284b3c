"""What the answers of a server with the OpenAI protocol hold: completions, and probabilities of next tokens.

Sends nothing: an answer is the JSON object that `openai.py` was given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqljudge.models.engines import tokenizer
from sqljudge.models.engines.alignment import token_ends
from sqljudge.models.engines.base import Choice, ChoiceRequest, Completion, GenerationRequest

UNKNOWN_ID = -1
"""Stands for the id of a token, which the protocol does not tell."""
UNSEEN = 0.001
"""The most that a word's probability may be, going by the tokens that are listed, where it is not among them."""


class UnusableAnswer(Exception):  # noqa: N818  (its message ends as a Failure's reason)
    """What a server answered cannot be used. `again`: whether it may be different the next time."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


def read_completion(answer: Mapping[str, Any], request: GenerationRequest) -> Completion:
    """The completion in a server's answer. Raises UnusableAnswer where a part is missing or does not fit the rest."""
    choice = _choice(answer)
    text, reason = choice.get("text"), choice.get("finish_reason")
    if not isinstance(text, str):
        raise UnusableAnswer("the answer holds no text")
    if reason not in ("stop", "length"):
        raise UnusableAnswer(f"the answer ended with finish_reason {str(reason)[:40]!r}")
    tokens, logprobs = _tokens(choice, text)
    ends = token_ends(text, tokens)
    if ends is None:
        ends = _by_offsets(choice["logprobs"].get("text_offset"), len(tokens), len(text))
    if reason == "length" and len(tokens) < request.max_new_tokens:
        raise UnusableAnswer(
            f"the server stopped after {len(tokens)} of {request.max_new_tokens} tokens; is its context long enough?",
            again=False,
        )
    return Completion(text, (UNKNOWN_ID,) * len(tokens), logprobs, ends, reason, _prompt_tokens(answer))


def _choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnusableAnswer("the answer holds no choices")
    found: dict[str, Any] = choices[0]
    return found


def _prompt_tokens(answer: Mapping[str, Any]) -> int:
    usage = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if type(count) is not int:
        raise UnusableAnswer("the answer does not say how many tokens the prompt had")
    return count


def _tokens(choice: Mapping[str, Any], text: str) -> tuple[list[str], tuple[float, ...]]:
    """The answer's tokens and the log-probability of each; none of an empty text."""
    given = choice.get("logprobs")
    if not given and not text:
        return [], ()
    tokens, logprobs = _listed(given, "tokens"), _listed(given, "token_logprobs")
    if not tokens and text:
        raise UnusableAnswer("the answer holds no log-probabilities; the server must give them")
    if len(tokens) != len(logprobs):
        raise UnusableAnswer(f"the answer has {len(tokens)} tokens but {len(logprobs)} log-probabilities")
    if not all(isinstance(token, str) for token in tokens) or not all(map(_is_number, logprobs)):
        raise UnusableAnswer("a token of the answer has no text or no log-probability")
    return tokens, tuple(map(float, logprobs))


def _listed(given: Any, name: str) -> list[Any]:
    found = given.get(name) if isinstance(given, dict) else None
    return found if isinstance(found, list) else []


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _by_offsets(offsets: Any, count: int, length: int) -> tuple[int, ...]:
    """Where tokens end by the positions at which the server says that they begin (from the text or the prompt on)."""
    fits = isinstance(offsets, list) and len(offsets) == count and all(type(offset) is int for offset in offsets)
    if fits and offsets:
        ends = [offset - offsets[0] for offset in offsets[1:]] + [length]
        if ends == sorted(ends) and ends[0] >= 0:
            return tuple(ends)
    raise UnusableAnswer("the answer's tokens do not spell its text", again=False)


def read_choice(answer: Mapping[str, Any], request: ChoiceRequest, top: int) -> Choice:
    """The words' probabilities in a server's answer of one token, for which the `top` likeliest were asked for.

    A word is looked for with a space before it, unless the prompt ends in white space. One that is to stand alone
    has none, but where the server marks the beginnings of words ("▁Yes"), for so does its tokenizer with a word by
    itself. One that is not listed so is given the most that it may have, where this is at most UNSEEN: the
    probability that is left or, if it is less, that of the last token listed; and that of the word without its
    space, which some servers drop. Raises UnusableAnswer where a word may have more, or where the answer lists no
    tokens.
    """
    listed = _listed(_choice(answer).get("logprobs"), "top_logprobs")
    if not listed or not isinstance(listed[0], dict) or not listed[0]:
        raise UnusableAnswer("the answer lists no likely tokens; the server must give log-probabilities")
    if not all(map(_is_number, listed[0].values())):
        raise UnusableAnswer("a listed token has no log-probability")
    found = {str(token).replace("Ġ", " ").replace("▁", " "): math.exp(value) for token, value in listed[0].items()}
    marked = any(str(token).startswith("▁") for token in listed[0])
    space = " " * marked if request.alone else tokenizer.gap(request.prompt.text)
    probabilities = tuple(_probability(found, space, word, top) for word in request.words)
    return Choice(probabilities, _prompt_tokens(answer))


def _probability(found: Mapping[str, float], space: str, word: str, top: int) -> float:
    if space + word in found:
        return min(1.0, found[space + word])
    most = max(0.0, 1.0 - sum(found.values()))
    if len(found) >= top:  # the drawn token is listed, too, and may be less likely than one that is not
        most = min(most, sorted(found.values())[-top])
    if space:
        most += found.get(word, 0.0)
    if most > UNSEEN:
        raise UnusableAnswer(
            f"{space + word!r} is not among the {len(found)} tokens listed, and may have a probability of up to "
            f"{most:.3f}; ask for more tokens with ?top={4 * top} in the source, or change the prompt",
            again=False,
        )
    return most
