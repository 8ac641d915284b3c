"""Where the tokens that a server names end in the text that it gives. Knows strings only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqljudge.models.engines.tokenizer import REPLACEMENT

_BYTES = re.compile(r"bytes:(\\x[0-9a-fA-F]{2})+")
_TORN = re.compile(f"{REPLACEMENT}+")

State = tuple[int, bool]
"""How far the text is spelt, and whether the last token ended inside a character."""
Ends = tuple["Ends", int] | None
"""The ends so far as a linked list, the last one outside."""


def token_ends(text: str, tokens: Sequence[str]) -> tuple[int, ...] | None:
    """The character position in `text` at which each token ends; None if the tokens do not spell the text.

    Servers show tokens one by one, so that a token's string may differ from its part of the text: the space before a
    word may be missing, and a token that holds part of a character is shown as replacement characters or as
    `bytes:\\xe2\\x80`. Such a character counts to the last of the tokens that share it. What the server took off the
    text's end (a stop mark, an end token) may still stand among the tokens: they end where the text does.
    All readings are followed side by side; of several that fit, the first found is taken.
    """
    states: dict[State, Ends] = {(0, False): None}
    for token in tokens:
        following: dict[State, Ends] = {}
        for (at, torn), ends in states.items():
            for state, before in _readings(text, token, at, torn):
                kept = (ends[0], before) if ends and before is not None else ends
                following.setdefault(state, (kept, state[0]))
        states = following
    whole = [(at, torn) for at, torn in states if _skippable(text, at, len(text), torn)]
    if not whole or (text and not tokens):
        return None
    return _unrolled(states[max(whole)], len(text))


def _readings(text: str, token: str, at: int, torn: bool) -> Iterator[tuple[State, int | None]]:
    """What the text may be spelt up to after one more token, and where that shows the token before it to end."""
    if not torn and text.startswith(token, at):
        yield (at + len(token), False), None
    elif torn and not token:
        yield (at, True), None
    else:
        pieces = ["", ""] if _BYTES.fullmatch(token) else _TORN.split(token)
        for start in _starts(text, pieces[0], at, torn):
            ended = at + len(text[at:start].rstrip(" ")) if torn and pieces[0] else None
            for state in _rest(text, pieces[1:], min(start + len(pieces[0]), len(text)), torn and not pieces[0]):
                yield state, ended


def _rest(text: str, pieces: Sequence[str], at: int, torn: bool) -> Iterator[State]:
    """Where the pieces of a token that follow its torn characters may end."""
    if not pieces:
        yield at, torn
    elif not pieces[0]:
        yield from _rest(text, pieces[1:], at, True)
    else:
        for start in _starts(text, pieces[0], at, True):
            yield from _rest(text, pieces[1:], min(start + len(pieces[0]), len(text)), False)


def _starts(text: str, piece: str, at: int, torn: bool) -> Iterator[int]:
    """Where a piece may stand, the nearest place first; at the text's end its beginning is enough."""
    if not piece:
        yield at
        return
    for start in range(at + torn, len(text) + 1):
        if not _skippable(text, at, start, torn):
            return
        if text.startswith(piece, start) or (len(text) - start < len(piece) and piece.startswith(text[start:])):
            yield start


def _skippable(text: str, start: int, end: int, torn: bool) -> bool:
    """Whether no token need spell a part of the text: spaces and, where a character is torn, what is not ASCII."""
    return all(letter == " " or (torn and not letter.isascii()) for letter in text[start:end])


def _unrolled(ends: Ends, last: int) -> tuple[int, ...]:
    found = [last] if ends else []
    while ends and ends[0]:
        ends = ends[0]
        found.append(ends[1])
    return tuple(reversed(found))
