"""Databases built from SQL text, and which of them hold rows."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT
from sqljudge.core.errors import DataError
from sqljudge.sql import databases
from sqljudge.sql.databases import build_database, database_path, databases_with_rows
from sqljudge.sql.sandbox import Limits, Sandbox

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


ENDLESS = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
HOSTILE = [
    ("ATTACH '{other}' AS o; DROP TABLE o.kept", "ATTACH {other}"),
    ("ATTACH '{folder}/new.sqlite' AS o; CREATE TABLE o.t (a)", "ATTACH {folder}/new.sqlite"),
    ("ATTACH 'file:{other}?mode=rw' AS o; DELETE FROM o.kept", "ATTACH file:{other}?mode=rw"),
    ("ATTACH '{folder}/' || 'other.sqlite' AS o; DROP TABLE o.kept", "ATTACH of an expression"),
    ("VACUUM INTO '{folder}/copy.sqlite'", "ATTACH {folder}/copy.sqlite"),
    ("VACUUM main INTO '{folder}/' || 'copy.sqlite'", "ATTACH {folder}/copy.sqlite"),
    ("DETACH main", "DETACH main"),
    ("SELECT load_extension('{folder}/evil.so')", "function load_extension"),
    ("INSERT INTO t SELECT 5, load_extension('{folder}/evil', 'init')", "function load_extension"),
    ("SELECT fts3_tokenizer('simple')", "function fts3_tokenizer"),
    ("SELECT writefile('{folder}/new', 'x')", "no such function: writefile"),
    ("INSERT INTO t SELECT 5, readfile('{other}')", "no such function: readfile"),
    ("SELECT edit('x', 'touch {folder}/new')", "no such function: edit"),
    ("PRAGMA temp_store_directory = '{folder}'", "PRAGMA temp_store_directory"),
    ("PRAGMA data_store_directory = '{folder}'", "PRAGMA data_store_directory"),
    ("PRAGMA hard_heap_limit = 0", "PRAGMA hard_heap_limit"),
    ("PRAGMA max_page_count = 1", "PRAGMA max_page_count"),
    ("PRAGMA schema_version = 9", "PRAGMA schema_version"),
    ("PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 99", "malformed database schema"),
    (
        "CREATE TABLE u (a); PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 2",
        "makes a damaged database",
    ),
    ("PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE TABLE'", "malformed database schema"),
    ("CREATE VIRTUAL TABLE v USING csv(filename='{other}')", "no such module: csv"),
    (".shell touch {folder}/new", "it looks like SQL for SQLite's shell: convert it to SQLite's"),
    (f"{ENDLESS} SELECT count(*) FROM c", "one statement stopped after 5,000,000 steps"),
    (f"{ENDLESS} SELECT sum(length(replace(hex(zeroblob(200000)), '0', x))) FROM c", "stopped after 1 seconds"),
    (f"INSERT INTO t (name) {ENDLESS} SELECT zeroblob(90000) FROM c", "needs more than 48 MiB of memory"),
    ("INSERT INTO t VALUES (5, zeroblob(900000000))", "needs more than 48 MiB of memory"),
    (
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO t (name) VALUES (1); END; PRAGMA recursive_triggers = 1; "
        "INSERT INTO t (name) VALUES (1)",
        "too many levels of trigger recursion",
    ),
    ("SELECT instr(printf('%.*c', 9999000, 'a'), printf('%.*c', 4999000, 'a') || 'b')", "inside one operation"),
]


@pytest.mark.parametrize(("sql", "message"), HOSTILE, ids=[sql[:40] for sql, _ in HOSTILE])
def test_what_builds_a_database_builds_that_database_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str, message: str
) -> None:
    monkeypatch.setattr(databases, "BUILD_LIMITS", Limits(steps=5_000_000, seconds=1, memory_bytes=48 * 1024 * 1024))
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript("CREATE TABLE kept (a); INSERT INTO kept VALUES (1)")
    names = {"{folder}": str(tmp_path), "{other}": str(other)}
    for name, path in names.items():
        sql, message = sql.replace(name, path), message.replace(name, path)
    source = write(tmp_path, f"{GOOD}{sql};\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DataError) as caught:
        build_database(source, tmp_path / "t.sqlite")
    assert str(caught.value).startswith(f"{source}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "before",
    [
        "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = 7;",
        "PRAGMA temp_store = FILE; PRAGMA locking_mode = EXCLUSIVE; PRAGMA foreign_keys; PRAGMA table_list;",
        "PRAGMA encoding = 'UTF-16'; PRAGMA page_size = 8192; PRAGMA auto_vacuum = FULL; VACUUM;",
    ],
)
def test_what_says_how_to_write_is_passed_over_and_what_says_what_is_done(tmp_path: Path, before: str) -> None:
    target = tmp_path / "t.sqlite"
    build_database(write(tmp_path, f"{before}{GOOD} PRAGMA user_version = 7; VACUUM;"), target)
    assert rows(target) == [(1, "Čapek"), (2, "O'Connor")]
    assert list(tmp_path.glob("t.sqlite*")) == [target]
    with closing(sqlite3.connect(target)) as connection:
        settings = ("user_version", "journal_mode", "page_size", "encoding")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
    assert found == [7, "delete", *((8192, "UTF-16le") if "8192" in before else (4096, "UTF-8"))]


BROKEN = {
    "no such row": (
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); INSERT INTO c VALUES (7);",
        "row 1 of table c points to no row of p",
    ),
    "no such table": (
        "CREATE TABLE c (p REFERENCES absent (id)); INSERT INTO c VALUES (7);",
        "row 1 of table c points to no row of absent",
    ),
    "no key": (
        "CREATE TABLE p (id); CREATE TABLE c (p REFERENCES p (id)); INSERT INTO c VALUES (7);",
        'foreign key mismatch - "c" referencing "p"',
    ),
    "enforced": (
        "PRAGMA foreign_keys = ON; CREATE TABLE p (id INTEGER PRIMARY KEY); "
        "CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (7);",
        "row 1 of table c points to no row of p",
    ),
    "children first": (
        "PRAGMA foreign_keys = ON; CREATE TABLE c (p REFERENCES p (id)); INSERT INTO c VALUES (7); "
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (7);",
        "",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_foreign_key_is_kept_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str) -> None:
    text, message = BROKEN[what]
    target = tmp_path / "t.sqlite"
    build_database(write(tmp_path, text), target)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT p FROM c").fetchall() == [(7,)]
    source = tmp_path / "some.sql"
    assert caplog.messages == ([f"{source}: broken foreign key, kept as it is ({message})"] if message else [])


FOREIGN = {
    "MySQL": "CREATE TABLE `u` (`id` int NOT NULL AUTO_INCREMENT, PRIMARY KEY (`id`)) ENGINE=InnoDB;",
    "MySQL, a script": "LOCK TABLES `t` WRITE;",
    "MySQL, the head of a dump": "CREATE DATABASE shop;",
    "PostgreSQL": "SET client_encoding = 'UTF8';",
    "PostgreSQL, its rows": "COPY public.t (id, name) FROM stdin;",
    "SQL Server": "CREATE TABLE [dbo].[u] ([id] int IDENTITY(1,1));\nGO\n",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_the_dump_of_another_program_is_called_so(tmp_path: Path, what: str) -> None:
    with pytest.raises(DataError) as caught:
        build_database(write(tmp_path, GOOD + FOREIGN[what]), tmp_path / "t.sqlite")
    text = str(caught.value)
    assert "some.sql: does not run in SQLite (" in text
    assert text.endswith(f"; correct the SQL (it looks like SQL for {what.split(',')[0]}: convert it to SQLite's)")


def everything(database: Path) -> dict[str, object]:
    """The statements of a schema, and the rows of every table."""
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?immutable=1", uri=True)) as connection:
        connection.text_factory = bytes
        schema = connection.execute("SELECT name, sql, type FROM sqlite_master ORDER BY type, name").fetchall()
        tables = [name.decode() for name, _, kind in schema if kind == b"table"]
        rows = {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in tables}
    return {"schema": [sql for _, sql, _ in schema], **rows}


def dumped(database: Path, by: str) -> str:
    if by == "shell":
        if not (shell := shutil.which("sqlite3")):
            pytest.skip("no sqlite3 program on this machine")
        command = [shell, f"{database.resolve().as_uri()}?immutable=1", ".dump"]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?immutable=1", uri=True)) as connection:
        return "\n".join(connection.iterdump())


each_dump = pytest.mark.parametrize("by", ["shell", "python"])


@each_dump
def test_dumps_of_spiders_databases(tmp_path: Path, by: str) -> None:
    shared = ROOT.parent / "shared" / "spider" / "database"
    if not shared.exists():
        pytest.skip("no shared folder with Spider's databases beside the project")
    names = sorted(folder.name for folder in shared.iterdir())
    assert {"car_1", "flight_2", "voter_1"} <= set(names)
    for name in names:
        target = tmp_path / f"{name}.sqlite"
        build_database(write(tmp_path, dumped(database_path(shared, name), by)), target)
        assert everything(target) == everything(database_path(shared, name)), name


@each_dump
def test_dumps_of_what_real_databases_hold(tmp_path: Path, by: str) -> None:
    original = tmp_path / "original.sqlite"
    with closing(sqlite3.connect(original)) as connection:
        connection.executescript("""
            CREATE TABLE child (id INTEGER PRIMARY KEY AUTOINCREMENT, p REFERENCES parent (id), name TEXT);
            INSERT INTO child (p, name) VALUES (1, 'it''s' || char(10) || 'ü'), (99, NULL), (1, x'00ff');
            DELETE FROM child WHERE id = 3;
            CREATE TABLE parent (id INTEGER PRIMARY KEY, born DEFAULT CURRENT_TIMESTAMP, half REAL);
            INSERT INTO parent VALUES (1, '2020', 1e999), (2, NULL, 0.1);
            CREATE TABLE pair (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
            INSERT INTO pair VALUES (1, 2);
            CREATE INDEX by_name ON child (lower(name)) WHERE name > '';
            CREATE VIEW older AS SELECT * FROM parent WHERE born < date('now');
            CREATE TRIGGER more AFTER INSERT ON child BEGIN UPDATE parent SET half = half + 1; END;
            CREATE VIRTUAL TABLE words USING fts4(body);
            INSERT INTO words VALUES ('hello world');
            ANALYZE;
        """)
    if by == "python":  # what it writes of these two is no SQL that runs
        with closing(sqlite3.connect(original)) as connection:
            connection.executescript("DROP TABLE words; UPDATE parent SET half = 7; ANALYZE; VACUUM")
    target = tmp_path / "t.sqlite"
    build_database(write(tmp_path, dumped(original, by)), target)
    assert everything(target) == everything(original)
    with Sandbox() as sandbox:
        counter, words = sandbox.run(
            [(target, "SELECT seq FROM sqlite_sequence"), (target, "SELECT body FROM words WHERE words MATCH 'hello'")]
        )
    assert counter.rows == ((3,),)
    assert words.rows == ((("hello world",),) if by == "shell" else ())


def test_a_dump_of_a_newer_sqlite_is_built_by_an_older_one(tmp_path: Path) -> None:
    values = r"(1, unistr('a\u000ab\\c \010Cap\+01f600\U0001F600')), (2, unistr(NULL))"
    build_database(write(tmp_path, f"{GOOD}DELETE FROM t; INSERT INTO t VALUES {values};"), tmp_path / "t.sqlite")
    assert rows(tmp_path / "t.sqlite") == [(1, "a\nb\\c \u010cap\U0001f600\U0001f600"), (2, None)]


def test_a_dump_with_a_table_of_an_unknown_module_is_built(tmp_path: Path) -> None:
    """As SQLite's shell writes it."""
    text = (
        "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nPRAGMA writable_schema=ON;\n"
        "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)"
        "VALUES('table','idx','idx',0,'CREATE VIRTUAL TABLE idx USING VirtualSpatialIndex()');\n"
        f"{GOOD}PRAGMA writable_schema=OFF;\nCOMMIT;\n"
    )
    build_database(write(tmp_path, text), tmp_path / "t.sqlite")
    assert rows(tmp_path / "t.sqlite") == [(1, "Čapek"), (2, "O'Connor")]


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
