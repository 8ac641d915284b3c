"""Runs the SQL text of a whole database in memory. Lives inside a worker process that can be killed.

The text may build its own database and nothing else: no other file is opened, no extension loaded.
"""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing

from sqljudge.sql.sandbox.engine import ACTIONS, CLOCK_UNIT, READING_PRAGMAS, REFUSED_FUNCTIONS, STEP_UNIT, Limits
from sqljudge.sql.sandbox.files import damage_in

CONTENT_PRAGMAS = READING_PRAGMAS | {
    *("encoding", "page_size", "auto_vacuum", "user_version", "application_id", "writable_schema"),
    *("legacy_alter_table", "ignore_check_constraints", "recursive_triggers", "case_sensitive_like"),
    *("foreign_key_check", "integrity_check", "quick_check"),
}
"""PRAGMAs that say what a database holds, or ask."""

IGNORED_PRAGMAS = frozenset(
    {
        *("foreign_keys", "defer_foreign_keys", "journal_mode", "journal_size_limit", "synchronous", "locking_mode"),
        *("temp_store", "cache_size", "cache_spill", "mmap_size", "threads", "busy_timeout", "secure_delete"),
        *("wal_checkpoint", "wal_autocheckpoint", "optimize", "automatic_index", "incremental_vacuum"),
        *("fullfsync", "checkpoint_fullfsync", "count_changes", "read_uncommitted", "shrink_memory"),
        *("legacy_file_format", "default_cache_size", "trusted_schema", "analysis_limit"),
    }
)
"""PRAGMAs that say how a connection writes. A database file may hold broken foreign keys, and so may its dump."""


class NotBuilt(Exception):  # noqa: N818
    """The text builds no database. `fault`: `sql`, `refused`, `limit`, `empty` or `damaged`."""

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(fault, " ".join(message.split()))


def build(text: str, limits: Limits) -> tuple[bytes, str]:
    """The bytes of the database that `text` makes, and the first foreign key in it that is broken ("" if none is).

    Of the limits, `steps` is for each statement, `seconds` and `memory_bytes` are for all of them. Raises NotBuilt.
    """
    stopped: list[tuple[str, str]] = []
    calls, deadline = 0, time.monotonic() + limits.seconds

    def overdue() -> bool:
        if time.monotonic() > deadline:
            stopped.append(("limit", f"stopped after {limits.seconds:g} seconds"))
        return bool(stopped)

    def authorize(action: int, first: str | None, second: str | None, _db: str | None, _by: str | None) -> int:
        """Called while a statement is prepared."""
        nonlocal calls
        calls = 0
        if overdue():
            return sqlite3.SQLITE_DENY
        name = (first or "").lower()
        what = ""
        if action == sqlite3.SQLITE_PRAGMA:
            if name in IGNORED_PRAGMAS:
                return sqlite3.SQLITE_IGNORE
            what = "" if name in CONTENT_PRAGMAS or second is None else f"PRAGMA {first}"
        elif action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in REFUSED_FUNCTIONS:
            what = f"function {second}"
        elif action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) and first != "":  # "": VACUUM, in memory
            what = " ".join([ACTIONS[action], first or "of an expression"])
        if what:
            stopped.append(("refused", what))
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def progress() -> bool:
        nonlocal calls
        calls += 1
        if calls * STEP_UNIT > limits.steps:
            stopped.append(("limit", f"one statement stopped after {limits.steps:,} steps"))
        return bool(stopped) or (calls % CLOCK_UNIT == 0 and overdue())

    try:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute("PRAGMA foreign_keys = OFF")
            db.execute(f"PRAGMA hard_heap_limit = {limits.memory_bytes}")
            db.create_function("unistr", 1, _unistr, deterministic=True)
            db.set_authorizer(authorize)
            db.set_progress_handler(progress, STEP_UNIT)
            db.executescript(text)
            db.set_authorizer(None)
            db.set_progress_handler(None, 0)
            return _whole(db)
    except MemoryError as error:
        raise NotBuilt("limit", f"needs more than {limits.memory_bytes >> 20:,} MiB of memory") from error
    except (sqlite3.Error, ValueError) as error:
        raise NotBuilt(*(stopped[0] if stopped else ("sql", str(error)))) from error


_ESCAPE = re.compile(r"\\(?:(\\)|u?([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6})|U([0-9a-fA-F]{8}))")


def _unistr(text: str | None) -> str | None:
    """SQLite's function of that name, which dumps of version 3.50 and later call and older versions lack."""
    if text is None:
        return None
    return _ESCAPE.sub(lambda found: found[1] or chr(int(found[2] or found[3] or found[4], 16)), text)


def _whole(db: sqlite3.Connection) -> tuple[bytes, str]:
    """The bytes of an open database and its broken key, once nothing is left open."""
    if db.in_transaction:
        db.execute("COMMIT")
    db.execute("PRAGMA writable_schema = RESET")  # the schema is read anew, as whoever opens the file will read it
    if not db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchone():
        raise NotBuilt("empty", "makes no table")
    if damage := damage_in(db):
        raise NotBuilt("damaged", damage)
    return db.serialize(), _broken_key(db)


def _broken_key(db: sqlite3.Connection) -> str:
    try:
        broken = db.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:  # a key that names no key of its parent
        return str(error)
    return f"row {broken[1]} of table {broken[0]} points to no row of {broken[2]}" if broken else ""
