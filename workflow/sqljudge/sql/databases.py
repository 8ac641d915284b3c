"""Facts about the database files of a benchmark that have to be known before anything is scored on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqljudge.core.errors import DataError
from sqljudge.sql.official.execution import COMPARISONS, TEST_SUITE
from sqljudge.sql.official.schema import Schema
from sqljudge.sql.sandbox import QueryJob, Sandbox

Files = Mapping[str, tuple[Path, ...]]
"""The SQLite files of each db_id."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"


def database_files(folder: Path, users: Mapping[str, str]) -> Files:
    """For each db_id, `<folder>/<db_id>/<db_id>.sqlite` and then all other `*.sqlite` files beside it, by name.

    `users`: db_id -> who uses it, for the message. Raises DataError if the first file is missing.
    """
    files = {}
    for db_id, where in users.items():
        first = folder / db_id / f"{db_id}.sqlite"
        if not first.is_file():
            what = f"{where} (database {db_id}): {first}: no such database"
            raise DataError(f"{what}; fetch it, or correct the folder of the databases")
        files[db_id] = (first, *sorted(path for path in first.parent.glob("*.sqlite") if path != first))
    return files


def gold_faults(
    sandbox: Sandbox,
    golds: Sequence[tuple[str, str, str]],
    files: Files,
    *,
    keep_distinct: bool = False,
    comparison: str = TEST_SUITE,
) -> None:
    """Run every gold query (where it is from, its db_id, its SQL) on all files of its database, as `comparison` does.

    Raises DataError naming the first that does not run to its end, or whose database is damaged.
    """
    by_database: dict[str, list[tuple[str, str]]] = {}
    for where, db_id, sql in golds:
        by_database.setdefault(db_id, []).append((where, COMPARISONS[comparison].gold(sql, keep_distinct)))
    for db_id, queries in by_database.items():
        jobs = [QueryJob(path, sql, keep=0) for path in files[db_id] for _, sql in queries]
        try:
            results = sandbox.run(jobs)
        except DataError as error:
            raise DataError(f"{queries[0][0]} (database {db_id}): {error}") from error
        for at, (job, result) in enumerate(zip(jobs, results, strict=True)):
            if result.outcome != "ok":
                what = f"{queries[at % len(queries)][0]} (database {db_id}): the gold query does not run"
                why = f"{job.database}: {result.outcome}: {result.message}"
                raise DataError(f"{what} on {why}; fetch the database again, or raise the limits")


def holding_rows(sandbox: Sandbox, files: Files) -> set[str]:
    """The db_ids with a row in some table of some file: on the others no result means anything."""
    paths = [(db_id, path) for db_id, some in files.items() for path in some]
    listed = sandbox.run([(path, _TABLES) for _, path in paths])
    checks = [
        (db_id, QueryJob(path, f'SELECT 1 FROM "{str(row[0]).replace(chr(34), chr(34) * 2)}" LIMIT 1'))
        for (db_id, path), tables in zip(paths, listed, strict=True)
        for row in tables.rows
    ]
    found = sandbox.run([job for _, job in checks])
    return {db_id for (db_id, _), result in zip(checks, found, strict=True) if result.rows}


def read_schema(sandbox: Sandbox, db_id: str, database: Path) -> Schema:
    """The schema of a database file, where there is no tables.json: without foreign keys."""
    columns = "SELECT lower(t.name), lower(c.name) FROM sqlite_master AS t, pragma_table_info(t.name) AS c"
    (result,) = sandbox.run([(database, f"{columns} WHERE t.type = 'table'")])
    tables: dict[str, set[str]] = {}
    for table, column in result.rows:
        tables.setdefault(str(table), set()).add(str(column))
    return Schema(db_id, {name: frozenset(some) for name, some in tables.items()}, {})
