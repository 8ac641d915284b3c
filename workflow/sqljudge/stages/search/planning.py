"""One search over all questions, from what it asks to the files that it leaves. Knows no planner of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqljudge.core.records import CandidateSet, Cost, Question, Selection, to_json, write_jsonl, write_text
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.execute import execute_candidates
from sqljudge.stages.search.asking import Execute, Questions, Writer, proposing
from sqljudge.stages.search.driver import Outcome, Value, search
from sqljudge.stages.search.kinds import KINDS, settings_of
from sqljudge.stages.search.spending import Ledger


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search leaves, each in the order of the questions."""

    outcomes: list[Outcome]
    selections: list[Selection]
    tried: list[CandidateSet]
    costs: list[Cost]

    def write(self, files: Mapping[str, str]) -> None:
        """Write one line a question to each of the files `selections`, `costs`, `tried` and `trace`."""
        write_jsonl(files["selections"], self.selections)
        write_jsonl(files["costs"], self.costs)
        write_jsonl(files["tried"], self.tried)
        write_text(files["trace"], "".join(to_json(outcome) + "\n" for outcome in self.outcomes))


def search_questions(
    questions: Sequence[Question],
    writer: Writer,
    value: Callable[[Questions, Ledger], Value],
    *,
    planner: Mapping[str, Any],
) -> Searched:
    """Plan all questions by a configured planner.

    `value`: makes what values queries, from the questions and the ledger that it books its calls in. Raises ConfigError
    for a planner whose settings are not its kind's.
    """
    settings, kind = settings_of(planner), KINDS[planner["kind"]]
    by_id = {question.id: question for question in questions}
    ledger = Ledger(by_id)
    propose = proposing(writer, by_id, ledger)
    plan = kind.plan
    outcomes = search(list(by_id), lambda: plan(settings, writer.decoding.samples), propose, value(by_id, ledger))
    tried = [outcome.candidates() for outcome in outcomes]
    return Searched(outcomes, [outcome.selection() for outcome in outcomes], tried, ledger.costs(tried))


def executing(
    questions: Sequence[Question], databases: Path, limits: Limits, workers: int, comparison: str = TEST_SUITE
) -> Execute:
    """Runs queries as the execute stage does, so that what is executable, or right, here is so there."""
    return lambda sets: execute_candidates(
        questions, sets, databases, comparison=comparison, workers=workers, limits=limits, shown_rows=0
    )
