"""Chooses one candidate of each question from its scores. Does not know how the scores came to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqljudge.errors import DataError
from sqljudge.records import EMPTY_SQL, UNANSWERED, CandidateSet, Score, Selection

NOTHING = "no candidates"


def rerank(candidates: Sequence[CandidateSet], scores: Sequence[Score]) -> list[Selection]:
    """The candidate with the highest score; ties go to the lexicographically smallest SQL (paper, section 5).

    One selection a question, in the order of the candidate sets; EMPTY_SQL where there is no candidate, or where a
    request of the question failed (reason UNANSWERED).
    Raises DataError if a candidate has no score.
    """
    known = {(score.question_id, score.sql): score.score for score in scores}
    unanswered = {score.question_id for score in scores if not score.answered}
    return [
        _left_out(group) if group.unanswered or group.question_id in unanswered else _best(group, known)
        for group in candidates
    ]


def _left_out(group: CandidateSet) -> Selection:
    return Selection(group.question_id, EMPTY_SQL, None, UNANSWERED)


def _best(group: CandidateSet, known: dict[tuple[int, str], float]) -> Selection:
    if not group.candidates:
        return Selection(group.question_id, EMPTY_SQL, None, NOTHING)
    for candidate in group.candidates:
        if (group.question_id, candidate.sql) not in known:
            what = f"question {group.question_id}: no score of candidate {candidate.sql!r}; score the pool again"
            raise DataError(what)
    scored = {candidate.sql: known[group.question_id, candidate.sql] for candidate in group.candidates}
    highest = max(scored.values())
    best = [sql for sql, score in scored.items() if score == highest]
    reason = f"highest score {highest:.2f}" if len(best) == 1 else f"tie of {len(best)} at {highest:.2f}: smallest SQL"
    return Selection(group.question_id, min(best), highest, reason)


def greedy(candidates: Sequence[CandidateSet], scores: Sequence[Score] = ()) -> list[Selection]:
    """The first candidate of each question; scores are not looked at (paper, section 5)."""
    return [
        _left_out(group)
        if group.unanswered
        else Selection(group.question_id, group.candidates[0].sql, None, "first candidate")
        if group.candidates
        else Selection(group.question_id, EMPTY_SQL, None, NOTHING)
        for group in candidates
    ]


PLANNERS: dict[str, Callable[[Sequence[CandidateSet], Sequence[Score]], list[Selection]]] = {
    "rerank": rerank,
    "greedy": greedy,
}
"""The planners by name."""
