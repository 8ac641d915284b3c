"""Scores of chosen queries: execution, exact and partial match, by hardness. Runs no SQL.

`python -m sqljudge.evaluate` is the drop-in for the official evaluator's command: see `evaluate_files.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqljudge.errors import DataError
from sqljudge.metrics.end_to_end import Interval, Scored, end_to_end
from sqljudge.records import EMPTY_SQL, UNANSWERED, Execution, Question, Selection
from sqljudge.scripting import command
from sqljudge.sql.errors import UnreadableSql
from sqljudge.sql.matching import Match, match
from sqljudge.sql.schema import Schema

EvaluationResult = dict[str, Any]
"""questions, left_out, metrics, components (see `end_to_end`), per_question (question_id, hardness, exec, exact)."""


def evaluate_selections(
    questions: Sequence[Question],
    selections: Sequence[Selection],
    executions: Sequence[Execution],
    schemas: Mapping[str, Schema],
    *,
    interval: Interval | None = None,
) -> EvaluationResult:
    """Score what a planner chose: one selection for each question, in any order; the result follows the questions.

    Whether a choice executes right is read from `executions`; it is left out of EX where that says None. An empty
    choice is wrong, but a question of which a request failed is left out and counted in `left_out`. Raises DataError if
    a question has no selection or several, if a chosen query has no execution, or if a schema is missing or a gold
    query cannot be read.
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
        scored.append(Scored(question.hardness, correct, found.exact, found.partial))
        row = {"question_id": question.id, "hardness": question.hardness, "exec": correct, "exact": found.exact}
        rows.append(row)
    left_out = len(questions) - len(answered)
    return {"questions": len(answered), "left_out": left_out, **end_to_end(scored, interval), "per_question": rows}


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


def _match(question: Question, sql: str, schemas: Mapping[str, Schema]) -> Match:
    if question.db_id not in schemas:
        raise DataError(f"question {question.id}: the database {question.db_id!r} is not in tables.json")
    try:
        return match(question.gold_sql, sql, schemas[question.db_id])
    except UnreadableSql as error:
        what = f"question {question.id}: the gold query cannot be read ({error}): {question.gold_sql.strip()!r}"
        raise DataError(f"{what}; check that the query and tables.json belong together") from error


if __name__ == "__main__":
    from sqljudge.evaluate_files import main

    command(main)
