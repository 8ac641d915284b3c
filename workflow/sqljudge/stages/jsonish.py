"""Finds JSON objects in free text, with small repairs, and where their values stand. Knows no verdict and no token.

Accepted beyond JSON: one trailing comma, single-quoted strings, and the literals of JSON and Python in any letter case
(`True`, `None`, `NaN`). Not accepted: bare keys, comments, raw line breaks inside a string, an object without its
closing brace. What surrounds an object (prose, code fences) does not matter.

The time is linear in the text whatever it holds. Every `{`, `[` and `,` is looked at once, from the last to the first,
so what a bracket or a comma needs to know of the text to its right is known already, and nothing backtracks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_STRING = r'"(?:[^"\\\r\n]|\\[^\r\n])*+"' + "|" + r"'(?:[^'\\\r\n]|\\[^\r\n])*+'"
_SPACE = re.compile(r"\s*+")
_KEY = re.compile(rf"({_STRING})\s*+:\s*+")
_NO_KEY = re.compile("")
_SCALAR = re.compile(rf"{_STRING}|-?\d++(?:\.\d++)?(?:[eE][-+]?\d++)?|(?i:true|false|null|none|nan|-?infinity)")
_ANCHOR = re.compile(r"[{\[,]")
_PYTHON_BOOLEAN = re.compile(r"\b(?:True|False)\b")
_TRAILING_COMMA = re.compile(r",\s*+\}\Z")


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object of a text: its span, and the span of each scalar value by its key (None for a nested value).

    Strings keep their quotes inside the span. Of a repeated key the last value counts, as in JSON parsers.
    """

    start: int
    end: int
    values: dict[str, tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How an object or an array goes on: what leads each item, what closes it, and where it ends after a comma."""

    lead: re.Pattern[str]
    close: str
    after_comma: dict[int, int] = field(default_factory=dict)


class _Scan:
    """Where each bracket of a text closes (`ends`, of well-formed ones only)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ends: dict[int, int] = {}
        self.shapes = {"{": _Shape(_KEY, "}"), "[": _Shape(_NO_KEY, "]")}
        for position in reversed([match.start() for match in _ANCHOR.finditer(text)]):
            if text[position] == ",":
                for shape in self.shapes.values():
                    self._keep(shape.after_comma, position, shape)
            else:
                self._keep(self.ends, position, self.shapes[text[position]])

    def _keep(self, table: dict[int, int], position: int, shape: _Shape) -> None:
        end = self._end_after(position, shape)
        if end is not None:
            table[position] = end

    def _end_after(self, position: int, shape: _Shape) -> int | None:
        """The end of the object or array whose opening bracket, or one of whose commas, stands at `position`."""
        at = self.skip_space(position + 1)
        if self.text.startswith(shape.close, at):
            return at + 1
        lead = shape.lead.match(self.text, at)
        value_end = self.value_end(lead.end()) if lead else None
        if value_end is None:
            return None
        at = self.skip_space(value_end)
        if self.text.startswith(shape.close, at):
            return at + 1
        return shape.after_comma.get(at)

    def skip_space(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def value_end(self, start: int) -> int | None:
        if self.text[start : start + 1] in self.shapes:
            return self.ends.get(start)
        match = _SCALAR.match(self.text, start)
        return match.end() if match else None

    def items(self, start: int) -> Iterator[tuple[str, int, int]]:
        """(key, value start, value end) of each item of the well-formed object or array at `start`; no key: ""."""
        shape = self.shapes[self.text[start]]
        at = self.skip_space(start + 1)
        while lead := shape.lead.match(self.text, at):
            value_end = self.value_end(lead.end())
            if value_end is None:
                return
            yield (lead.group(1)[1:-1] if shape.lead is _KEY else ""), lead.end(), value_end
            at = self.skip_space(value_end)
            if not self.text.startswith(",", at):
                return
            at = self.skip_space(at + 1)


def find_objects(text: str) -> list[FoundObject]:
    """All well-formed objects of a text, nested ones too, in the order in which they close.

    Braces inside the strings of a well-formed object are text, not objects. A brace that opens nothing well-formed is
    passed over, and what follows it is looked at on its own.
    """
    scan = _Scan(text)
    found: list[FoundObject] = []
    position = text.find("{")
    while position != -1:
        end = scan.ends.get(position)
        if end is None:
            end = position + 1
        else:
            found.extend(_objects_within(scan, position))
        position = text.find("{", end)
    return sorted(found, key=lambda item: item.end)


def find_plain_objects(text: str) -> list[FoundObject]:
    """The objects that the program behind the paper finds: each from a brace to the next closing one, in order.

    Of the repairs it knows a comma before the closing brace and Python's True and False. So a nested object, one with a
    brace in a string, and one behind a brace that opens nothing are not found; single quotes are no JSON.
    """
    found = []
    start = text.find("{")
    while start != -1 and (close := text.find("}", start)) != -1:
        piece = text[start : close + 1]
        if _is_json(_TRAILING_COMMA.sub("}", _PYTHON_BOOLEAN.sub(lambda word: word.group().lower(), piece))):
            found += [
                FoundObject(
                    start, close + 1, {key: span and (span[0] + start, span[1] + start) for key, span in values}
                )
                for values in (one.values.items() for one in find_objects(piece))
            ]
        start = text.find("{", close)
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _objects_within(scan: _Scan, start: int) -> Iterator[FoundObject]:
    """The well-formed object at `start` and all objects nested in it."""
    waiting = [start]
    while waiting:
        opening = waiting.pop()
        values: dict[str, tuple[int, int] | None] = {}
        for key, value_start, value_end in scan.items(opening):
            nested = scan.text[value_start] in scan.shapes
            values[key] = None if nested else (value_start, value_end)
            if nested:
                waiting.append(value_start)
        if scan.text[opening] == "{":
            yield FoundObject(opening, scan.ends[opening], values)
