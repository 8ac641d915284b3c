"""Text of a growing token sequence, with the character position at which each token's text ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
"""What a decoder puts for bytes that are not (yet) a whole character."""

CONTEXT = 16
"""Tokens of the prompt decoded before the first new one."""


class Detokenizer:
    """Decodes tokens one by one.

    A token that ends inside a multi-byte character adds no text for it until the character is whole, so
    `text[:ends[i]]` is always the text of the first i + 1 tokens without a broken tail. `context`: the tokens before
    the first one. Many decoders drop the space before a text's first word; after a context it stays.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], context: Sequence[int] = ()) -> None:
        self._decode = decode
        self._ids: list[int] = list(context[-CONTEXT:])
        self._before = 0  # where the decoded window begins: always at a whole character
        self._settled = len(self._ids)  # tokens before this one end at a whole character and are in `text`
        self._prefix = decode(self._ids) if self._ids else ""
        self._shown = 0  # characters in `text` of the tokens that are not settled
        self.text = ""
        self.ends: list[int] = []

    def add(self, token: int) -> None:
        """Take the next token."""
        self._ids.append(token)
        window = self._decode(self._ids[self._before :])
        self._show(window.rstrip(REPLACEMENT))
        if not window.endswith(REPLACEMENT):
            self._settle()
        self.ends.append(len(self.text))

    def stay(self) -> None:
        """Take a token that has no text, such as the end of the answer."""
        self.ends.append(len(self.text))

    def finish(self) -> None:
        """Take what is left of a broken tail, as the decoder shows it: no more tokens will come to mend it."""
        if self._settled < len(self._ids):
            self._show(self._decode(self._ids[self._before :]))
            self._settle()
            self.ends[-1] = len(self.text)

    def _show(self, window: str) -> None:
        new = window[len(self._prefix) + self._shown :]
        self.text += new
        self._shown += len(new)

    def _settle(self) -> None:
        following = self._decode(self._ids[self._settled :])
        if following:  # a window of tokens without text would be no context for the next one
            self._before, self._prefix = self._settled, following
        else:
            self._prefix = self._decode(self._ids[self._before :])
        self._settled, self._shown = len(self._ids), 0
