"""Runs one query on one SQLite file, reading only and within limits. Lives inside a worker process that can be killed.

Everything that keeps a query from doing harm *inside* SQLite is here; what it may do to the process is the pool's.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqljudge.core.records import Outcome
from sqljudge.sql.sandbox.files import DAMAGE_CODES, damage_of

STEP_UNIT = 100
"""The progress handler is called once in so many virtual-machine instructions."""

CLOCK_UNIT = 100
"""The wall clock is read once in so many calls of the progress handler."""

READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
READING_PRAGMAS = frozenset(
    {
        *("table_info", "table_xinfo", "table_list", "foreign_key_list", "index_list", "index_info", "index_xinfo"),
        *("collation_list", "function_list", "compile_options"),
        "data_version",  # full-text tables ask for it
    }
)
REFUSED_FUNCTIONS = frozenset(
    {
        *("load_extension", "readfile", "writefile", "edit", "fsdir", "zipfile", "eval", "sqlite_log"),
        *("fts3_tokenizer", "fts5", "optimize"),
    }
)
TABLE_FUNCTIONS = (
    *("json_each", "json_tree", "jsonb_each", "jsonb_tree", "generate_series", "dbstat", "fts3tokenize"),
    *(f"pragma_{name}" for name in sorted(READING_PRAGMAS)),
)
"""Not every SQLite has all of them."""

VIRTUAL_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND coalesce(rootpage, 0) = 0"
CHUNK_ROWS = 1000
CELL_OVERHEAD = 64
MAX_SQL_BYTES = 1_000_000
OPEN_FILES = 32
CACHED_BYTES = 64 * 1024 * 1024
OUT_OF_MEMORY = "out of memory"


RawCell = str | int | float | bytes | None
Row = tuple[RawCell, ...]


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    steps: SQLite virtual-machine instructions (counted in hundreds); seconds: wall time, a backstop that a query on an
    ordinary machine meets only inside one endless operation; rows: rows returned; cell_bytes: size of one value, row
    or string inside SQLite; memory_bytes: SQLite's heap, and as much again for the rows that are kept.
    """

    steps: int = 100_000_000
    seconds: float = 30.0
    rows: int = 500_000
    cell_bytes: int = 1_000_000
    memory_bytes: int = 512 * 1024 * 1024

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"limit {name}={value!r}: must be above 0")


@dataclass(frozen=True)
class QueryResult:
    """What came of one query. `rows`: all rows for `ok`, the rows up to the limit for `row_limit`, else none.

    outcome: `ok`; `error` (SQLite rejects it, or it holds no statement); `timeout` (too many steps, or too long);
    `row_limit`; `memory` (a value or the whole is too big); `refused` (it asks for more than reading).
    """

    outcome: Outcome
    message: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    row_count: int
    steps: int
    ms: float


def failed(outcome: Outcome, message: str, steps: int = 0, ms: float = 0.0) -> QueryResult:
    """A result without rows."""
    return QueryResult(outcome, message, (), (), 0, steps, ms)


class DamagedDatabase(Exception):  # noqa: N818
    """The database itself, not the query, cannot be read. The message names the file."""


class Engine:
    """Open databases and the results of the last queries; both are kept while they are used often."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: OrderedDict[tuple[str, int, int], Connection] = OrderedDict()
        self._results: OrderedDict[tuple[str, int, int, str], QueryResult] = OrderedDict()
        self._bytes = 0

    def run(self, path: str, sql: str) -> QueryResult:
        """Run `sql` on the file. Raises DamagedDatabase if the file is missing or is not a sound database."""
        key = (path, *_version(path))
        known = self._results.get((*key, sql))
        if known is not None:
            self._results.move_to_end((*key, sql))
            return known
        try:
            result = self._connection(key).run(sql)
            if result.message == OUT_OF_MEMORY and (self._results or len(self._open) > 1):
                self.forget()  # what is kept of others must not decide: once more, alone
                result = self._connection(key).run(sql)
        except sqlite3.Error as error:
            raise DamagedDatabase(f"{path}: cannot be opened ({error})") from error
        if result.outcome == "refused":  # SQLite may have dropped what it knows of the schema (it does on VACUUM)
            self._open.pop(key).close()
        if result.outcome == "memory":
            self.forget()
        else:
            self._remember((*key, sql), result)
        return result

    def forget(self) -> None:
        """Close everything and drop all results."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()
        self._results.clear()
        self._bytes = 0

    def _connection(self, key: tuple[str, int, int]) -> Connection:
        if key not in self._open:
            self._open[key] = Connection(key[0], self.limits)
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(key)
        return self._open[key]

    def _remember(self, key: tuple[str, int, int, str], result: QueryResult) -> None:
        self._results[key] = result
        self._bytes += _size(result.rows) + len(key[-1])
        while self._bytes > CACHED_BYTES:
            (*_, sql), dropped = self._results.popitem(last=False)
            self._bytes -= _size(dropped.rows) + len(sql)


def _version(path: str) -> tuple[int, int]:
    try:
        stat = Path(path).stat()
    except OSError as error:
        raise DamagedDatabase(f"{path}: cannot be read ({error.strerror})") from error
    return stat.st_mtime_ns, stat.st_size


class Connection:
    """One SQLite file, opened so that nothing can be written to it or through it."""

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._refused = ""
        self._stop = ""
        self._calls = 0
        self._deadline = 0.0
        self._random = random.Random(0)
        self._random_used = True
        self._db = _open(path, limits)
        self._db.create_function("random", 0, self._random_integer)
        self._db.create_function("randomblob", 1, self._random_blob)
        self._db.set_authorizer(self._authorize)
        self._db.set_progress_handler(self._progress, STEP_UNIT)

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._db.close()

    def run(self, sql: str) -> QueryResult:
        """Run one query. Raises DamagedDatabase if the file turns out to be damaged."""
        started = time.perf_counter()
        self._refused = self._stop = ""
        self._calls = 0
        self._deadline = time.monotonic() + self._limits.seconds
        if self._random_used:
            self._random.seed(0)
            self._random_used = False
        columns: tuple[str, ...] = ()
        rows: list[Row] = []
        try:
            outcome, message, columns, rows = self._fetch(sql)
        except MemoryError:
            outcome, message = "memory", OUT_OF_MEMORY
        except Exception as error:  # whatever a query brings about, it is that query's
            outcome, message = self._judged(error)
        steps, ms = self._calls * STEP_UNIT, (time.perf_counter() - started) * 1000
        return QueryResult(outcome, message, columns, tuple(rows), len(rows), steps, ms)

    def _fetch(self, sql: str) -> tuple[Outcome, str, tuple[str, ...], list[Row]]:
        try:
            return self._fetch_once(sql)
        except sqlite3.OperationalError as error:
            if not str(error).startswith("Could not decode to UTF-8"):
                raise
        self._calls = 0
        self._db.text_factory = lambda text: text.decode(errors="ignore")
        try:
            return self._fetch_once(sql)
        finally:
            self._db.text_factory = str

    def _fetch_once(self, sql: str) -> tuple[Outcome, str, tuple[str, ...], list[Row]]:
        limits = self._limits
        with closing(self._db.execute(sql)) as cursor:
            if cursor.description is None:
                return "error", "empty query", (), []
            columns = tuple(str(column[0]) for column in cursor.description)
            rows: list[Row] = []
            size = 0
            while chunk := cursor.fetchmany(CHUNK_ROWS):
                rows += chunk
                if len(rows) > limits.rows:
                    return "row_limit", f"more than {limits.rows:,} rows", columns, rows[: limits.rows]
                if len(chunk) < CHUNK_ROWS:
                    break
                size += _size(chunk)
                if size > limits.memory_bytes:
                    return "memory", f"rows of more than {limits.memory_bytes:,} bytes", (), []
            return "ok", "", columns, rows

    def _judged(self, error: Exception) -> tuple[Outcome, str]:
        """What an exception of SQLite's says of the query. Raises DamagedDatabase if it is the file's fault."""
        message = " ".join(str(error).split())
        code = getattr(error, "sqlite_errorcode", None) or 0
        if isinstance(error, UnicodeEncodeError):
            return "error", "the query is not valid Unicode text"
        if self._refused:
            return "refused", f"not allowed: {self._refused}"
        if self._stop:
            return "timeout", self._stop
        if code == sqlite3.SQLITE_TOOBIG:
            return "memory", message
        damaged = code & 0xFF in DAMAGE_CODES and code != sqlite3.SQLITE_CORRUPT_VTAB
        if damaged and (damage := damage_of(self._path)):
            raise DamagedDatabase(f"{self._path}: {damage}") from error
        return "error", message

    def _authorize(self, action: int, first: str | None, second: str | None, _db: str | None, _by: str | None) -> int:
        if action in READING:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            allowed, what = (second or "").lower() not in REFUSED_FUNCTIONS, f"function {second}"
        elif action == sqlite3.SQLITE_PRAGMA:
            allowed, what = (first or "").lower() in READING_PRAGMAS, f"PRAGMA {first}"
        else:
            allowed, what = False, " ".join(filter(None, (ACTIONS.get(action, "this statement"), first)))
        if not allowed:
            self._refused = self._refused or what
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def _progress(self) -> int:
        self._calls += 1
        if self._calls * STEP_UNIT > self._limits.steps:
            self._stop = f"stopped after {self._limits.steps:,} steps"
        elif self._calls % CLOCK_UNIT == 0 and time.monotonic() > self._deadline:
            self._stop = f"stopped after {self._limits.seconds:g} seconds"
        return bool(self._stop)

    def _random_integer(self) -> int:
        """SQLite's random(), but the same in every run, so that a label does not change with the weather."""
        self._random_used = True
        return self._random.randrange(-(2**63), 2**63)

    def _random_blob(self, size: int | float | str | None) -> bytes:
        self._random_used = True
        return self._random.randbytes(min(max(1, int(size or 0)), self._limits.cell_bytes + 1))


ACTIONS = {
    getattr(sqlite3, f"SQLITE_{name}"): name.replace("_", " ")
    for name in (
        *("CREATE_INDEX", "CREATE_TABLE", "CREATE_TEMP_INDEX", "CREATE_TEMP_TABLE", "CREATE_TEMP_TRIGGER"),
        *("CREATE_TEMP_VIEW", "CREATE_TRIGGER", "CREATE_VIEW", "CREATE_VTABLE", "DROP_INDEX", "DROP_TABLE"),
        *("DROP_TEMP_INDEX", "DROP_TEMP_TABLE", "DROP_TEMP_TRIGGER", "DROP_TEMP_VIEW", "DROP_TRIGGER", "DROP_VIEW"),
        *("DROP_VTABLE", "INSERT", "UPDATE", "DELETE", "TRANSACTION", "SAVEPOINT", "ATTACH", "DETACH"),
        *("ALTER_TABLE", "REINDEX", "ANALYZE"),
    )
}


def _size(rows: Sequence[Row]) -> int:
    """About the memory, in bytes, that rows take."""
    texts = sum(len(cell) for row in rows for cell in row if isinstance(cell, (str, bytes)))
    return texts + CELL_OVERHEAD * sum(map(len, rows))


def _open(path: str, limits: Limits) -> sqlite3.Connection:
    """A read-only connection with limits set. Nothing is locked or written, not even a journal or a temporary file.

    The file is taken as it is: what lies in logs beside it is the caller's to bring in (`files.whole_copy`).
    Views may call every function that a query may, and no other: the authorizer sees what stands in them, too.
    """
    uri = f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=0, check_same_thread=False)
    db.execute("PRAGMA query_only=ON")
    db.execute("PRAGMA trusted_schema=ON")
    db.execute("PRAGMA temp_store=MEMORY")
    db.execute(f"PRAGMA hard_heap_limit={limits.memory_bytes}")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.cell_bytes)
    db.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
    db.setlimit(sqlite3.SQLITE_LIMIT_VDBE_OP, 5_000_000)
    names = list(TABLE_FUNCTIONS)
    with suppress(sqlite3.Error):  # a damaged file: the query will say so
        names += [name for (name,) in db.execute(VIRTUAL_TABLES)]
    for name in names:  # SQLite declares a virtual table on first use by statements that the authorizer would refuse
        quoted = name.replace('"', '""')
        with suppress(sqlite3.Error):  # a table whose module this SQLite lacks cannot be read; the others can
            db.execute(f'SELECT 1 FROM "{quoted}" LIMIT 0')
    return db
