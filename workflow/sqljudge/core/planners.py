"""The planners, by name. Knows how tables show them, not how they choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqljudge.core.records import CandidateSet, ResultGroup, Score, Selection


@dataclass(frozen=True, slots=True)
class Planner:
    """A planner, and how tables show it beside re-ranking.

    `name`: of its function. `label`: what stands before a discriminator's name, `heading`: over the planner's rows,
    `reading`: a sentence under the table; all empty for those that have tables of their own.
    """

    name: str
    label: str = ""
    heading: str = ""
    reading: str = ""

    def choose(
        self, candidates: Sequence[CandidateSet], scores: Sequence[Score], groups: Sequence[ResultGroup]
    ) -> list[Selection]:
        """One selection a question, in the order of the candidate sets."""
        chosen: list[Selection] = getattr(import_module("sqljudge.stages.plan"), self.name)(candidates, scores, groups)
        return chosen


PLANNERS: dict[str, Planner] = {
    planner.name: planner
    for planner in (
        Planner("rerank"),
        Planner("greedy"),
        Planner(
            "majority",
            "Majority",
            "Majority of results, weighed by a discriminator",
            "Majority × discriminator: candidates with equal results are one group, which weighs the sum of its "
            "samples' scores (failures 0); the best candidate of the heaviest group is chosen.",
        ),
    )
}

BESIDE = {name: planner for name, planner in PLANNERS.items() if planner.label}
"""The planners that end-to-end tables can show beside re-ranking."""
