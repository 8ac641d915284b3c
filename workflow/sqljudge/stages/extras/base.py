"""What a kind of evidence is: which files it reads, who may be shown it, and the text that it makes. Knows no kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqljudge.core.records import Question

Text = Callable[[Question, str], str]
"""What a prompt shows of a (question, SQL) pair."""

Files = Mapping[str, str]
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of evidence.

    `files`: the names of the files that it reads. `prepared`: its text for each pair, from those files, the questions
    that are evaluated, and its settings. `judges`: the kinds of discriminator that it is meant for. `tokens`: about how
    long it makes a prompt, by its settings, for estimates.
    """

    files: tuple[str, ...]
    prepared: Callable[[Files, Sequence[Question], Settings], Text]
    judges: tuple[str, ...]
    tokens: Callable[[Settings], int]
