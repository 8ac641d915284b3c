"""What is asked, in which order: one question over and over (1-shot RLVR), a ladder of steps (SATURN), or all in turn.

Knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqljudge.core.errors import ConfigError


@dataclass(slots=True)
class Ladder:
    """SATURN's curriculum: the next step once the share of solved validation tasks is above the threshold."""

    steps: int
    threshold: float = 0.5
    level: int = 0

    def report(self, solved: float) -> bool:
        """Take the share of validation tasks of the present level that were solved; True if the level rises."""
        if solved <= self.threshold or self.level + 1 >= self.steps:
            return False
        self.level += 1
        return True

    def state(self) -> dict[str, Any]:
        """The level."""
        return {"level": self.level}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the level back."""
        self.level = int(state["level"])


T = TypeVar("T")


def one_shot(items: Sequence[T], number: int, place: int = 0) -> list[T]:
    """One item, `number` times: the data of 1-shot RLVR. Raises ConfigError where there is no item at that place."""
    if not 0 <= place < len(items):
        raise ConfigError(f"item {place} is asked for, but there are {len(items)}; correct `place`")
    return [items[place]] * number


def shuffled(number: int, position: int, seed: int) -> int:
    """Which of `number` things stands at a position of a stream that holds all of them, in a new order, every time."""
    turn, place = divmod(position, number)
    order = list(range(number))
    random.Random(f"{seed} order {turn}").shuffle(order)
    return order[place]
