"""Tree search over the clauses of a query: best-first, each step valued by completions. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from sqljudge.core.records import CORRECT_THRESHOLD
from sqljudge.sql.text import first_clauses
from sqljudge.stages.search.driver import Plan, Scored, Step

COMPLETE = "the best step is a whole query"
EXHAUSTED = "nothing left to expand"


@dataclass(frozen=True, slots=True)
class Tree:
    """At most `expansions` expansions of `completions` each."""

    expansions: int = 50
    completions: int = 5

    def most(self, _samples: int) -> int:
        """The completions of a question that is never settled."""
        return self.expansions * self.completions

    def first(self, _samples: int) -> int:
        """The completions of a question alone, of which nothing is written yet."""
        return self.completions


@dataclass(frozen=True, slots=True)
class Node:
    """The first `clauses` clauses of a query, or a whole one (`whole`): the same text may be both."""

    text: str
    clauses: int
    whole: bool


def child(sql: str, clauses: int) -> Node:
    """The next step that a completion takes from a state of so many clauses: its next clause, or its end."""
    prefix = first_clauses(sql, clauses + 1)
    return Node(sql, clauses + 1, True) if prefix is None else Node(prefix, clauses + 1, False)


def tree(settings: Tree, _samples: int) -> Plan:
    """Plan one question, from a query of which nothing is written.

    A state's completions are both its children and their Monte-Carlo roll-outs: each is cut after its next clause, and
    a child's value is the mean score of all completions that went through it, as often as they were drawn. That is an
    estimate of what the generator makes of the step, where the best one would reward luck. The most valuable open step
    is taken next; of equally valuable ones a whole query comes first if its verdict is positive (a score above
    CORRECT_THRESHOLD) and last if not, then the one with more clauses, then the smallest text. Ends when that step is a
    whole query, when nothing is left, or after all expansions.
    """
    scores: dict[Node, list[float]] = {}
    closed: set[Node] = set()
    state = Node("", 0, False)
    for _ in range(settings.expansions):
        closed.add(state)
        found: list[Scored] = yield Step(state.text, settings.completions)
        for sql, score in found:
            scores.setdefault(child(sql, state.clauses), []).append(score)
        frontier = [node for node in scores if node not in closed]
        if not frontier:
            return EXHAUSTED
        state = min(frontier, key=lambda node: _rank(node, fmean(scores[node])))
        if state.whole:
            return COMPLETE
    return f"{settings.expansions} expansions"


def _rank(node: Node, value: float) -> tuple[float, bool, int, str]:
    return -value, node.whole != (value > CORRECT_THRESHOLD), -node.clauses, node.text
