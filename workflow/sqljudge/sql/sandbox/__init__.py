"""The one place that runs SQL: a sandbox of worker processes, read-only and within limits.

Whatever the query, the databases keep their bytes, the run goes on, and the answer says what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

from sqljudge.core.errors import DataError, SqlRunError
from sqljudge.sql.official.execution import TEST_SUITE, ExecutionMatch
from sqljudge.sql.sandbox.engine import Limits, QueryResult, RawCell, Row, failed
from sqljudge.sql.sandbox.pool import Batch, Pool, Reply

__all__ = [
    "ExecutionMatch",
    "Limits",
    "MatchJob",
    "QueryJob",
    "QueryResult",
    "RawCell",
    "Row",
    "Sandbox",
    "failed",
]

Request = tuple[dict[str, Any], float]

BATCH = 64
"""Requests on the same gold query or database that one worker gets in a row."""

COMPARE_SECONDS = 30.0


@dataclass(frozen=True)
class QueryJob:
    """A query to run on one database file. `keep`: how many rows to hand back (all if None); `row_count` has all."""

    database: Path
    sql: str
    keep: int | None = None


@dataclass(frozen=True)
class MatchJob:
    """A prediction to compare with the gold query on every one of some database files, by a rule of COMPARISONS."""

    databases: tuple[Path, ...]
    gold_sql: str
    pred_sql: str
    keep_distinct: bool = False
    comparison: str = TEST_SUITE


class Sandbox:
    """Runs untrusted SQL in `workers` processes. A context manager: the processes end with it.

    Its methods raise DataError if a database is missing or damaged or a gold query does not run, and SqlRunError if
    the machinery itself fails; a query never makes them raise.
    """

    def __init__(self, workers: int = 1, limits: Limits | None = None) -> None:
        if workers < 1:
            raise ValueError(f"workers={workers}: at least 1")
        self._limits = limits or Limits()
        self._pool = Pool(workers, asdict(self._limits))
        self._workers = workers

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return self._pool.pids()

    def run(self, jobs: Sequence[tuple[Path, str] | QueryJob]) -> list[QueryResult]:
        """Run each query on its database file; results in the order of the jobs."""
        queries = [job if isinstance(job, QueryJob) else QueryJob(*job) for job in jobs]
        _check_files({job.database for job in queries})
        requests = [self._query_request(job) for job in queries]
        return [_query_result(reply) for reply in self._answers(requests, [str(job.database) for job in queries])]

    def match(self, jobs: Sequence[MatchJob]) -> list[ExecutionMatch]:
        """The execution match of each prediction; results in the order of the jobs.

        A gold query is executed once for all the predictions that follow it.
        """
        _check_files({database for job in jobs for database in job.databases})
        replies = self._answers([self._match_request(job) for job in jobs], [_key(job) for job in jobs])
        return [_match_result(job, reply) for job, reply in zip(jobs, replies, strict=True)]

    def judge(self, jobs: Sequence[MatchJob], *, keep: int | None = None) -> list[tuple[QueryResult, ExecutionMatch]]:
        """As `match`, with what came of the prediction as written on the first of its databases."""
        _check_files({database for job in jobs for database in job.databases})
        requests = [
            request
            for job in jobs
            for request in (
                self._query_request(QueryJob(job.databases[0], job.pred_sql, keep)),
                self._match_request(job),
            )
        ]
        replies = self._answers(requests, [key for job in jobs for key in (_key(job), _key(job))])
        return [
            (_query_result(run), _match_result(job, matched))
            for job, run, matched in zip(jobs, replies[::2], replies[1::2], strict=True)
        ]

    def _query_request(self, job: QueryJob) -> Request:
        fields = {"kind": "query", "path": str(job.database), "sql": job.sql, "keep": job.keep}
        return fields, self._limits.seconds

    def _match_request(self, job: MatchJob) -> Request:
        fields = {
            "kind": "match",
            "paths": [str(path) for path in job.databases],
            "gold": job.gold_sql,
            "pred": job.pred_sql,
            "keep_distinct": job.keep_distinct,
            "comparison": job.comparison,
        }
        return fields, 2 * self._limits.seconds * len(job.databases) + COMPARE_SECONDS

    def _answers(self, requests: Sequence[Request], keys: Sequence[str]) -> list[Reply]:
        """Share the requests out in runs of equal key, short enough to keep all workers busy."""
        size = max(1, min(BATCH, len(requests) // (4 * self._workers)))
        batches: list[Batch] = []
        for _, group in groupby(range(len(requests)), key=lambda at: keys[at]):
            run = [requests[at] for at in group]
            batches += [run[start : start + size] for start in range(0, len(run), size)]
        return self._pool.answers(_merged(batches, size))


def _key(job: MatchJob) -> str:
    return f"{job.databases[0]} {job.gold_sql}"


def _merged(batches: Iterable[Batch], size: int) -> list[Batch]:
    """Join short neighbours, so that a worker is not left waiting for its next one."""
    merged: list[list[Request]] = []
    for batch in batches:
        if merged and len(merged[-1]) + len(batch) <= size:
            merged[-1] += batch
        else:
            merged.append(list(batch))
    return list(merged)


def _check_files(databases: Iterable[Path]) -> None:
    for path in databases:
        if not path.is_file():
            raise DataError(f"{path}: no such database; fetch it, or correct the folder of the databases")


def _query_result(reply: Reply) -> QueryResult:
    kind, value = reply
    if kind != "query":
        return _without_answer(kind, value)
    outcome, message, columns, rows, row_count, steps, ms = value
    return QueryResult(outcome, message, tuple(columns), tuple(map(tuple, rows)), row_count, steps, ms)


def _without_answer(kind: str, message: str) -> QueryResult:
    if kind == "damaged":
        raise DataError(f"{message}; the database is damaged, fetch it again")
    if kind == "timeout":
        return failed("timeout", message)
    if kind == "memory":
        return failed("memory", message)
    if kind == "crash":
        return failed("error", message)
    raise SqlRunError(f"the SQL worker gave no answer that can be read ({kind}); please report it")


def _match_result(job: MatchJob, reply: Reply) -> ExecutionMatch:
    kind, value = reply
    if kind == "match":
        return ExecutionMatch(*value)
    if kind == "gold":
        raise DataError(
            f"gold query {job.gold_sql.strip()!r} does not run: {value}; check the database, or raise limits"
        )
    if kind == "memory":  # a query that needs too much has an outcome: this was the comparison
        return ExecutionMatch(None, f"results not compared: {value}")
    result = _without_answer(kind, value)
    return ExecutionMatch(False, f"{result.outcome}: {result.message}")
