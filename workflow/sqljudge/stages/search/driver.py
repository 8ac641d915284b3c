"""Runs a planner that asks models over many questions at once. Knows neither a planner nor a model.

A planner is a generator: it yields the step that it wants taken, is sent the queries that came of it with their scores,
and returns why it stopped. The driver takes the steps of all questions together: one queue of proposals and one of
queries to value a round, however many questions there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqljudge.core.records import EMPTY_SQL, UNANSWERED, Candidate, CandidateSet, Selection
from sqljudge.stages.rank import ranked

Scored = tuple[str, float]
"""A query, and its score from -1 to 1."""


@dataclass(frozen=True, slots=True)
class Step:
    """Completions that a planner wants: `samples` of them, their sample indices from `first` on.

    `start`: what they start from, a buggy query or the first clauses of a query; "" for the question alone.
    """

    start: str
    samples: int
    first: int = 0


Plan = Generator[Step, list[Scored], str]
"""Yields a step, is sent one query with its score for each completion, and returns why it stopped."""
Propose = Callable[[Sequence[tuple[int, Step]]], Sequence[Sequence[str] | None]]
"""From (question id, step) to the query of each completion; None where a request failed."""
Value = Callable[[Sequence[tuple[int, str]]], Sequence[float | None]]
"""From (question id, query) to scores; None where a request failed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A query that came of a step (counted from 0), how often, and its score."""

    step: int
    start: str
    sql: str
    count: int
    score: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a planner did for one question: the best query and its score, why it stopped, and all that it tried.

    `sql` is EMPTY_SQL, without a score, where nothing was tried or a request failed (`stop` is then UNANSWERED).
    `steps`: how many were taken.
    """

    question_id: int
    sql: str
    score: float | None
    stop: str
    steps: int
    tried: tuple[Tried, ...]

    def selection(self) -> Selection:
        """The choice, as other planners make it."""
        queries = len({each.sql for each in self.tried})
        taken = f"best of {queries} queries; {self.stop}"
        if self.score is None:
            return Selection(self.question_id, self.sql, None, self.stop)
        ties = ranked({each.sql: each.score for each in self.tried})[0]
        return Selection(self.question_id, self.sql, self.score, taken, tuple(ties) if len(ties) > 1 else ())

    def candidates(self) -> CandidateSet:
        """All distinct queries that were tried, in first-seen order."""
        counts: Counter[str] = Counter()
        for each in self.tried:
            counts[each.sql] += each.count
        unanswered = self.stop == UNANSWERED
        found = () if unanswered else tuple(Candidate(sql, count) for sql, count in counts.items())
        return CandidateSet(self.question_id, found, unanswered)


def best_of(scored: Iterable[Scored]) -> Scored:
    """The highest score; ties as in re-ranking."""
    known = dict(scored)
    best = ranked(known)[0][0]
    return best, known[best]


@dataclass(slots=True)
class _Question:
    """A question that is being planned."""

    question_id: int
    plan: Plan
    step: Step = Step("", 0)
    stop: str | None = None
    steps: int = 0
    known: dict[str, float] = field(default_factory=dict)
    tried: list[Tried] = field(default_factory=list)

    def advance(self, answer: list[Scored] | None) -> None:
        """Send the planner what came of its step (None: it has taken none yet), and learn what it wants next."""
        try:
            self.step = next(self.plan) if answer is None else self.plan.send(answer)
        except StopIteration as ended:
            self.stop = ended.value

    def take(self, sqls: Sequence[str] | None, scores: Mapping[tuple[int, str], float | None]) -> None:
        """Take in a step's queries; one without an answer ends the planning of the question."""
        for sql in sqls or ():
            score = scores.get((self.question_id, sql))
            if score is not None:
                self.known[sql] = score
        if sqls is None or not all(sql in self.known for sql in sqls):
            self.stop = UNANSWERED
            return
        for sql, count in Counter(sqls).items():
            self.tried.append(Tried(self.steps, self.step.start, sql, count, self.known[sql]))
        self.steps += 1
        self.advance([(sql, self.known[sql]) for sql in sqls])

    def outcome(self) -> Outcome:
        assert self.stop is not None, "asked for when the question is closed"
        answered = self.stop != UNANSWERED and self.known
        best: tuple[str, float | None] = best_of(self.known.items()) if answered else (EMPTY_SQL, None)
        return Outcome(self.question_id, *best, self.stop, self.steps, tuple(self.tried))


def search(question_ids: Sequence[int], plan: Callable[[], Plan], propose: Propose, value: Value) -> list[Outcome]:
    """Plan every question; outcomes in the order of the ids.

    Each round asks once for the completions of all open questions, and once for the scores of all queries that are new
    to their question. The best query of all that were tried is chosen, see `best_of`. A question of which a request
    failed is closed as UNANSWERED.
    """
    questions = [_Question(question_id, plan()) for question_id in question_ids]
    for each in questions:
        each.advance(None)
    while going := [each for each in questions if each.stop is None]:
        proposed = propose([(each.question_id, each.step) for each in going])
        pairs = [(each, sql) for each, sqls in zip(going, proposed, strict=True) for sql in sqls or ()]
        new = list(dict.fromkeys((each.question_id, sql) for each, sql in pairs if sql not in each.known))
        scores = dict(zip(new, value(new), strict=True)) if new else {}
        for each, sqls in zip(going, proposed, strict=True):
            each.take(sqls, scores)
    return [each.outcome() for each in questions]
