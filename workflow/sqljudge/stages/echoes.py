"""What a response merely repeats of its prompt: an example object or a code fence of the instruction, said again.

An echo is a repetition of the words around an object, not of the object alone: `{"correct": true}` as an answer is no
echo of a prompt that shows it as an example. Words are compared, without case, punctuation, quotes and line breaks, so
that a quotation is an echo too. The rules are listed with examples in docs/method.md.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from sqljudge.core import files
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.stages.jsonish import find_objects

DIVIDER = "=== answer ==="
"""The line of a template file between the request and the opening of the answer."""

FENCED_SQL = re.compile(r"```sql\s(.*?)(```|\Z)", re.DOTALL | re.IGNORECASE)
"""A fenced block of SQL: what is in it, and what closes it; "" where the text ends first."""

LONG = 6
"""So many words on one side of an object are a repetition by themselves."""
SHORT = 4
"""So many words are one if they stand on both sides."""

_FIELD = re.compile(rf"\$(?:(\$)|\{{\w+\}}|[a-zA-Z_]\w*)|^{DIVIDER}$", re.MULTILINE)
_BREAK = "\0"
_WORD = re.compile(rf"\w+|{_BREAK}")
_QUERY_OPENS = (["select"], ["with"])


class _Words:
    """The words of a text, and where each begins."""

    def __init__(self, text: str) -> None:
        found = [(match.group().lower(), match.start()) for match in _WORD.finditer(text)]
        self.words = [word for word, _ in found]
        self.starts = [start for _, start in found]

    def within(self, start: int, end: int) -> tuple[int, int]:
        """The first word of a span of characters, and the first behind it."""
        return bisect_left(self.starts, start), bisect_left(self.starts, end)


class _Template:
    """What a template says of its own, between its fields: its words, objects and blocks."""

    def __init__(self, template: str) -> None:
        text = _FIELD.sub(lambda match: match.group(1) or f" {_BREAK} ", template)
        said = _Words(text)
        self.words = said.words
        spans = sorted((found.start, found.end) for found in find_objects(text))
        outer = [one for place, one in enumerate(spans) if all(one[1] > other[1] for other in spans[:place])]
        self.objects = [said.within(*span) for span in outer]
        self.blocks: list[list[str]] = []
        for block in FENCED_SQL.finditer(text):
            inside = block.group(1) if block.group(2) else block.group(1).partition("\n")[0]
            self.blocks.append(list(takewhile(lambda word: word != _BREAK, _Words(inside).words)))


_template = lru_cache(maxsize=64)(_Template)


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """How many words two sequences begin with in common; a break in the template equals nothing."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] != _BREAK, zip(one, other, strict=False)))


class Response:
    """A response to a prompt, for telling what in it repeats the prompt's template.

    `template`: the template's text, with its fields; "" knows no echo. `ended`: the model ended the text by itself; it
    was not cut.
    """

    def __init__(self, template: str, text: str, *, ended: bool) -> None:
        self.template = _template(template)
        self.ended = ended
        self.said = _Words(text) if self.template.objects else _Words("")

    def is_echo(self, start: int, end: int) -> bool:
        """Whether the object at a span of characters stands in a repetition of the template.

        It does if the template has the same object, and the words around are the template's too: up to another object
        of the template, or LONG words on one side, or SHORT on both, or all up to where the text was cut. Words before
        it do not make an echo of an object that a finished response ends with: that one obeys the template.
        """
        words, (first, behind) = self.said.words, self.said.within(start, end)
        return any(
            self.template.words[i:j] == words[first:behind] and self._stands_alike(number, first, behind)
            for number, (i, j) in enumerate(self.template.objects)
        )

    def _stands_alike(self, number: int, first: int, behind: int) -> bool:
        words, asked, objects = self.said.words, self.template.words, self.template.objects
        start, end = objects[number]
        before = _common(reversed(asked[:start]), reversed(words[:first]))
        after = _common(asked[end:], words[behind:])
        if number and before >= start - objects[number - 1][0]:
            return True
        if number + 1 < len(objects) and after >= objects[number + 1][1] - end:
            return True
        if after >= LONG or (before and after and before + after >= SHORT):
            return True
        if before >= LONG and not (self.ended and behind == len(words)):
            return True
        rest = words[behind + after :]
        begun = len(rest) == 1 and "".join(asked[end + after :][:1]).startswith(rest[0])
        return not self.ended and ((after > 0 and (not rest or begun)) or (before > 0 and begun))


def read_text(path: str | Path) -> str:
    """The text of a template file, unchecked. Raises ConfigError naming the file if it cannot be read."""
    try:
        return files.read_text(path)
    except DataError as error:
        raise ConfigError(f"prompt {error}") from error


def first_block(template: str, text: str, *, closed: bool = False) -> str | None:
    """What the first fenced block of SQL holds that is no echo of the template; None where there is none.

    `closed`: a block that the text's end cuts is none.

    A block is an echo if it holds the words that follow a fence in the template: all of them, or, where the text ends,
    the first of them. Where these are a query, it is one if it holds nothing else.
    """
    place = 0
    while block := FENCED_SQL.search(text, place):
        words, whole = _Words(block.group(1)).words, bool(block.group(2))
        if not any(_repeats(asked, words, closed=whole) for asked in _template(template).blocks):
            return block.group(1) if whole or not closed else None
        place = block.start(1)
    return None


def _repeats(asked: list[str], words: list[str], *, closed: bool) -> bool:
    if words == asked:
        return True
    if not closed and words and words[:-1] == asked[: len(words) - 1]:
        return len(words) <= len(asked) and asked[len(words) - 1].startswith(words[-1])
    return bool(asked) and asked[:1] not in _QUERY_OPENS and words[: len(asked)] == asked
