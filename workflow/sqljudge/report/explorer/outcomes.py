"""What came of a choice: right or wrong, and what re-ranking changed. Knows records, no file and no page."""

from __future__ import annotations

from collections.abc import Sequence

from sqljudge.core.records import Score

TAGS = ("right", "wrong", "rescued", "broken", "no_verdict", "some_no_verdict")
"""What may be said of a choice; several may hold at once."""


def outcome(chosen: bool | None, first: bool | None, scores: Sequence[Score]) -> list[str]:
    """What came of one choice among a question's candidates, in the order of TAGS.

    `chosen`, `first`: whether the choice, and the query that would have been taken without a discriminator, execute
    right (None: undecided). `scores`: of all candidates, empty where no discriminator was asked. The choice is
    `rescued` where it is right and the first is not, `broken` the other way round. `no_verdict`: the model was asked,
    and gave a readable verdict of no candidate, so that the choice is the tie rule's; `some_no_verdict`: of at least
    one it gave none.
    """
    asked = [score for score in scores if score.asked]
    silent = [score for score in asked if score.failure]
    holds = {
        "right": chosen is True,
        "wrong": chosen is False,
        "rescued": chosen is True and first is False,
        "broken": chosen is False and first is True,
        "no_verdict": bool(silent) and len(silent) == len(asked),
        "some_no_verdict": bool(silent),
    }
    return [tag for tag in TAGS if holds[tag]]


def bits(tags: Sequence[str]) -> int:
    """Tags as one number: bit i is set where TAGS[i] holds."""
    return sum(1 << TAGS.index(tag) for tag in tags)
