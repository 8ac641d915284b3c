"""A SQLite database's file and the logs that a writer has left beside it: one whole file out of them, if it is sound.

What was committed may lie in a write-ahead log (`-wal`), and what was not committed in the file, with its rollback
journal (`-journal`) to undo it. SQLite itself brings the two together, always in a copy: a user's files keep their
bytes.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from sqljudge.core.errors import DataError

LOGS = ("-wal", "-journal")
DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
"""Primary result codes by which SQLite says that a file, not a statement, is at fault."""

JOURNAL_MARK = bytes.fromhex("d9d505f920a163d7")
"""A rollback journal that ends so names a file of a transaction over several databases (section 3.1)."""

WAL_MODE = b"\x02\x02"
"""Bytes 18 and 19 of a database in WAL mode (SQLite's file format, section 1.3.3)."""


def logs_of(database: Path) -> dict[str, Path]:
    """The logs of a database that are not empty, by their endings (of LOGS): beside it, or beside what it links to.

    Raises DataError, naming both, if there are two of a kind.
    """
    places = [database]
    while places[-1].is_symlink():
        places.append(places[-1].parent / places[-1].readlink())
    logs: dict[str, Path] = {}
    for place in dict.fromkeys([*places, database.resolve()]):
        for ending in LOGS:
            log = place.with_name(place.name + ending)
            if not log.is_file() or not log.stat().st_size:
                continue
            known = logs.setdefault(ending, log)
            if not known.samefile(log):
                raise DataError(f"{database}: has two logs, {known} and {log}; remove the one that is not its own")
    return logs


def whole_copy(database: Path, target: Path) -> None:
    """Copy a database with what its logs hold into one file; see `settle`. The originals are only read.

    Raises DataError, naming `database`, if it or its logs cannot be copied, are at odds, or change meanwhile.
    """
    logs = logs_of(database)
    files = {"": database, **logs}
    try:
        before = {ending: _version(file) for ending, file in files.items()}
        for ending, file in files.items():
            shutil.copyfile(file, f"{target}{ending}")
        after = {ending: _version(file) for ending, file in {"": database, **logs_of(database)}.items()}
    except OSError as error:
        raise DataError(f"{database}: cannot be copied ({error.strerror}: {error.filename})") from error
    if before != after:
        raise DataError(f"{database}: was changed while it was read; let its writer end, and run again")
    try:
        settle(target)
    except DataError as error:
        raise DataError(str(error).replace(str(target), str(database))) from error


def settle(database: Path) -> None:
    """Bring what lies in a database's logs into its file, as SQLite's next writer would, and remove them.

    The file then holds every committed row and is in journal mode `delete`. One that has no logs and is in that mode
    keeps its bytes. Raises DataError if file and logs do not make a sound database, or if the journal is of several
    databases: SQLite would delete the file that it names, which lies elsewhere.
    """
    logs = logs_of(database)
    with database.open("rb") as file:
        in_wal_mode = file.read(20)[18:] == WAL_MODE
    damage = _settled(database, logs) if logs or in_wal_mode else ""
    for ending in (*LOGS, "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
    if damage:
        raise DataError(f"{database}: makes no sound database with the logs beside it ({damage}); fetch it again")


def _settled(database: Path, logs: Mapping[str, Path]) -> str:
    """Let SQLite do it; what is wrong with the outcome, or ""."""
    if "-journal" in logs and _end(logs["-journal"], len(JOURNAL_MARK)) == JOURNAL_MARK:
        what = f"{database}: its journal is of a transaction over several databases"
        raise DataError(f"{what}; open it with SQLite where it was written, which ends that transaction")
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            db.execute("PRAGMA schema_version").fetchone()  # reads the file, and so undoes or takes up what is open
            (mode,) = db.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return damage_of(str(database)) if mode == "delete" else f"journal mode {mode}"


def damage_of(path: str) -> str:
    """What is wrong with a database file, or "" if it is sound, as far as this SQLite can tell.

    A table that needs a module, function or collation that it lacks is no damage.
    """
    try:
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return damage_in(db)
    except sqlite3.Error as error:
        return f"cannot be opened ({error})"


def damage_in(db: sqlite3.Connection) -> str:
    """As `damage_of`, of an open database."""
    try:
        db.execute("PRAGMA ignore_check_constraints = ON")  # what a row should hold is not how it is stored
        if (damage := _quick_check(db, "1")) is not None:
            return damage
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0").fetchall()
        return next(filter(None, (_quick_check(db, "'" + name.replace("'", "''") + "'") for (name,) in tables)), "")
    except sqlite3.Error as error:
        return str(error)


def _quick_check(db: sqlite3.Connection, what: str) -> str | None:
    """The first fault in the whole file ("1") or a table, "" if there is none; None if this SQLite lacks something."""
    try:
        (found,) = db.execute(f"PRAGMA quick_check({what})").fetchone()
    except sqlite3.Error as error:
        return str(error) if (error.sqlite_errorcode & 0xFF) in DAMAGE_CODES else None
    return "" if found == "ok" else " ".join(str(found).split())


def _end(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - size))
        return opened.read()


def _version(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size
