"""What the answers of a server with the OpenAI protocol hold: completions, and probabilities of next tokens.

Sends nothing: an answer is the JSON object that `openai.py` was given. Servers differ in how they write one down:
docs/running.md lists what is read.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqljudge.models.engines import tokenizer
from sqljudge.models.engines.alignment import token_ends
from sqljudge.models.engines.base import Choice, ChoiceRequest, Completion, GenerationRequest

UNKNOWN_ID = -1
"""Stands for the id of a token, which no result uses and most servers do not tell."""
UNSEEN = 0.001
"""The most that a word's probability may be, going by the tokens that are listed, where it is not among them."""
STOP = frozenset(
    {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_string", "stop_token", "word", "complete", "finish"}
)
"""Values of `finish_reason` (in lower case) of an answer that ended by itself or at a stop mark."""
LENGTH = frozenset({"length", "max_tokens", "max_new_tokens", "max_length", "model_length", "token_limit", "limit"})
"""Values of an answer that was cut, by its budget or by the model's context."""
PASSING = frozenset(
    {
        *("abort", "aborted", "cancelled", "error", "timeout", "time_limit", "load", "unload"),
        "insufficient_system_resource",
    }
)
"""Values of an answer that the server broke off: the next one may be whole."""
_BY_ID = re.compile(r"token_id:\d+")


class UnusableAnswer(Exception):  # noqa: N818  (its message ends as a Failure's reason)
    """What a server answered cannot be used. `again`: whether it may be different the next time."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


class NotOffered(UnusableAnswer):
    """What a job needs is missing from the answer, as from every answer of a server that does not offer it."""


class _Tokens(NamedTuple):
    """What an answer says of its tokens, as far as it does: text, log-probability, and the likeliest tokens there."""

    texts: list[Any]
    logprobs: list[Any]
    likely: list[Any]


def read_completion(answer: Mapping[str, Any], request: GenerationRequest) -> Completion:
    """The completion in a server's answer. Raises UnusableAnswer where a part is missing or does not fit the rest.

    A prompt that the server repeats before it (its first token has no log-probability) is taken off.
    """
    choice = _choice(answer)
    reason, text = _finish(choice), _text(choice)
    tokens = _tokens(choice)
    if text and not any(logprob is not None for logprob in tokens.logprobs):
        raise NotOffered("the answer holds no log-probabilities; take a server that gives them for completions")
    if len(tokens.texts) != len(tokens.logprobs):
        raise UnusableAnswer(f"the answer has {len(tokens.texts)} tokens but {len(tokens.logprobs)} log-probabilities")
    _check_names(tokens.texts)
    ends = token_ends(text, tokens.texts)
    logprobs = tokens.logprobs
    if logprobs and logprobs[0] is None:
        text, logprobs, ends = _without_prompt(request.prompt.text, text, logprobs, ends)
    if not all(map(_is_number, logprobs)):
        raise UnusableAnswer("a token of the answer has no log-probability")
    if ends is None:
        ends = _by_offsets(choice["logprobs"].get("text_offset"), len(logprobs), len(text))
    count = len(logprobs)
    if reason is None and count < request.max_new_tokens:
        raise UnusableAnswer("the answer does not say why it ended (finish_reason is missing)")
    if reason == "length" and count < request.max_new_tokens:
        raise UnusableAnswer(
            f"the server stopped after {count} of {request.max_new_tokens} tokens; is its context long enough?",
            again=False,
        )
    return Completion(
        text, (UNKNOWN_ID,) * count, tuple(map(float, logprobs)), ends, reason or "length", _prompt_tokens(answer)
    )


def _choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    choices = answer.get("choices")
    if choices is None and isinstance(answer.get("content"), str):
        raise NotOffered("the answer is in llama.cpp's native form, as its old versions have it; update the server")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnusableAnswer("the answer holds no choices")
    found: dict[str, Any] = choices[0]
    return found


def _finish(choice: Mapping[str, Any]) -> str | None:
    """How the answer ended: "stop", "length", or None where the server does not say.

    Raises UnusableAnswer for an answer that was broken off or refused, or that ended for a reason nobody knows.
    """
    given = choice.get("finish_reason")
    if given is None or given == "":
        return None
    reason = str(given).lower()
    if reason in STOP or reason in LENGTH:
        return "stop" if reason in STOP else "length"
    raise UnusableAnswer(
        f"the answer ended with finish_reason {str(given)[:40]!r}, neither by itself nor at its budget",
        again=reason in PASSING,
    )


def _text(choice: Mapping[str, Any]) -> str:
    """The text of a completion or, from servers that answer so, of a chat's message."""
    text, message = choice.get("text"), choice.get("message")
    if text is None and isinstance(message, dict):
        text = message.get("content")
        if message.get("reasoning_content") or message.get("reasoning"):
            raise NotOffered("the server takes the thoughts out of the answer; start it without a reasoning parser")
    if not isinstance(text, str):
        raise UnusableAnswer("the answer holds no text")
    return text


def _tokens(choice: Mapping[str, Any]) -> _Tokens:
    """The tokens of a choice, whether each is an object (as in chats) or each kind of value a list (completions)."""
    given = choice.get("logprobs")
    objects = [one if isinstance(one, dict) else {} for one in _listed(given, "content")]
    if objects:
        names = [_name(one) for one in objects]
        return _Tokens(names, *([one.get(key) for one in objects] for key in ("logprob", "top_logprobs")))
    return _Tokens(*(_listed(given, key) for key in ("tokens", "token_logprobs", "top_logprobs")))


def _name(token: Mapping[str, Any]) -> Any:
    """The text of a token that is an object, by its bytes where it has them: part of a character is no text."""
    try:
        return bytes(token["bytes"]).decode("utf-8", "replace") if token.get("bytes") else token.get("token")
    except (TypeError, ValueError):
        return token.get("token")


def _check_names(tokens: Sequence[Any]) -> None:
    """Raise NotOffered for tokens that are numbers, UnusableAnswer for one that is nothing."""
    if tokens and all(type(token) is int or (isinstance(token, str) and _BY_ID.fullmatch(token)) for token in tokens):
        raise NotOffered("the answer names its tokens by number; have the server name them by text")
    if not all(isinstance(token, str) for token in tokens):
        raise UnusableAnswer("a token of the answer has no text")


def _without_prompt(
    prompt: str, text: str, logprobs: list[Any], ends: tuple[int, ...] | None
) -> tuple[str, list[Any], tuple[int, ...]]:
    """Text, log-probabilities and ends of what follows the prompt."""
    if ends is None or not text.startswith(prompt) or len(prompt) not in ends:
        raise UnusableAnswer("the answer repeats its prompt, and where that ends cannot be told", again=False)
    first = bisect_right(ends, len(prompt))
    return text[len(prompt) :], logprobs[first:], tuple(end - len(prompt) for end in ends[first:])


def _prompt_tokens(answer: Mapping[str, Any]) -> int:
    usage = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if type(count) is not int:
        raise UnusableAnswer("the answer does not say how many tokens the prompt had")
    return count


def _listed(given: Any, name: str) -> list[Any]:
    found = given.get(name) if isinstance(given, dict) else None
    return found if isinstance(found, list) else []


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _by_offsets(offsets: Any, count: int, length: int) -> tuple[int, ...]:
    """Where tokens end by the positions at which the server says that they begin (from the text or the prompt on)."""
    fits = isinstance(offsets, list) and len(offsets) == count and all(type(offset) is int for offset in offsets)
    if fits and offsets and offsets[0] >= 0 and (count == 1 or len(set(offsets)) > 1):  # some say -1 or 0 of each
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
    choice = _choice(answer)
    _finish(choice)
    likely = _tokens(choice).likely
    place = -1 if likely and likely[0] is None else 0  # the first token of a prompt that the server repeats has none
    found = _pairs(likely[place]) if likely else []
    if not found:
        raise NotOffered("the answer lists no likely tokens; take a server that gives log-probabilities of several")
    _check_names([name for name, _ in found])
    if not all(_is_number(value) for _, value in found):
        raise UnusableAnswer("a listed token has no log-probability")
    listed = [(name.replace("Ġ", " ").replace("▁", " "), math.exp(value)) for name, value in found]
    marked = any(name.startswith("▁") for name, _ in found)
    space = " " * marked if request.alone else tokenizer.gap(request.prompt.text)
    probabilities = tuple(_probability(listed, space, word, top) for word in request.words)
    return Choice(probabilities, _prompt_tokens(answer))


def _pairs(likely: Any) -> list[tuple[Any, Any]]:
    """The likeliest tokens of one place with their log-probabilities, whether by name or each an object."""
    if isinstance(likely, dict):
        return list(likely.items())
    objects = [one for one in likely if isinstance(one, dict)] if isinstance(likely, list) else []
    return [(_name(one), one.get("logprob")) for one in objects]


def _probability(listed: Sequence[tuple[str, float]], space: str, word: str, top: int) -> float:
    shown = [value for name, value in listed if name == space + word]
    if shown:
        return min(1.0, max(shown))
    values = sorted(value for _, value in listed)
    most = max(0.0, 1.0 - sum(values))
    if len(values) >= top:  # the drawn token is listed, too, and may be less likely than one that is not
        most = min(most, values[-top])
    if space:
        most += sum(value for name, value in listed if name == word)
    if most > UNSEEN:
        raise UnusableAnswer(
            f"{space + word!r} is not among the {len(values)} tokens listed, and may have a probability of up to "
            f"{most:.3f}; ask for more tokens with ?top={4 * top} in the source, or change the prompt",
            again=False,
        )
    return most
