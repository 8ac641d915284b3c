"""Scores of chosen queries: execution, exact and partial match, by hardness. Runs no SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqljudge.core.errors import DataError, UnreadableSql
from sqljudge.core.records import EMPTY_SQL, HARDNESS, UNANSWERED, Execution, Question, Selection
from sqljudge.metrics.end_to_end import Interval, Scored, end_to_end
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.sql.official.matching import Match, match
from sqljudge.sql.official.schema import Schema

EvaluationResult = dict[str, Any]
"""What stands in a file of end-to-end metrics.

questions, left_out, unreadable_gold (questions), levels, comparison (the rule behind EX), metrics and components (see
`end_to_end`), per_question (question_id, hardness, exec, exact).
"""


def evaluate_selections(
    questions: Sequence[Question],
    selections: Sequence[Selection],
    executions: Sequence[Execution],
    schemas: Mapping[str, Schema],
    *,
    interval: Interval | None = None,
    levels: Sequence[str] = HARDNESS,
    comparison: str = TEST_SUITE,
) -> EvaluationResult:
    """Score what a planner chose: one selection for each question, in any order; the result follows the questions.

    Whether a choice executes right is read from `executions`; it is left out of EX where that says None. An empty
    choice is wrong, but a question of which a request failed is left out and counted in `left_out`. A question whose
    gold query the official parser cannot read is left out of exact and partial match and counted in `unreadable_gold`.
    `levels`: of the dataset's format; `comparison`: the rule that `executions` were compared by. Raises DataError if a
    question has no selection or several, if a chosen query has no execution, or if a schema is missing.
    """
    chosen = _by_question(questions, selections)
    right = {(execution.question_id, execution.sql): execution.correct for execution in executions}
    undecided = _undecided_databases(questions, executions)
    scored, rows = [], []
    answered = [question for question in questions if chosen[question.id].reason != UNANSWERED]
    for question in answered:
        sql = chosen[question.id].sql
        if (question.id, sql) in right:
            correct = right[question.id, sql]
        elif sql == EMPTY_SQL:
            correct = None if question.db_id in undecided else False
        else:
            what = f"question {question.id}: the chosen query has no execution: {sql!r}"
            raise DataError(f"{what}; re-run the execute stage on the pool that the choice was made from")
        found = _match(question, sql, schemas)
        exact, partial = (found.exact, found.partial) if found else (None, None)
        scored.append(Scored(question.hardness, correct, exact, partial))
        rows.append({"question_id": question.id, "hardness": question.hardness, "exec": correct, "exact": exact})
    return {
        "questions": len(answered),
        "left_out": len(questions) - len(answered),
        "unreadable_gold": sum(one.exact is None for one in scored),
        "levels": list(levels),
        "comparison": comparison,
        **end_to_end(scored, interval, levels),
        "per_question": rows,
    }


def _by_question(questions: Sequence[Question], selections: Sequence[Selection]) -> dict[int, Selection]:
    chosen: dict[int, Selection] = {}
    known = {question.id for question in questions}
    for selection in selections:
        if selection.question_id not in known:
            raise DataError(f"a selection for question {selection.question_id}, which is not among the questions")
        if selection.question_id in chosen:
            raise DataError(f"question {selection.question_id}: more than one selection; re-run the plan stage")
        chosen[selection.question_id] = selection
    for question in questions:
        if question.id not in chosen:
            raise DataError(f"question {question.id}: no selection; re-run the plan stage on the same questions")
    return chosen


def _undecided_databases(questions: Sequence[Question], executions: Sequence[Execution]) -> set[str]:
    """The databases on which no execution was decided, since they hold no rows."""
    database = {question.id: question.db_id for question in questions}
    seen = {(database.get(execution.question_id, ""), execution.correct is None) for execution in executions}
    return {db_id for db_id, undecided in seen if undecided and (db_id, False) not in seen}


def _match(question: Question, sql: str, schemas: Mapping[str, Schema]) -> Match | None:
    if question.db_id not in schemas:
        raise DataError(f"question {question.id}: the database {question.db_id!r} is not in tables.json")
    try:
        return match(question.gold_sql, sql, schemas[question.db_id])
    except UnreadableSql:
        return None
