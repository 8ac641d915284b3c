"""The *execute* stage: what happens when candidates run, and whether they are right. Knows no model and no score."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqljudge.core.errors import ComparisonLimit, DataError
from sqljudge.core.files import shortened
from sqljudge.core.records import (
    EMPTY_SQL,
    CandidateSet,
    Cell,
    Execution,
    Question,
    ResultGroup,
    read_jsonl,
    write_jsonl,
)
from sqljudge.sql.databases import database_files, databases_with_rows, gold_faults, golds_of
from sqljudge.sql.official.execution import COMPARISONS, TEST_SUITE, Comparison
from sqljudge.sql.sandbox import ExecutionMatch, Limits, MatchJob, QueryJob, QueryResult, RawCell, Sandbox, failed

log = logging.getLogger(__name__)

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
    """Run every candidate, and compare it with its question's gold query, if there is one; in their order.

    `databases`: the folder that holds `<db_id>/<db_id>.sqlite`. Outcome, rows (the first `shown_rows`) and message are
    of the candidate as written on that file. `correct` is the execution match, by a rule of COMPARISONS, on all
    `*.sqlite` files beside it: None where there is no gold query, where none of the files holds a row, or where the
    results could not be compared within the limit (the message says so).
    Raises DataError, naming question and database, if a database is missing or damaged or a gold query does not run;
    SqlRunError if the machinery fails.
    """
    by_id = {question.id: question for question in questions}
    pairs = [(_question(by_id, each.question_id), c.sql) for each in candidates for c in each.candidates]
    used = {question.id: question for question, _ in pairs}.values()
    golds, files = golds_of(used, databases)
    with Sandbox(workers, limits) as sandbox:
        gold_faults(sandbox, [gold for gold in golds if gold[2]], files, comparison=comparison)
        filled = databases_with_rows(sandbox, files)
        jobs = [
            MatchJob(files[question.db_id], question.gold_sql, sql, comparison=comparison)
            for question, sql in pairs
            if sql != EMPTY_SQL and question.gold_sql
        ]
        judged = iter(sandbox.judge(jobs, keep=shown_rows))
        alone = [
            QueryJob(files[question.db_id][0], sql, shown_rows)
            for question, sql in pairs
            if sql != EMPTY_SQL and not question.gold_sql
        ]
        ran = iter(sandbox.run(alone))
    executions = []
    for question, sql in pairs:
        if sql == EMPTY_SQL:
            result, match = _EMPTY
        else:
            result, match = next(judged) if question.gold_sql else (next(ran), _NO_GOLD)
        comparable = question.db_id in filled and question.gold_sql != ""
        executions.append(_execution(question.id, sql, result, match, comparable))
    return executions


_EMPTY = (failed("error", "empty query"), ExecutionMatch(False, "empty query"))
_NO_GOLD = ExecutionMatch(None, "")


def _question(by_id: Mapping[int, Question], question_id: int) -> Question:
    if question_id not in by_id:
        raise DataError(f"candidates of question {question_id}: no such question; make both from the same questions")
    return by_id[question_id]


def _execution(question_id: int, sql: str, result: QueryResult, match: ExecutionMatch, comparable: bool) -> Execution:
    message = result.message
    if comparable and match.correct is None:
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
        correct=match.correct if comparable else None,
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


def group_results(
    questions: Sequence[Question],
    candidates: Sequence[CandidateSet],
    executions: Sequence[Execution],
    databases: Path,
    *,
    comparison: str = TEST_SUITE,
    workers: int = 1,
    limits: Limits | None = None,
) -> list[ResultGroup]:
    """The group of every candidate, in their order; None for one that does not execute.

    Results are equal by a rule of COMPARISONS; by Spider's as bags of rows, whatever the order of rows and columns
    (evaluator rules, section 7): a question's candidates are compared with each other, and only the gold query could
    say whether the order matters. Only candidates that another may equal by its number of rows are run again, a
    question at a time. `databases` as in `execute_candidates`.
    Raises DataError if a candidate has no execution or a question is missing.
    """
    database = {question.id: question.db_id for question in questions}
    ran = {(run.question_id, run.sql): run for run in executions}
    for group in candidates:
        if group.question_id not in database:
            raise DataError(f"candidates of question {group.question_id}: no such question; make both again")
    users = {database[group.question_id]: f"question {group.question_id}" for group in candidates}
    files = database_files(databases, users)
    rule = COMPARISONS[comparison]
    found = []
    with Sandbox(workers, limits) as sandbox:
        for group in candidates:
            runs = [_run_of(ran, group.question_id, candidate.sql) for candidate in group.candidates]
            rows = _rows_where_needed(runs, rule, sandbox, files[database[group.question_id]][0])
            found += [
                ResultGroup(group.question_id, run.sql, number)
                for run, number in zip(runs, _numbers(runs, rows, rule), strict=True)
            ]
    return found


def _run_of(ran: Mapping[tuple[int, str], Execution], question_id: int, sql: str) -> Execution:
    if (question_id, sql) not in ran:
        raise DataError(f"question {question_id}: no execution of candidate {sql!r}; run the executions again")
    return ran[question_id, sql]


def _rows_where_needed(
    runs: Sequence[Execution], rule: Comparison, sandbox: Sandbox, path: Path
) -> dict[str, QueryResult]:
    """The whole results of the candidates that another one may equal by its number of rows."""
    sizes = Counter(rule.size(run.row_count) for run in runs if run.outcome == "ok")
    again = [run.sql for run in runs if run.outcome == "ok" and sizes[rule.size(run.row_count)] > 1]
    return dict(zip(again, sandbox.run([(path, sql) for sql in again]), strict=True))


def _numbers(runs: Sequence[Execution], rows: Mapping[str, QueryResult], rule: Comparison) -> list[int | None]:
    """For each candidate the place of the first one with an equal result; None where it does not execute."""
    numbers: list[int | None] = []
    for place, run in enumerate(runs):
        leaders = {number for number in numbers if number is not None}
        equal = (leader for leader in sorted(leaders) if _equal(runs[leader], run, rows, rule))
        numbers.append(next(equal, place) if run.outcome == "ok" else None)
    return numbers


def _equal(one: Execution, other: Execution, rows: Mapping[str, QueryResult], rule: Comparison) -> bool:
    if rule.size(one.row_count) != rule.size(other.row_count):
        return False
    first, second = rows[one.sql], rows[other.sql]
    if first.outcome != "ok" or second.outcome != "ok":
        return False
    try:
        return rule.equal(first.rows, second.rows)
    except ComparisonLimit:
        return False


def execute_pool(
    *,
    questions: str,
    candidates: str,
    databases: str,
    executions: str,
    comparison: str,
    limits: Mapping[str, Any],
    workers: int,
) -> None:
    """Write one execution a candidate of a pool, and log how many ended in which way."""
    found = execute_candidates(
        read_jsonl(questions, Question),
        read_jsonl(candidates, CandidateSet),
        Path(databases),
        comparison=comparison,
        workers=workers,
        limits=Limits(**limits),
    )
    write_jsonl(executions, found)
    outcomes = dict(Counter(execution.outcome for execution in found))
    correct = sum(execution.correct is True for execution in found)
    log.info("%d candidates, %d equal to the gold: %s", len(found), correct, outcomes)


def group_pool(
    *,
    questions: str,
    candidates: str,
    executions: str,
    databases: str,
    groups: str,
    comparison: str,
    limits: Mapping[str, Any],
    workers: int,
) -> None:
    """Write the group of equal results of each candidate of a pool."""
    found = group_results(
        read_jsonl(questions, Question),
        read_jsonl(candidates, CandidateSet),
        read_jsonl(executions, Execution),
        Path(databases),
        comparison=comparison,
        workers=workers,
        limits=Limits(**limits),
    )
    write_jsonl(groups, found)
