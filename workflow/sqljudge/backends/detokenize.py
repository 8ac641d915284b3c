"""Text of a growing token sequence, with the character position at which each token's text ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
"""What a decoder puts for bytes that are not (yet) a whole character."""

WINDOW = 6
"""Tokens decoded before the new one, so that a decoder that looks back (leading spaces) decodes it as in context."""


class Detokenizer:
    """Decodes tokens one by one.

    A token that ends inside a multi-byte character adds no text until the character is whole: its end is where the
    whole characters end, so `text[:ends[i]]` is always the text of the first i + 1 tokens without a broken tail.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._settled = 0  # tokens whose text is in `text`
        self.text = ""
        self.ends: list[int] = []

    def add(self, token: int) -> None:
        """Take the next token."""
        self._ids.append(token)
        start = max(0, self._settled - WINDOW)
        before = self._decode(self._ids[start : self._settled])
        after = self._decode(self._ids[start:])
        if not after.endswith(REPLACEMENT) or len(self._ids) - self._settled > WINDOW:
            self._settle(before, after)
        self.ends.append(len(self.text))

    def finish(self) -> None:
        """Take what is left of a broken tail, as the decoder shows it."""
        if self._settled < len(self._ids):
            start = max(0, self._settled - WINDOW)
            self._settle(self._decode(self._ids[start : self._settled]), self._decode(self._ids[start:]))
            self.ends[-1] = len(self.text)

    def _settle(self, before: str, after: str) -> None:
        self.text += after[len(before) :]
        self._settled = len(self._ids)
