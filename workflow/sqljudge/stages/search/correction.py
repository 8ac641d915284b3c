"""Iterative correction: score the batch, hand the best query back to the generator as the buggy one. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass

from sqljudge.core.records import CORRECT_THRESHOLD
from sqljudge.stages.search.driver import Plan, Scored, Step, best_of

POSITIVE = "positive verdict"
NOTHING = "no queries"


@dataclass(frozen=True, slots=True)
class Correction:
    """At most `rounds` corrections of `completions` each, and no more after `patience` of them without gain."""

    rounds: int = 5
    patience: int = 2
    completions: int = 5

    def most(self, samples: int) -> int:
        """The completions of a question that is never settled, the first `samples` included."""
        return samples + self.rounds * self.completions

    def first(self, samples: int) -> int:
        """The completions of a question alone, before anything is corrected."""
        return samples


def correction(settings: Correction, samples: int) -> Plan:
    """Plan one question: `samples` completions of the question alone, then corrections of the best query so far.

    Stops as soon as the best score is above CORRECT_THRESHOLD, after `patience` rounds in a row in which it did not
    rise, or after all rounds. Each round has sample indices of its own: a query that stays the best is not answered as
    it was before.
    """
    best = _best(None, (yield Step("", samples)))
    idle = 0
    for number in range(settings.rounds):
        if best is None or best[1] > CORRECT_THRESHOLD or idle == settings.patience:
            break
        before = best[1]
        best = _best(best, (yield Step(best[0], settings.completions, number * settings.completions)))
        idle = idle + 1 if best is not None and best[1] == before else 0
    if best is None:
        return NOTHING
    if best[1] > CORRECT_THRESHOLD:
        return POSITIVE
    return f"{idle} rounds without gain" if idle == settings.patience else f"{settings.rounds} rounds"


def _best(best: Scored | None, found: list[Scored]) -> Scored | None:
    known = [*([best] if best else []), *found]
    return best_of(known) if known else None
