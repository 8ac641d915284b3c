"""What a schema may hold beside ordinary tables: virtual tables, views that call functions, and what SQLite lacks."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqljudge.sql.databases import databases_with_rows, read_schema
from sqljudge.sql.sandbox import Sandbox
from sqljudge.sql.sandbox.files import damage_of

VIRTUAL = """
CREATE TABLE doc (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
INSERT INTO doc VALUES (1, 'one', 'hello world'), (2, 'two', 'goodbye moon');
CREATE VIRTUAL TABLE five USING fts5(title, body);
INSERT INTO five SELECT title, body FROM doc;
CREATE VIRTUAL TABLE outside USING fts5(title, body, content=doc, content_rowid=id);
INSERT INTO outside (outside) VALUES ('rebuild');
CREATE VIRTUAL TABLE index_only USING fts5(body, content='');
INSERT INTO index_only (rowid, body) VALUES (7, 'hello');
CREATE VIRTUAL TABLE terms USING fts5vocab(five, row);
CREATE VIRTUAL TABLE four USING fts4(title, body);
INSERT INTO four SELECT title, body FROM doc;
CREATE VIRTUAL TABLE four_outside USING fts4(title, body, content=doc);
INSERT INTO four_outside (four_outside) VALUES ('rebuild');
CREATE VIRTUAL TABLE four_terms USING fts4aux(four);
CREATE VIRTUAL TABLE three USING fts3(title, body);
INSERT INTO three SELECT title, body FROM doc;
CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, +name);
INSERT INTO box VALUES (1, 0, 2, 'a'), (2, 5, 6, 'b');
CREATE VIRTUAL TABLE "odd ""box"" here" USING rtree_i32(id, x0, x1);
INSERT INTO "odd ""box"" here" VALUES (3, 0, 2);
CREATE VIEW hits AS SELECT snippet(five, 1, '[', ']', '..', 5) AS s FROM five WHERE five MATCH 'hello';
CREATE VIEW chance AS SELECT random() AS r, hex(randomblob(4)) AS b FROM doc;
CREATE VIEW times AS SELECT date('now') AS d, CURRENT_TIMESTAMP AS t, strftime('%s', 'now') AS s;
CREATE VIEW counters AS SELECT changes() AS c, total_changes() AS t, last_insert_rowid() AS i;
CREATE VIEW columns AS SELECT name FROM pragma_table_info('doc');
CREATE VIEW parts AS SELECT json_extract(value, '$.a') AS a FROM json_each('[{"a": 1}, {"a": 2}]');
CREATE VIEW nested AS SELECT count(DISTINCT r) AS n FROM chance;
CREATE TABLE made (a INTEGER CHECK (a < abs(random()) + 9), b DEFAULT (random()), c AS (a + length(date(a))));
INSERT INTO made (a) VALUES (1);
CREATE INDEX made_on ON made (length(date(a))) WHERE abs(a) > 0;
CREATE TRIGGER made_by AFTER INSERT ON made BEGIN SELECT random(); END;
CREATE VIEW library AS SELECT load_extension('evil');
CREATE VIEW tokenizer AS SELECT fts3_tokenizer('simple');
CREATE VIEW file AS SELECT writefile('evil', 'x');
CREATE VIEW merged AS SELECT optimize(four) FROM four;
CREATE VIEW journal AS SELECT * FROM pragma_journal_mode;
CREATE VIEW places AS SELECT * FROM pragma_database_list;
"""

READ = [
    ("SELECT title FROM five", [("one",), ("two",)]),
    ("SELECT title FROM five WHERE five MATCH 'moon OR nothing'", [("two",)]),
    ("SELECT highlight(five, 1, '<', '>') FROM five WHERE five MATCH 'hello' ORDER BY rank", [("<hello> world",)]),
    ("SELECT title FROM five('hello') ORDER BY bm25(five)", [("one",)]),
    ("SELECT rowid, body FROM outside WHERE outside MATCH 'moon'", [(2, "goodbye moon")]),
    ("SELECT d.title FROM doc AS d JOIN outside AS o ON d.id = o.rowid WHERE outside MATCH 'hello'", [("one",)]),
    ("SELECT rowid FROM index_only WHERE index_only MATCH 'hello'", [(7,)]),
    ("SELECT term, doc FROM terms WHERE term > 'n' ORDER BY term", [("one", 1), ("two", 1), ("world", 1)]),
    ("SELECT title FROM four WHERE body MATCH 'moon'", [("two",)]),
    ("SELECT snippet(four), offsets(four) FROM four WHERE four MATCH 'moon'", [("goodbye <b>moon</b>", "1 0 8 4")]),
    ("SELECT title FROM four_outside WHERE four_outside MATCH 'hello'", [("one",)]),
    ("SELECT sum(documents) FROM four_terms WHERE col = '*'", [(6,)]),
    ("SELECT title FROM three WHERE three MATCH 'hello'", [("one",)]),
    ("SELECT name FROM box WHERE x0 <= 1 AND x1 >= 1", [("a",)]),
    ('SELECT id FROM "odd ""box"" here" WHERE x1 = 2', [(3,)]),
    ("SELECT sum(length(block)) > 0 FROM five_data", [(1,)]),
    ("SELECT count(*) > 1 FROM dbstat WHERE name LIKE 'doc%' OR name = 'five_data'", [(1,)]),
    ("SELECT atom FROM json_tree('[[5]]') WHERE atom", [(5,)]),
    ("SELECT s FROM hits", [("[hello] world",)]),
    ("SELECT count(*) FROM chance WHERE typeof(r) = 'integer' AND length(b) = 8", [(2,)]),
    ("SELECT n FROM nested", [(2,)]),
    ("SELECT length(d), length(t), s > 0 FROM times", [(10, 19, 1)]),
    ("SELECT * FROM counters", [(0, 0, 0)]),
    ("SELECT name FROM columns", [("id",), ("title",), ("body",)]),
    ("SELECT a FROM parts", [(1,), (2,)]),
    ("SELECT a, typeof(b), c FROM made WHERE abs(a) > 0", [(1, "integer", 12)]),
]

REFUSED = [
    "INSERT INTO five (five) VALUES ('optimize')",
    "INSERT INTO outside (outside) VALUES ('rebuild')",
    "INSERT INTO five (five, rank) VALUES ('merge', 500)",
    "INSERT INTO four (four) VALUES ('integrity-check')",
    "INSERT INTO five VALUES ('a', 'b')",
    "UPDATE five SET title = 'x'",
    "DELETE FROM box",
    "UPDATE five_data SET block = x''",
    "DROP TABLE five",
    "ALTER TABLE five RENAME TO six",
    "SELECT optimize(four) FROM four",
    "SELECT fts5(1)",
    "SELECT rtreecheck('box')",
    "SELECT * FROM merged",
    "SELECT * FROM places",
    "SELECT * FROM journal",
    "SELECT * FROM pragma_journal_mode",
    "PRAGMA trusted_schema = OFF",
]
REJECTED = {
    "DELETE FROM terms": "table terms may not be modified",
    "SELECT * FROM library": "unsafe use of load_extension()",
    "SELECT * FROM tokenizer": "unsafe use of fts3_tokenizer()",
    "SELECT * FROM file": "no such function: writefile",
}
"""What SQLite itself stops."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("virtual") / "v.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VIRTUAL)
    return path


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


@pytest.mark.parametrize(("sql", "rows"), READ, ids=[sql[:50] for sql, _ in READ])
def test_reading_a_virtual_table_or_a_view_is_reading(
    sandbox: Sandbox, database: Path, sql: str, rows: list[tuple[object, ...]]
) -> None:
    (result,) = sandbox.run([(database, sql)])
    assert (result.outcome, result.message, list(result.rows)) == ("ok", "", rows)


@pytest.mark.parametrize(
    ("sql", "outcome", "message"),
    [*((sql, "refused", "not allowed: ") for sql in REFUSED), *((sql, "error", REJECTED[sql]) for sql in REJECTED)],
)
def test_nothing_is_written_through_a_virtual_table_or_a_view(
    sandbox: Sandbox, database: Path, sql: str, outcome: str, message: str
) -> None:
    before = hashlib.sha256(database.read_bytes()).digest()
    stopped, after = sandbox.run([(database, sql), (database, "SELECT count(*) FROM five")])
    assert stopped.outcome == outcome, stopped
    assert stopped.message.startswith(message)
    assert after.rows == ((2,),)
    assert hashlib.sha256(database.read_bytes()).digest() == before
    assert list(database.parent.iterdir()) == [database]


@pytest.mark.parametrize("sql", [*REFUSED, *REJECTED, "VACUUM", "VACUUM INTO 'x'", "ATTACH 'x' AS y", "ANALYZE"])
def test_what_is_stopped_changes_no_later_result(database: Path, sql: str) -> None:
    queries = [query for query, _ in READ if "now" not in query]
    with Sandbox() as sandbox:
        _, *after = sandbox.run([(database, query) for query in [sql, *queries]])
    assert [(result.outcome, list(result.rows)) for result in after] == [
        ("ok", rows) for query, rows in READ if query in queries
    ]


def test_a_view_that_calls_random_gives_the_same_in_every_run(database: Path) -> None:
    runs = []
    for _ in range(2):
        with Sandbox() as sandbox:
            runs.append(sandbox.run([(database, "SELECT r, b FROM chance"), (database, "SELECT random()")]))
    assert [result.rows for result in runs[0]] == [result.rows for result in runs[1]]
    assert len(set(runs[0][0].rows)) == 2


UNKNOWN = {
    "geographic index": "CREATE VIRTUAL TABLE x USING VirtualSpatialIndex()",
    "vectors": "CREATE VIRTUAL TABLE x USING vec0(a float[3])",
    "index of a collation": "CREATE TABLE x (a TEXT COLLATE ICU_x); CREATE INDEX i ON x (a)",
    "key of a collation": "CREATE TABLE x (a TEXT COLLATE ICU_x PRIMARY KEY)",
    "table without rowid": "CREATE TABLE x (a TEXT COLLATE ICU_x PRIMARY KEY) WITHOUT ROWID",
    "generated column": "CREATE TABLE x (a TEXT, b AS (geo(a)) VIRTUAL)",
    "stored column": "CREATE TABLE x (a TEXT, b AS (geo(a)) STORED)",
    "index of a function": "CREATE TABLE x (a TEXT); CREATE INDEX i ON x (geo(a))",
    "partial index": "CREATE TABLE x (a TEXT); CREATE INDEX i ON x (a) WHERE geo(a) > 1",
    "constraint": "CREATE TABLE x (a TEXT CHECK (geo(a) > ''))",
    "default": "CREATE TABLE x (a TEXT DEFAULT (geo(1)))",
    "view": "CREATE TABLE x (a TEXT); CREATE VIEW w AS SELECT geo(a) FROM x",
    "trigger": "CREATE TABLE x (a TEXT); CREATE TRIGGER w AFTER INSERT ON x BEGIN SELECT geo(new.a); END",
}


def with_unknown(path: Path, statements: str) -> Path:
    """A database made by a program that has more modules, functions and collations than Python's SQLite."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.create_function("geo", 1, lambda value: f"{value}!", deterministic=True)
        db.create_collation("ICU_x", lambda one, other: (one > other) - (one < other))
        db.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        if "VIRTUAL TABLE" in statements:
            db.execute("PRAGMA writable_schema = ON")
            db.execute("INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, ?)", [statements])
        else:
            db.executescript(statements)
            db.execute("INSERT INTO x (a) VALUES ('1')")
        db.commit()
    return path


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_this_sqlite_lacks_costs_that_table_alone(sandbox: Sandbox, tmp_path: Path, what: str) -> None:
    path = with_unknown(tmp_path / "u.sqlite", UNKNOWN[what])
    rows, damage = sandbox.run([(path, "SELECT name FROM t ORDER BY id"), (path, "SELECT * FROM x, w")])
    assert rows.rows == (("a",), ("b",))
    assert damage.outcome == "error"
    assert databases_with_rows(sandbox, {"u": (path,)}) == {"u"}
    assert read_schema(sandbox, "u", path).tables["t"] == {"id", "name"}
    assert damage_of(str(path)) == ""


@pytest.mark.parametrize("what", UNKNOWN)
def test_broken_bytes_are_damage_whatever_else_a_database_holds(tmp_path: Path, what: str) -> None:
    path = with_unknown(tmp_path / "u.sqlite", UNKNOWN[what])
    content = bytearray(path.read_bytes())
    content[4096:4100] = b"\xff" * 4
    path.write_bytes(content)
    assert damage_of(str(path))
