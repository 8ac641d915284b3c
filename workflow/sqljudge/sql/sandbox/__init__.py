"""The one place that runs SQL: a sandbox of worker processes, read-only and within limits.

Whatever the query, the databases keep their bytes, the run goes on, and the answer says what came of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError, SqlRunError
from sqljudge.core.records import Outcome
from sqljudge.sql.official.execution import TEST_SUITE, ExecutionMatch
from sqljudge.sql.sandbox.engine import Limits, QueryResult, RawCell, Row, failed
from sqljudge.sql.sandbox.files import logs_of, whole_copy
from sqljudge.sql.sandbox.pool import Pool, Reply

__all__ = [
    "Built",
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

BATCH = 64
"""Requests that one worker gets in a row, to profit from the gold query and the database that it has at hand."""

COMPARE_SECONDS = 30.0
_OUTCOMES: dict[str, Outcome] = {"timeout": "timeout", "memory": "memory", "crash": "error"}


@dataclass(frozen=True)
class QueryJob:
    """A query to run on one database file. `keep`: how many rows to hand back (all if None); `row_count` has all."""

    database: Path
    sql: str
    keep: int | None = None

    @property
    def databases(self) -> tuple[Path, ...]:
        """The one file."""
        return (self.database,)

    def request(self, files: Mapping[Path, Path], seconds: float) -> tuple[dict[str, Any], float]:
        """What a worker is asked, given the file to read for each database, and the seconds it may take, given those
        of one query.
        """
        return {"kind": "query", "path": str(files[self.database]), "sql": self.sql, "keep": self.keep}, seconds


@dataclass(frozen=True)
class MatchJob:
    """A prediction to compare with the gold query on every one of some database files, by a rule of COMPARISONS."""

    databases: tuple[Path, ...]
    gold_sql: str
    pred_sql: str
    keep_distinct: bool = False
    comparison: str = TEST_SUITE

    def request(self, files: Mapping[Path, Path], seconds: float) -> tuple[dict[str, Any], float]:
        """As a QueryJob's."""
        fields = {
            "kind": "match",
            "paths": [str(files[path]) for path in self.databases],
            "gold": self.gold_sql,
            "pred": self.pred_sql,
            "keep_distinct": self.keep_distinct,
            "comparison": self.comparison,
        }
        return fields, 2 * seconds * len(self.databases) + COMPARE_SECONDS


@dataclass(frozen=True)
class Built:
    """A database made from SQL text. `content`: the bytes of its file. `broken_key`: a foreign key that points nowhere.

    fault: "" or why there is none: `sql` (SQLite rejects the text), `refused` (it asks for more than its own
    database), `limit` (too long, or too big), `empty` (no table), `damaged` (what it makes is no sound file).
    """

    content: bytes
    broken_key: str
    fault: str = ""
    message: str = ""


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
        self._copies: dict[Path, tuple[tuple[Any, ...], Path]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        if self._folder:
            self._folder.cleanup()

    def pids(self) -> list[int]:
        """The process ids of the workers that are ready for work."""
        return self._pool.pids()

    def run(self, jobs: Sequence[tuple[Path, str] | QueryJob]) -> list[QueryResult]:
        """Run each query on its database file; results in the order of the jobs."""
        return [
            _result(reply) for reply in self._replies([j if isinstance(j, QueryJob) else QueryJob(*j) for j in jobs])
        ]

    def match(self, jobs: Sequence[MatchJob]) -> list[ExecutionMatch]:
        """The execution match of each prediction; results in the order of the jobs.

        A worker executes a gold query once for all the predictions that follow it.
        """
        return [_match(job, reply) for job, reply in zip(jobs, self._replies(jobs), strict=True)]

    def judge(self, jobs: Sequence[MatchJob], *, keep: int | None = None) -> list[tuple[QueryResult, ExecutionMatch]]:
        """As `match`, with what came of the prediction as written on the first of its databases."""
        replies = self._replies(
            [each for job in jobs for each in (QueryJob(job.databases[0], job.pred_sql, keep), job)]
        )
        return [
            (_result(result), _match(job, match))
            for job, result, match in zip(jobs, replies[::2], replies[1::2], strict=True)
        ]

    def build(self, text: str) -> Built:
        """The database that SQL text makes, in memory; within the limits of `steps` (of each statement), `seconds` and
        `memory_bytes`.
        """
        ((kind, value),) = self._pool.answers([[({"kind": "build", "text": text}, self._limits.seconds)]])
        if kind == "build":
            return Built(*value)
        if kind == "unbuilt":
            return Built(b"", "", *value)
        if kind in ("timeout", "memory", "query"):  # `query`: the bytes were too many to hand over
            return Built(b"", "", "limit", value if isinstance(value, str) else value[1])
        return Built(b"", "", "sql", str(value))

    def _replies(self, jobs: Sequence[QueryJob | MatchJob]) -> list[Reply]:
        """Share the jobs out in batches of neighbours, short enough to keep all workers busy."""
        files = {path: self._whole(path) for path in dict.fromkeys(path for job in jobs for path in job.databases)}
        requests = [job.request(files, self._limits.seconds) for job in jobs]
        size = max(1, min(BATCH, len(requests) // (4 * self._workers)))
        replies = self._pool.answers([requests[start : start + size] for start in range(0, len(requests), size)])
        names = {str(file): str(path) for path, file in files.items() if file != path}
        return [[kind, _renamed(value, names)] for kind, value in replies] if names else replies

    def _whole(self, database: Path) -> Path:
        """The file to read: the database's own, or, where logs lie beside it, a copy that holds what is in them."""
        if not database.is_file():
            raise DataError(f"{database}: no such database; fetch it, or correct the folder of the databases")
        logs = logs_of(database)
        if not logs:
            return database
        stats = [file.stat() for file in (database, *logs.values())]
        version = (*logs.values(), *((stat.st_mtime_ns, stat.st_size) for stat in stats))
        known, copy = self._copies.get(database, ((), database))
        if known != version:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="sqljudge.")
            copy = Path(tempfile.mkdtemp(dir=self._folder.name)) / database.name
            whole_copy(database, copy)
            self._copies[database] = version, copy
        return copy


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A message, with the user's names of files; whatever else a worker answers, as it is."""
    if isinstance(value, str):
        for copy, name in names.items():
            value = value.replace(copy, name)
    return value


def _result(reply: Reply) -> QueryResult:
    kind, value = reply
    if kind == "query":
        outcome, message, columns, rows, *rest = value
        return QueryResult(outcome, message, tuple(columns), tuple(map(tuple, rows)), *rest)
    if kind == "damaged":
        raise DataError(f"{value}; the database is damaged, fetch it again")
    if kind not in _OUTCOMES:
        raise SqlRunError(f"the SQL worker gave no answer that can be read ({kind}); please report it")
    return failed(_OUTCOMES[kind], value)


def _match(job: MatchJob, reply: Reply) -> ExecutionMatch:
    kind, value = reply
    if kind == "match":
        return ExecutionMatch(*value)
    if kind == "gold":
        raise DataError(
            f"gold query {job.gold_sql.strip()!r} does not run: {value}; check the database, or raise limits"
        )
    if kind == "memory":  # a query that needs too much has an outcome: this was the comparison
        return ExecutionMatch(None, f"results not compared: {value}")
    result = _result(reply)
    return ExecutionMatch(False, f"{result.outcome}: {result.message}")
