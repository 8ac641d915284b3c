"""Databases built from SQL text, and which of them hold rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqljudge.core.errors import DataError
from sqljudge.sql.databases import build_database, databases_with_rows
from sqljudge.sql.sandbox import Sandbox

GOOD = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO t VALUES (1, 'Čapek'), (2, 'O''Connor');\n"


def rows(database: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT id, name FROM t ORDER BY id").fetchall()


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "some.sql"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD, id="plain"),
        pytest.param(f"BEGIN TRANSACTION;\n{GOOD}COMMIT;\n", id="as SQLite dumps it"),
        pytest.param(f"BEGIN;\n{GOOD}", id="transaction left open"),
        pytest.param(GOOD.rstrip().removesuffix(";"), id="no last semicolon"),
        pytest.param("\ufeff" + GOOD, id="byte order mark"),
    ],
)
def test_builds_what_the_text_says(tmp_path: Path, text: str) -> None:
    target = tmp_path / "made" / "t.sqlite"
    build_database(write(tmp_path, text), target)
    assert rows(target) == [(1, "Čapek"), (2, "O'Connor")]
    assert list(target.parent.iterdir()) == [target]


def test_the_same_text_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write(tmp_path, GOOD)
    for name in ("one.sqlite", "two.sqlite"):
        build_database(source, tmp_path / name)
    assert (tmp_path / "one.sqlite").read_bytes() == (tmp_path / "two.sqlite").read_bytes()


def test_building_again_replaces_the_old_database(tmp_path: Path) -> None:
    target = tmp_path / "t.sqlite"
    build_database(write(tmp_path, GOOD), target)
    build_database(write(tmp_path, GOOD.replace("Čapek", "Lem")), target)
    assert rows(target) == [(1, "Lem"), (2, "O'Connor")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("CREATE TABLE t (id INTEGER", "incomplete input", id="cut short"),
        pytest.param(GOOD + "INSERT INTO absent VALUES (1);", "no such table: absent", id="unknown table"),
        pytest.param(
            "CREATE TABLE t (name TEXT);\n-- caf\xe9".encode("latin-1"), "not UTF-8 text (byte 34)", id="latin-1"
        ),
        pytest.param("CREATE TABLE t (id);\0", "null character", id="NUL"),
        pytest.param("-- nothing\n", "makes no table", id="empty"),
        pytest.param(
            GOOD + "CREATE TABLE u (t_id INTEGER REFERENCES t (id));\nINSERT INTO u VALUES (1), (7);",
            "broken foreign key (row 2 of table u points to no row of t)",
            id="broken foreign key",
        ),
    ],
)
def test_bad_text_is_one_clear_line_and_leaves_the_old_database(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    target = tmp_path / "made" / "t.sqlite"
    build_database(write(tmp_path, GOOD), target)
    before = target.read_bytes()
    source = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        build_database(source, target)
    assert str(caught.value).startswith(f"{source}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.sql: cannot be read"):
        build_database(tmp_path / "absent.sql", tmp_path / "t.sqlite")


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="file: cannot be written"):
        build_database(write(tmp_path, GOOD), tmp_path / "file" / "t.sqlite")


def test_a_database_holds_rows_where_one_of_its_files_does(tmp_path: Path) -> None:
    for name, text in (("none", "CREATE TABLE t (id);"), ("some", GOOD)):
        build_database(write(tmp_path, text), tmp_path / f"{name}.sqlite")
    none, some = tmp_path / "none.sqlite", tmp_path / "some.sqlite"
    with Sandbox() as sandbox:
        assert databases_with_rows(sandbox, {"a": (none, none), "b": (none, some), "c": (some,)}) == {"b", "c"}


def test_a_database_without_a_table_is_no_whole_database(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").touch()
    with Sandbox() as sandbox, pytest.raises(DataError, match=r"x\.sqlite: holds no table, .*; fetch it again"):
        databases_with_rows(sandbox, {"x": (tmp_path / "x.sqlite",)})
