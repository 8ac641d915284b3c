"""The database files of a benchmark: where they lie, how they are built, and what must hold before scoring."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.records import Question
from sqljudge.sql.official.execution import COMPARISONS, TEST_SUITE
from sqljudge.sql.official.schema import Schema
from sqljudge.sql.sandbox import Built, Limits, QueryJob, Sandbox

log = logging.getLogger(__name__)

Files = Mapping[str, tuple[Path, ...]]
"""The SQLite files of each db_id."""
Gold = tuple[str, str, str]
"""A gold query: where it is from, its db_id, its SQL."""

BUILD_LIMITS = Limits(steps=500_000_000, seconds=300.0, memory_bytes=1024 * 1024 * 1024)
"""Of one database that is built from SQL text: what a dump of a million rows needs, several times over."""

MARKS_WITHIN = 1_000_000
"""Characters of a text in which the marks of other programs' SQL are looked for."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"


def build_database(sql_file: Path, target: Path) -> None:
    """Make a new SQLite database at `target` of `sql_file`: UTF-8 text of CREATE TABLE and INSERT statements.

    The text runs in the sandbox, within BUILD_LIMITS, and makes that database alone. The same text, with the same
    SQLite, gives the same bytes. `target` is replaced whole or not touched at all. A broken foreign key is logged.

    Raises DataError, naming the file, if it cannot be read, is not UTF-8, does not run, makes no table, or asks for
    anything beside its own database; and, naming the folder, if `target` cannot be written.
    """
    try:
        text = sql_file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{sql_file}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
    except OSError as error:
        raise DataError(f"{sql_file}: cannot be read ({error.strerror})") from error
    with Sandbox(limits=BUILD_LIMITS) as sandbox:
        built = sandbox.build(text)
    if built.fault:
        raise DataError(f"{sql_file}: {_FAULTS[built.fault].format(built.message)}{_dialect(built, text)}")
    if built.broken_key:
        log.warning("%s: broken foreign key, kept as it is (%s)", sql_file, built.broken_key)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            fresh = Path(folder) / target.name
            fresh.write_bytes(built.content)
            fresh.replace(target)
    except OSError as error:
        raise DataError(f"{target.parent}: cannot be written ({error.strerror}); choose another folder") from error


_FAULTS = {
    "sql": "does not run in SQLite ({}); correct the SQL",
    "refused": "may build its own database and nothing else (not allowed: {}); take that statement out",
    "limit": "builds no database within the limits ({}); give the database as a .sqlite file",
    "empty": "{}; it needs CREATE TABLE and INSERT statements",
    "damaged": "makes a damaged database ({}); correct the SQL",
}
_DIALECTS = {
    "MySQL": r"\bENGINE\s*=|\bAUTO_INCREMENT\b|/\*!\d{5}|^\s*(UN)?LOCK TABLES\b|^\s*(USE|CREATE DATABASE|SET NAMES)\b",
    "PostgreSQL": r"^COPY .* FROM stdin|\bpg_catalog\b|\bnextval\s*\(|\b(BIG)?SERIAL\b|^SET \w+\s*=|^\\\w",
    "SQL Server": r"^\s*GO\s*$|\[dbo\]|\bIDENTITY\s*\(|^\s*SET (IDENTITY_INSERT|ANSI_NULLS)\b",
    "SQLite's shell": r"^\.[a-z]+\b",
}


def _dialect(built: Built, text: str) -> str:
    """What SQL that does not run was written for, where that shows."""
    head = text[:MARKS_WITHIN] if built.fault == "sql" else ""
    found = [name for name, mark in _DIALECTS.items() if re.search(mark, head, re.IGNORECASE | re.MULTILINE)]
    return f" (it looks like SQL for {found[0]}: convert it to SQLite's)" if found else ""


def database_path(folder: str | Path, db_id: str) -> Path:
    """Where Spider's layout keeps a database's file."""
    return Path(folder) / db_id / f"{db_id}.sqlite"


def database_files(folder: Path, users: Mapping[str, str]) -> Files:
    """For each db_id, `<folder>/<db_id>/<db_id>.sqlite` and then all other `*.sqlite` files beside it, by name.

    `users`: db_id -> who uses it, for the message. Raises DataError if the first file is missing.
    """
    files = {}
    for db_id, where in users.items():
        first = database_path(folder, db_id)
        if not first.is_file():
            what = f"{where} (database {db_id}): {first}: no such database"
            raise DataError(f"{what}; fetch it, or correct the folder of the databases")
        files[db_id] = (first, *sorted(path for path in first.parent.glob("*.sqlite") if path != first))
    return files


def golds_of(questions: Iterable[Question], folder: Path) -> tuple[list[Gold], Files]:
    """The gold query of each question, in their order, and the files of their databases; see `database_files`."""
    golds = [(f"question {question.id}", question.db_id, question.gold_sql) for question in questions]
    return golds, database_files(folder, {db_id: where for where, db_id, _ in reversed(golds)})


def gold_runs(
    sandbox: Sandbox,
    golds: Sequence[Gold],
    files: Files,
    *,
    keep_distinct: bool = False,
    comparison: str = TEST_SUITE,
) -> list[tuple[str, int]]:
    """Run every gold query on all files of its database, as `comparison` does.

    For each, in their order: why it does not run to its end ("" if it does), and its rows on the first of the files.
    Raises DataError, naming a query on it, for a damaged database.
    """
    found = [("", 0)] * len(golds)
    by_database: dict[str, list[int]] = {}
    for place, (_, db_id, _) in enumerate(golds):
        by_database.setdefault(db_id, []).append(place)
    for db_id, places in by_database.items():
        queries = [COMPARISONS[comparison].gold(golds[place][2], keep_distinct) for place in places]
        try:
            results = sandbox.run([QueryJob(path, sql, keep=0) for sql in queries for path in files[db_id]])
        except DataError as error:
            raise DataError(f"{golds[places[0]][0]} (database {db_id}): {error}") from error
        each = len(files[db_id])
        for number, place in enumerate(places):
            runs = results[number * each : (number + 1) * each]
            faults = [
                f"{path}: {run.outcome}: {run.message}"
                for path, run in zip(files[db_id], runs, strict=True)
                if run.outcome != "ok"
            ]
            found[place] = (faults[0] if faults else "", runs[0].row_count)
    return found


def gold_faults(
    sandbox: Sandbox,
    golds: Sequence[Gold],
    files: Files,
    *,
    keep_distinct: bool = False,
    comparison: str = TEST_SUITE,
) -> None:
    """Run every gold query, as `gold_runs` does.

    Raises DataError naming the first that does not run to its end, or whose database is damaged.
    """
    runs = gold_runs(sandbox, golds, files, keep_distinct=keep_distinct, comparison=comparison)
    for (where, db_id, _), (fault, _) in zip(golds, runs, strict=True):
        if fault:
            what = f"{where} (database {db_id}): the gold query does not run on {fault}"
            raise DataError(f"{what}; fetch the database again, or raise the limits")


def databases_with_rows(sandbox: Sandbox, files: Files) -> set[str]:
    """The db_ids with a row in some table of some file: on the others no result means anything.

    Raises DataError, naming the file, where one is missing or damaged or has no table at all.
    """
    paths = [(db_id, path) for db_id, some in files.items() for path in some]
    checks = []
    for (db_id, path), tables in zip(paths, sandbox.run([(path, _TABLES) for _, path in paths]), strict=True):
        if not tables.rows:
            raise DataError(f"{path}: holds no table, so it is no whole database; fetch it again")
        for (name,) in tables.rows:
            quoted = str(name).replace('"', '""')
            checks.append((db_id, QueryJob(path, f'SELECT 1 FROM "{quoted}" LIMIT 1')))
    found = sandbox.run([job for _, job in checks])
    return {db_id for (db_id, _), result in zip(checks, found, strict=True) if result.rows}


def read_schema(sandbox: Sandbox, db_id: str, database: Path) -> Schema:
    """The schema of a database file, where there is no tables.json; see `tables_entry`."""
    return Schema.from_tables_json(tables_entry(sandbox, db_id, database))


KINDS = {
    "boolean": ("bool",),
    "time": ("date", "time", "year"),
    "text": ("char", "text", "clob", "string"),
    "number": ("int", "real", "floa", "doub", "num", "dec", "money"),
}
"""Spider's kinds of columns, by what stands in the type that a column is declared with; the first that fits."""


def tables_entry(sandbox: Sandbox, db_id: str, database: Path) -> dict[str, Any]:
    """A database's entry of a tables.json, read from its file: names, kinds of columns, primary and foreign keys.

    Tables are in the order of their creation, and views follow them; a view that does not run, and a table of a module
    that SQLite lacks, has no columns and is left out. A primary key of several columns is a list, as BIRD writes it.
    Foreign keys stand in the order of their declaration; one that points to no column is left out.
    Raises DataError, naming the file, where it is missing or damaged or holds no table.
    """
    (listed,) = sandbox.run([(database, _TABLES_AND_VIEWS)])
    names = [str(name) for (name,) in listed.rows]
    columns = sandbox.run([(database, _COLUMNS.format(_text(name))) for name in names])
    found = {name: some.rows for name, some in zip(names, columns, strict=True) if some.rows}
    if not found:
        raise DataError(f"{database}: holds no table, so it is no whole database; fetch it again")
    keys = sandbox.run([(database, _FOREIGN_KEYS.format(_text(name))) for name in found])
    columns_of = [(place, str(row[0]), str(row[1])) for place, rows in enumerate(found.values()) for row in rows]
    number = {(place, column.lower()): 1 + i for i, (place, column, _) in enumerate(columns_of)}
    primary = [
        [number[place, str(row[0]).lower()] for row in sorted(rows, key=lambda row: int(str(row[2]))) if row[2]]
        for place, rows in enumerate(found.values())
    ]
    places = {name.lower(): place for place, name in enumerate(found)}
    foreign = []
    for place, some in enumerate(keys):
        for part, parent, column, target in some.rows:
            other = places.get(str(parent).lower(), -1)
            one, to = number.get((place, str(column).lower())), number.get((other, str(target).lower()))
            if target is None and other >= 0:  # the parent's primary key is meant
                to = dict(enumerate(primary[other])).get(int(str(part)))
            if one and to:
                foreign.append([one, to])
    return {
        "db_id": db_id,
        "table_names": [_words(name) for name in found],
        "table_names_original": [*found],
        "column_names": [[-1, "*"], *([place, _words(column)] for place, column, _ in columns_of)],
        "column_names_original": [[-1, "*"], *([place, column] for place, column, _ in columns_of)],
        "column_types": ["text", *(_kind(declared) for *_, declared in columns_of)],
        "primary_keys": [key if len(key) > 1 else key[0] for key in primary if key],
        "foreign_keys": foreign,
    }


_TABLES_AND_VIEWS = """
SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
ORDER BY type, rowid
"""
_FOREIGN_KEYS = 'SELECT seq, "table", "from", "to" FROM pragma_foreign_key_list({}) ORDER BY id DESC, seq'
_COLUMNS = "SELECT name, type, pk FROM pragma_table_xinfo({}) WHERE hidden <> 1 ORDER BY cid"


def _words(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())


def _kind(declared: str) -> str:
    lower = declared.lower()
    return next((kind for kind, marks in KINDS.items() if any(mark in lower for mark in marks)), "others")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
