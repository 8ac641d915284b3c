"""Databases with logs beside them: every committed row is read, no other, and the originals keep their bytes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqljudge.core.errors import DataError
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.sql.sandbox import MatchJob, Sandbox
from sqljudge.sql.sandbox.files import logs_of, settle, whole_copy

COMMITTED = [(1,), (2,), (3,)]


def write_ahead(folder: Path) -> Path:
    """Two of the rows are in the log alone."""
    live = folder / "live" / "t.sqlite"
    live.parent.mkdir(parents=True)
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        db.execute("PRAGMA wal_checkpoint")
        db.execute("INSERT INTO t VALUES (2), (3)")
        return taken(live, folder)


def rolling_back(folder: Path) -> Path:
    """A writer died with some of its transaction in the file: the journal undoes it."""
    live = folder / "live" / "t.sqlite"
    live.parent.mkdir(parents=True)
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3); CREATE TABLE u (b)")
        db.execute("PRAGMA cache_size = 5")
        db.execute("BEGIN")
        db.execute("UPDATE t SET a = a + 10")
        db.execute(
            "INSERT INTO u WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
            "SELECT zeroblob(3000) FROM n"
        )
        return taken(live, folder)


def taken(live: Path, folder: Path) -> Path:
    """The files as they are while a writer is at work; not the shared memory, which means nothing to others."""
    target = folder / "taken" / live.name
    target.parent.mkdir()
    for file in live.parent.iterdir():
        if not file.name.endswith("-shm"):
            shutil.copy(file, target.with_name(file.name))
    return target


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def beside(folder: Path, database: Path) -> Path:
    return database


def link_to_the_file(folder: Path, database: Path) -> Path:
    (folder / "dataset").mkdir()
    link = folder / "dataset" / "other.sqlite"
    link.symlink_to(database)
    return link


def links_to_links(folder: Path, database: Path) -> Path:
    first = link_to_the_file(folder, database)
    link = folder / "dataset" / "last.sqlite"
    link.symlink_to(first.name)
    return link


def links_to_nameless_files(folder: Path, database: Path) -> Path:
    """As a store by content lays files: the log lies beside the link."""
    store, data = folder / "store", folder / "dataset"
    store.mkdir()
    data.mkdir()
    for number, file in enumerate(sorted(database.parent.iterdir())):
        file.rename(store / str(number))
        (data / file.name).symlink_to(f"../store/{number}")
    return data / database.name


def link_to_the_folder(folder: Path, database: Path) -> Path:
    (folder / "dataset").symlink_to(database.parent)
    return folder / "dataset" / database.name


MADE = [write_ahead, rolling_back]
PLACES = [beside, link_to_the_file, links_to_links, links_to_nameless_files, link_to_the_folder]
each_log = pytest.mark.parametrize("make", MADE)
each_place = pytest.mark.parametrize("place", PLACES)


@each_log
def test_the_file_alone_does_not_hold_what_was_committed(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with closing(sqlite3.connect(f"{make(tmp_path).as_uri()}?immutable=1", uri=True)) as db:
        assert db.execute("SELECT a FROM t ORDER BY a").fetchall() != COMMITTED


@each_log
@each_place
def test_queries_see_what_was_committed(
    tmp_path: Path, make: Callable[[Path], Path], place: Callable[[Path, Path], Path]
) -> None:
    path = place(tmp_path, make(tmp_path))
    before = state(tmp_path)
    with Sandbox() as sandbox:
        (result,) = sandbox.run([(path, "SELECT a FROM t ORDER BY a")])
        (match,) = sandbox.match([MatchJob((path,), "SELECT count(*) FROM t", "SELECT 3", comparison=TEST_SUITE)])
        with pytest.raises(DataError, match="no such table") as caught:
            sandbox.match([MatchJob((path,), "SELECT x FROM absent", "SELECT 3")])
    assert list(result.rows) == COMMITTED
    assert match.correct
    assert str(path) in str(caught.value), "the user knows nothing of the copy"
    assert state(tmp_path) == before


@each_log
@each_place
def test_a_whole_copy_is_one_file(
    tmp_path: Path, make: Callable[[Path], Path], place: Callable[[Path, Path], Path]
) -> None:
    path = place(tmp_path, make(tmp_path))
    before = state(tmp_path)
    target = tmp_path / "made" / "t.sqlite"
    target.parent.mkdir()
    whole_copy(path, target)
    assert list(target.parent.iterdir()) == [target]
    with closing(sqlite3.connect(f"{target.as_uri()}?immutable=1", uri=True)) as db:
        assert db.execute("SELECT a FROM t ORDER BY a").fetchall() == COMMITTED
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    target.unlink()
    target.parent.rmdir()
    assert state(tmp_path) == before


def test_rows_that_a_log_gains_are_seen_by_the_next_query(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db, Sandbox() as sandbox:
        db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
        for number in range(1, 4):
            db.execute("INSERT INTO t VALUES (?)", [number])
            assert sandbox.run([(path, "SELECT count(*) FROM t")])[0].rows == ((number,),)


def test_a_database_without_logs_keeps_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    before = path.read_bytes()
    settle(path)
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    assert path.read_bytes()[18:20] == b"\2\2", "a reader would have to make files beside it"
    settle(path)
    assert path.read_bytes()[18:20] == b"\1\1"


def test_empty_logs_are_none(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    for ending in ("", "-wal", "-journal"):
        path.with_name(path.name + ending).touch()
    assert logs_of(path) == {}
    path.write_bytes(b"no database")
    settle(path)
    assert [file.name for file in tmp_path.iterdir()] == ["t.sqlite"]
    assert path.read_bytes() == b"no database", "without a log it is as it was"


def test_a_log_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = write_ahead(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    path.with_name("t.sqlite-wal").write_bytes(b"nonsense" * 1000)
    before = state(tmp_path)
    with Sandbox() as sandbox, pytest.raises(DataError) as caught:
        sandbox.run([(path, "SELECT a FROM t")])
    assert str(caught.value).startswith(f"{path}: makes no sound database with the logs beside it (")
    assert str(caught.value).endswith("; fetch it again")
    assert state(tmp_path) == before


def test_a_journal_that_names_another_file_does_not_reach_it(tmp_path: Path) -> None:
    """SQLite would take the file for the list of a transaction's journals, find none of them, and delete it."""
    path = rolling_back(tmp_path)
    journal, other = path.with_name("t.sqlite-journal"), tmp_path / "thesis.txt"
    other.write_bytes(b"no journal\0")
    name = str(other).encode()
    content = journal.read_bytes()
    tail = b"".join(number.to_bytes(4, "big") for number in (len(name), sum(name)))
    journal.write_bytes(content + (2**30 // 4096 + 1).to_bytes(4, "big") + name + tail + content[:8])
    before = state(tmp_path)
    with Sandbox() as sandbox, pytest.raises(DataError, match="its journal is of a transaction over several databases"):
        sandbox.run([(path, "SELECT a FROM t")])
    with pytest.raises(DataError, match="its journal is of a transaction over several databases"):
        whole_copy(path, tmp_path / "copy.sqlite")
    assert {name: bytes_ for name, bytes_ in state(tmp_path).items() if "copy" not in name} == before


def test_two_logs_of_a_kind_are_named(tmp_path: Path) -> None:
    path = write_ahead(tmp_path)
    link = link_to_the_file(tmp_path, path)
    other = link.with_name(f"{link.name}-wal")
    other.write_bytes(b"another")
    with Sandbox() as sandbox, pytest.raises(DataError, match=r"has two logs, .*; remove the one") as caught:
        sandbox.run([(link, "SELECT a FROM t")])
    assert str(other) in str(caught.value)
    assert f"{path}-wal" in str(caught.value)
