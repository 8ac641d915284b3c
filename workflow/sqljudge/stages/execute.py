"""The *execute* stage: what happens when candidates run, and whether they are right. Knows no model and no score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqljudge.core.errors import DataError
from sqljudge.core.records import EMPTY_SQL, CandidateSet, Cell, Execution, Question, shortened
from sqljudge.sql.databases import database_files, databases_with_rows, gold_faults
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.sql.sandbox import ExecutionMatch, Limits, MatchJob, QueryResult, RawCell, Sandbox, failed

SHOWN_CHARACTERS = 1000


def execute_candidates(
    questions: Sequence[Question],
    candidates: Sequence[CandidateSet],
    databases: Path,
    *,
    comparison: str = TEST_SUITE,
    workers: int = 1,
    limits: Limits | None = None,
    shown_rows: int = 5,
) -> list[Execution]:
    """Run every candidate, and compare it with its question's gold query; in the order of the candidates.

    `databases`: the folder that holds `<db_id>/<db_id>.sqlite`. Outcome, rows (the first `shown_rows`) and message are
    of the candidate as written on that file. `correct` is the execution match, by a rule of COMPARISONS, on all
    `*.sqlite` files beside it: None where none of them holds a row, or where the results could not be compared within
    the limit (the message says so). Raises DataError, naming question and database, if a database is missing or damaged
    or a gold query does not run; SqlRunError if the machinery fails.
    """
    by_id = {question.id: question for question in questions}
    pairs = [(_question(by_id, each.question_id), c.sql) for each in candidates for c in each.candidates]
    used = {question.id: question for question, _ in pairs}.values()
    golds = [(f"question {question.id}", question.db_id, question.gold_sql) for question in used]
    files = database_files(databases, {db_id: where for where, db_id, _ in reversed(golds)})
    with Sandbox(workers, limits) as sandbox:
        gold_faults(sandbox, golds, files, comparison=comparison)
        filled = databases_with_rows(sandbox, files)
        jobs = [
            MatchJob(files[question.db_id], question.gold_sql, sql, comparison=comparison)
            for question, sql in pairs
            if sql != EMPTY_SQL
        ]
        judged = iter(sandbox.judge(jobs, keep=shown_rows))
    executions = []
    for question, sql in pairs:
        result, match = _EMPTY if sql == EMPTY_SQL else next(judged)
        executions.append(_execution(question.id, sql, result, match, question.db_id in filled))
    return executions


_EMPTY = (failed("error", "empty query"), ExecutionMatch(False, "empty query"))


def _question(by_id: Mapping[int, Question], question_id: int) -> Question:
    if question_id not in by_id:
        raise DataError(f"candidates of question {question_id}: no such question; make both from the same questions")
    return by_id[question_id]


def _execution(question_id: int, sql: str, result: QueryResult, match: ExecutionMatch, has_rows: bool) -> Execution:
    message = result.message
    if has_rows and match.correct is None:
        message = f"{message}; {match.reason}" if message else match.reason
    return Execution(
        question_id=question_id,
        sql=sql,
        outcome=result.outcome,
        message=message,
        rows=tuple(tuple(as_cell(cell, SHOWN_CHARACTERS) for cell in row) for row in result.rows),
        row_count=result.row_count,
        steps=result.steps,
        ms=round(result.ms, 3),
        correct=match.correct if has_rows else None,
        columns=tuple(shortened(name, SHOWN_CHARACTERS) for name in result.columns),
    )


def as_cell(cell: RawCell, longest: int | None = None) -> Cell:
    """A value as JSON can hold it: bytes as SQLite writes them (x'00ff'), infinities as "Inf" and "-Inf".

    A text of more than `longest` characters is cut, with an ellipsis at its end.
    """
    if isinstance(cell, bytes):
        cell = f"x'{cell.hex()}'"
    elif isinstance(cell, float) and math.isinf(cell):
        cell = "Inf" if cell > 0 else "-Inf"
    return shortened(cell, longest) if longest is not None and isinstance(cell, str) else cell
