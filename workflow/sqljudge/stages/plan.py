"""Chooses one candidate of each question from its scores. Does not know how the scores came to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqljudge.core.errors import DataError
from sqljudge.core.records import (
    EMPTY_SQL,
    UNANSWERED,
    Candidate,
    CandidateSet,
    ResultGroup,
    Score,
    Selection,
    read_jsonl,
    write_jsonl,
)
from sqljudge.core.variants import GREEDY, RERANK, VOTE
from sqljudge.stages.rank import ranked

Known = Mapping[tuple[int, str], float]

NOTHING = "no candidates"


def rerank(
    candidates: Sequence[CandidateSet],
    scores: Sequence[Score],
    groups: Sequence[ResultGroup] = (),
    *,
    as_listed: bool = False,
) -> list[Selection]:
    """The candidate with the highest score; ties as in `ranked`.

    One selection a question, in the order of the candidate sets; EMPTY_SQL where there is no candidate, or where a
    request of the question failed (reason UNANSWERED).
    Raises DataError if a candidate has no score.
    """
    known = {(score.question_id, score.sql): score.score for score in scores}
    return _answered(candidates, scores, lambda group: _best(group, known, as_listed))


def _answered(
    candidates: Sequence[CandidateSet], scores: Sequence[Score], choose: Callable[[CandidateSet], Selection]
) -> list[Selection]:
    """One selection a question; none is chosen where a request of the question failed."""
    failed = {score.question_id for score in scores if not score.answered}
    return [
        _left_out(group) if group.unanswered or group.question_id in failed else choose(group) for group in candidates
    ]


def _left_out(group: CandidateSet) -> Selection:
    return Selection(group.question_id, EMPTY_SQL, None, UNANSWERED)


def _scored(group: CandidateSet, known: Known) -> dict[str, float]:
    for candidate in group.candidates:
        if (group.question_id, candidate.sql) not in known:
            what = f"question {group.question_id}: no score of candidate {candidate.sql!r}; score the pool again"
            raise DataError(what)
    return {candidate.sql: known[group.question_id, candidate.sql] for candidate in group.candidates}


def _best(group: CandidateSet, known: Known, as_listed: bool = False) -> Selection:
    if not group.candidates:
        return Selection(group.question_id, EMPTY_SQL, None, NOTHING)
    scored = _scored(group, known)
    best = ranked(scored, as_listed=as_listed)[0]
    highest = scored[best[0]]
    if len(best) == 1:
        return Selection(group.question_id, best[0], highest, f"highest score {highest:.2f}")
    reason = f"tie of {len(best)} at {highest:.2f}: {'listed first' if as_listed else 'smallest SQL'}"
    return Selection(group.question_id, best[0], highest, reason, tuple(best))


def vote(candidates: Sequence[CandidateSet], scores: Sequence[Score], groups: Sequence[ResultGroup]) -> list[Selection]:
    """The best candidate of the heaviest group of equal results: a vote of the samples, weighed by the discriminator.

    A group weighs the sum of its samples' scores: each candidate's score, 0 where it is negative, as often as it was
    sampled. Equally heavy groups: the one seen first; within a group, and where no group weighs anything, as `rerank`.
    Raises DataError if a candidate has no score or no group.
    """
    known = {(score.question_id, score.sql): score.score for score in scores}
    number = {(group.question_id, group.sql): group.group for group in groups}
    return _answered(candidates, scores, lambda group: _heaviest(group, known, number))


def _heaviest(group: CandidateSet, known: Known, number: Mapping[tuple[int, str], int | None]) -> Selection:
    scored, weights = _scored(group, known), dict[int, float]()
    members: dict[int, list[Candidate]] = {}
    for candidate in group.candidates:
        if (group.question_id, candidate.sql) not in number:
            what = f"question {group.question_id}: no result group of candidate {candidate.sql!r}; group them again"
            raise DataError(what)
        place = number[group.question_id, candidate.sql]
        if place is not None:
            members.setdefault(place, []).append(candidate)
            weights[place] = weights.get(place, 0.0) + candidate.count * max(0.0, scored[candidate.sql])
    if not any(weights.values()):
        return _best(group, known)
    heaviest = max(weights, key=lambda place: (round(weights[place], 9), -place))
    chosen = _best(CandidateSet(group.question_id, tuple(members[heaviest])), known)
    share = weights[heaviest] / sum(weights.values())
    return replace(chosen, reason=f"group of {share:.0%} of the weight: {chosen.reason}")


def greedy(
    candidates: Sequence[CandidateSet], scores: Sequence[Score] = (), groups: Sequence[ResultGroup] = ()
) -> list[Selection]:
    """The first candidate of each question; nothing else is looked at (paper, section 5)."""
    return _answered(candidates, (), _first)


def _first(group: CandidateSet) -> Selection:
    if not group.candidates:
        return Selection(group.question_id, EMPTY_SQL, None, NOTHING)
    return Selection(group.question_id, group.candidates[0].sql, None, "first candidate")


PLANNERS = {RERANK: rerank, VOTE: vote, GREEDY: greedy}
"""The planners that ask no model, by name; those that do are in `search`."""


def plan_pool(*, candidates: str, scores: Sequence[str], groups: Sequence[str], selections: str, planner: str) -> None:
    """Write one selection a question. `scores`, `groups`: a file of them, where the planner needs it."""
    found = PLANNERS[planner](
        read_jsonl(candidates, CandidateSet),
        [score for path in scores for score in read_jsonl(path, Score)],
        [group for path in groups for group in read_jsonl(path, ResultGroup)],
    )
    write_jsonl(selections, found)
