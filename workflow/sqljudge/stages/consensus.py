"""Which of a question's candidates give equal results. Runs them in the sandbox; knows no gold query and no score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqljudge.core.errors import ComparisonLimit, DataError
from sqljudge.core.records import CandidateSet, Execution, Question, ResultGroup
from sqljudge.sql.databases import database_files
from sqljudge.sql.official.execution import COMPARISONS, TEST_SUITE, Comparison
from sqljudge.sql.sandbox import Limits, QueryResult, Sandbox


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
