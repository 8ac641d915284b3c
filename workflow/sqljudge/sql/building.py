"""SQLite databases from SQL text. Knows no dataset and no question."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqljudge.core.errors import DataError


def build_database(sql_file: Path, target: Path) -> None:
    """Run `sql_file` (UTF-8 text of CREATE TABLE and INSERT statements) in a new SQLite database at `target`.

    The same text, with the same SQLite, gives the same bytes. `target` is replaced whole or not touched at all.

    Raises DataError, naming the file, if it cannot be read, is not UTF-8, does not run, makes no table, or breaks its
    own foreign keys; and, naming the folder, if `target` cannot be written.
    """
    text = _read(sql_file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            fresh = Path(folder) / target.name
            _run(text, sql_file, fresh)
            fresh.replace(target)
    except OSError as error:
        raise DataError(f"{target.parent}: cannot be written ({error.strerror}); choose another folder") from error


def _read(sql_file: Path) -> str:
    try:
        return sql_file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{sql_file}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
    except OSError as error:
        raise DataError(f"{sql_file}: cannot be read ({error.strerror})") from error


def _run(text: str, sql_file: Path, database: Path) -> None:
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = OFF")
            connection.executescript(text)
            if connection.in_transaction:
                connection.execute("COMMIT")
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchone():
                raise DataError(f"{sql_file}: makes no table; it needs CREATE TABLE and INSERT statements")
            if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
                table, row, parent, _ = broken
                where = f"row {row} of table {table} points to no row of {parent}"
                raise DataError(f"{sql_file}: broken foreign key ({where}); correct the INSERT statements")
    except (sqlite3.Error, ValueError) as error:
        raise DataError(f"{sql_file}: does not run in SQLite ({_one_line(error)}); correct the SQL") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
