"""Kinds of discriminator, by name. Each is a module of this package with `judge(session, pairs, prompts, budget)`.

`judge` gives one judgment a (question, SQL) pair, in order: one that says UNANSWERED where the request failed.
`prompts` are the filled templates of the pairs, `budget` the most new tokens of a response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqljudge.core.records import Judgment, Question
    from sqljudge.models.engines.base import Prompt
    from sqljudge.models.session import Session


@dataclass(frozen=True, slots=True)
class Kind:
    """What the workflow must know of a kind of discriminator.

    `says`: what it is, and `prompt`: what its template is for, each as a part of the configuration's page. `responds`:
    whether it writes a response up to a budget, which verdicts are read from and can be forced in; else its judgments
    hold `p_yes`.
    """

    name: str
    says: str
    prompt: str
    responds: bool

    def judge(
        self, session: Session, pairs: Sequence[tuple[Question, str]], prompts: Sequence[Prompt], budget: int
    ) -> list[Judgment]:
        """The judgments of the kind's own module."""
        found: list[Judgment] = import_module(f"{__name__}.{self.name}").judge(session, pairs, prompts, budget)
        return found


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "yes_no",
            "one forward pass for the probability of Yes",
            "The template for discriminators that do not reason.",
            responds=False,
        ),
        Kind(
            "reasoning",
            "a reasoned response with a JSON verdict",
            "The template for reasoning discriminators.",
            responds=True,
        ),
    )
}
