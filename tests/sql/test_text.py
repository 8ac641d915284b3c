"""The normal form of query text; a query is cut between its clauses, and nowhere else."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from clock import linear
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.sql.databases import build_database
from sqljudge.sql.official.matching import as_official
from sqljudge.sql.official.parse import parse
from sqljudge.sql.official.schema import load_schemas
from sqljudge.sql.text import clause_starts, first_clauses, normalize_sql

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


@pytest.mark.parametrize(
    ("sql", "normal"),
    [
        ("", ";"),
        (" \n\t ", ";"),
        (";", ";"),
        (" ; ; ", ";"),
        ("-- nothing", ";"),
        ("/* never closed", ";"),
        ("select 1", "SELECT 1;"),
        ("SELECT  Name ,Age\nFROM Singer ;;", "SELECT name, age FROM singer;"),
        ("Select COUNT( DISTINCT T1.Id ) from A as T1", "SELECT COUNT(DISTINCT t1.id) FROM a AS t1;"),
        ('SELECT x FROM t WHERE c = "New  York"', "SELECT x FROM t WHERE c = 'New  York';"),
        ("select 'It''s; A' , \"it's\"", "SELECT 'It''s; A', 'it''s';"),
        ('select "a""B"', "SELECT 'a\"B';"),
        ("select 1 -- Why\n, 2", "SELECT 1, 2;"),
        ("select/* a; */1", "SELECT 1;"),
        ("select `My Col`, [Other] from T", "SELECT `my col`, [other] FROM t;"),
        ("select 'Abc", "SELECT 'Abc;"),
        ('select "Abc Def ; ', 'SELECT "Abc Def;'),
        ("select 'a'\"B\"", "SELECT 'a' 'B';"),
        ("select 1; DROP TABLE T", "SELECT 1; DROP TABLE t;"),
        ("SELECT ÉCOLE FROM ſelect", "SELECT École FROM ſelect;"),
        ("SELECT 0XFF, 1E5, X'aB'", "SELECT 0xff, 1e5, x'aB';"),
        ("Group\n By x order /* y */ By z", "GROUP BY x ORDER BY z;"),
        ("/* a */ select /*/ B */ 1 /", "SELECT 1 /;"),
        ("select A from t where B = \"it's", "SELECT a FROM t WHERE b = \"it's;"),
        ("select A from `Open where B = 'X y'", "SELECT a FROM `open WHERE b = 'X y';"),
        ("select A from [Open where B = 'X y'", "SELECT a FROM [open WHERE b = 'X y';"),
        ("```sql\nSelect A\n```", "```sql\nselect a\n```;"),
        ("select X'zZ', N'Ü', 0XG", "SELECT x'zZ', n 'Ü', 0xg;"),
        ("select A\xa0B ,\u2003C", "SELECT a\xa0b, \u2003c;"),
        ("{# Select A #} From {% B %}", "{# SELECT a #} FROM {% b %};"),
        ("Show Me THE tables", "show me the tables;"),
        ("select 1union Select 1e5From T", "SELECT 1union SELECT 1e5from t;"),
        ("select :From, @To, ?1", "SELECT :from, @to, ?1;"),
        ("Select \x00From\x1fWhere", "SELECT \x00FROM\x1fWHERE;"),
        ("select*from T where a>=3 and(b)!=-2", "SELECT * FROM t WHERE a >= 3 AND (b) != -2;"),
        ("select Max ( A ),t . *,Count AS Sum", "SELECT MAX(a), t.*, COUNT AS SUM;"),
        ("select round(avg(a),2) , cast (b as real)", "SELECT round (AVG(a), 2), CAST (b AS real);"),
        ("select (a)from(select 1)where b in( 'x' ,'y' )", "SELECT (a) FROM (SELECT 1) WHERE b IN ('x', 'y');"),
        ("select a-b, a - -1, -( a ), - + 1, null-1", "SELECT a - b, a - -1, -(a), - +1, NULL - 1;"),
        ("select 1.5e-3-.5E+2, 0x1e-5, 1.-2, t1.5", "SELECT 1.5e-3 - .5e+2, 0x1e - 5, 1. - 2, t1 .5;"),
        ("select a||b->>'$.x', a<>b, c==d, ~a&b", "SELECT a || b ->> '$.x', a <> b, c == d, ~a & b;"),
        ("select a< >b, x 'ab', X'ab', x\"ab\"", "SELECT a < > b, x 'ab', x'ab', x 'ab';"),
        ("select a$b, 1.a, t. 5", "SELECT a$b, 1.a, t. 5;"),
    ],
)
def test_normal_form(sql: str, normal: str) -> None:
    assert normalize_sql(sql) == normal


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder with the paper's queries beside the project")
def test_the_papers_printed_golds_are_the_normal_form_of_their_questions_golds() -> None:
    golds = [row["query"] for row in json.loads((SHARED / "spider/dev.json").read_text(encoding="utf-8"))]
    lines = (SHARED / "paper/distill_r1_generated.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 391
    for row in map(json.loads, lines):
        assert {normalize_sql(golds[place]) for place in row["candidate_question_ids"]} == {row["gold"]}


def code_of(connection: sqlite3.Connection, sql: str) -> list[tuple[object, ...]] | str:
    """What SQLite would do: its byte code, or the error."""
    try:
        return connection.execute(f"EXPLAIN {sql}").fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        return type(error).__name__


def check_same_code(connection: sqlite3.Connection, queries: set[str]) -> int:
    """How many of the queries run; asserts that each is to SQLite what its normal form is."""
    compiled = 0
    for sql in sorted(queries):
        code = code_of(connection, sql.rstrip("; \n"))  # Python's driver takes `; ;` for two statements
        normal = normalize_sql(sql, quoted_names=True)
        assert code_of(connection, normal) == code, sql
        if '"' not in sql:
            assert normalize_sql(sql) == normal
        compiled += isinstance(code, list)
    return compiled


def test_the_embedded_queries_mean_the_same(tmp_path: Path) -> None:
    queries: dict[Path, set[str]] = {}
    for name in ("mini_spider", "mini_bird"):
        for file in ("dev", "train", "pool"):
            path = ROOT / f"resources/{name}/{file}.json"
            for row in json.loads(path.read_text(encoding="utf-8")) if path.exists() else []:
                found = [*(row[key] for key in ("query", "SQL", "sql") if key in row), *row.get("top_n", [])]
                (script,) = (ROOT / f"resources/{name}").rglob(f"{row['db_id']}.sql")
                queries.setdefault(script, set()).update(found)
    compiled = 0
    for number, (script, found) in enumerate(queries.items()):
        build_database(script, tmp_path / f"{number}.sqlite")
        with closing(sqlite3.connect(tmp_path / f"{number}.sqlite")) as connection:
            compiled += check_same_code(connection, found)
    assert compiled > 350


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder with Spider and the evaluator's cases")
def test_the_evaluators_cases_mean_the_same_on_spider() -> None:
    queries: dict[str, set[str]] = {}
    with gzip.open(SHARED / "evaluator/official_scores.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            queries.setdefault(row["db_id"], set()).update((row["gold"], row["pred"]))
    compiled = 0
    for folder in (SHARED / "spider/database").iterdir():
        path = f"file:{folder}/{folder.name}.sqlite?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as connection:
            compiled += check_same_code(connection, queries[folder.name])
    assert compiled > 2500


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder with the evaluator's cases")
def test_the_official_parser_reads_the_normal_form_of_what_it_reads() -> None:
    schemas = load_schemas(SHARED / "spider/tables.json")
    with gzip.open(SHARED / "evaluator/official_scores.jsonl.gz", "rt", encoding="utf-8") as lines:
        read = {(row["db_id"], row["pred"]) for row in map(json.loads, lines) if row["parsed"]}
    found = sorted((db_id, sql) for db_id, sql in read if db_id in schemas)
    assert len(found) > 2000
    for db_id, sql in found:
        parse(as_official(normalize_sql(sql)), schemas[db_id])


_PIECES = ["'", "x", "1", "2.", ".5", "e", "-", "+", "~", "*", "/", "(", ")", ",", "<", ">", "=", "!", "|", "$", " "]
_SQL_PIECES = [
    *_PIECES,
    "?",
    ":",
    "a",
    " a.",
    "sum",
    " and ",
    " case when ",
    " end ",
    "null",
    "'b'",
    "/**/",
    "0x1",
    "^",
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(_SQL_PIECES)).map("".join))
def test_no_token_of_sqlite_is_cut_or_joined(text: str) -> None:
    sql = f"SELECT {text}"
    normal = normalize_sql(sql)
    assert normalize_sql(normal) == normal
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE a (a, x, e)")
        for tail in ("", "\nFROM a"):
            code = code_of(connection, sql + tail)
            if isinstance(code, list):
                assert code_of(connection, normal.removesuffix(";") + tail) == code


def test_the_embedded_queries_keep_their_form_and_clauses_whatever_the_tokenizers_version() -> None:
    seen = []
    for name in ("mini_spider/dev", "mini_spider/train", "mini_spider/pool", "mini_bird/dev", "mini_bird/pool"):
        for row in json.loads((ROOT / f"resources/{name}.json").read_text(encoding="utf-8")):
            for sql in [*(row[key] for key in ("query", "SQL", "sql") if key in row), *row.get("top_n", [])]:
                for quoted_names in (False, True):
                    normal = normalize_sql(sql, quoted_names=quoted_names)
                    seen.append([normal, clause_starts(normal)])
    assert len(seen) == 1038
    assert hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16] == "85acef8bdaf7807d"


def test_the_tokenizer_is_imported_when_it_is_needed() -> None:
    """The import takes longer than all else that a short command does."""
    code = (
        "import sys; from sqljudge.sql.text import normalize_sql; assert 'sqlglot' not in sys.modules; "
        "normalize_sql('select 1'); assert 'sqlglot' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT / "workflow")


_SQL_LIKE = st.lists(
    st.sampled_from(
        ["'", '"', "`", "[", "]", ";", " ", "\n", "--", "/*", "*/", "a", "Select", "É", "1", ".", "(", "\0"]
    )
).map("".join)


@given(st.one_of(st.text(), _SQL_LIKE))
def test_idempotent_total_and_ends_in_one_semicolon(sql: str) -> None:
    normal = normalize_sql(sql)
    assert normalize_sql(normal) == normal
    assert normal.endswith(";")
    assert normal == ";" or normal[-2] not in "; \n"


@pytest.mark.parametrize("char", ["[", "'", "`", "(", "/*", "-", " ", "' \""])
def test_long_hostile_text_is_quick(char: str) -> None:
    with linear():
        normalize_sql("select " + (char * 200_000)[:200_000])


@given(
    st.lists(
        st.sampled_from(["'a B'", '"C  d"', "1", "NULL", "X'00'", "'--'", '"/*"', "'it''s'", '"x\'y"']), min_size=1
    )
)
def test_same_rows_from_sqlite(values: list[str]) -> None:
    sql = "Select " + " ,\n ".join(values) + " -- end"
    with sqlite3.connect(":memory:") as connection:
        assert connection.execute(normalize_sql(sql)).fetchall() == connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    ("sql", "clauses"),
    [
        ("SELECT a FROM t", ["SELECT a", "FROM t;"]),
        ("SELECT a, b FROM t JOIN u ON t.a = u.a WHERE x", ["SELECT a, b", "FROM t JOIN u ON t.a = u.a", "WHERE x;"]),
        (
            "SELECT a FROM t WHERE b GROUP BY c HAVING d ORDER BY e DESC LIMIT 3 OFFSET 2",
            ["SELECT a", "FROM t", "WHERE b", "GROUP BY c", "HAVING d", "ORDER BY e DESC", "LIMIT 3 OFFSET 2;"],
        ),
        (
            "SELECT a FROM t UNION ALL SELECT b FROM u",
            ["SELECT a", "FROM t", "UNION ALL SELECT b", "FROM u;"],
        ),
        ("SELECT a FROM t EXCEPT SELECT a FROM u", ["SELECT a", "FROM t", "EXCEPT SELECT a", "FROM u;"]),
        ("SELECT a FROM (SELECT b FROM u WHERE c) LIMIT 1", ["SELECT a", "FROM (SELECT b FROM u WHERE c)", "LIMIT 1;"]),
        ("SELECT a IN (SELECT b FROM u) FROM t", ["SELECT a IN (SELECT b FROM u)", "FROM t;"]),
        ("SELECT a FROM t WHERE b = ' FROM WHERE ('", ["SELECT a", "FROM t", "WHERE b = ' FROM WHERE (';"]),
        ("SELECT `from` FROM [where]", ["SELECT `from`", "FROM [where];"]),
        ("SELECT a IS DISTINCT FROM b FROM t", ["SELECT a IS DISTINCT FROM b", "FROM t;"]),
        ("WITH x AS (SELECT 1) SELECT a FROM x", ["WITH x AS (SELECT 1)", "SELECT a", "FROM x;"]),
        ("SELECT a) FROM t", ["SELECT a)", "FROM t;"]),
        ("SELECT a FROM t WHERE (b ORDER BY c", ["SELECT a", "FROM t", "WHERE (b ORDER BY c;"]),
        ("SELECT 1; SELECT 2 FROM t", ["SELECT 1; SELECT 2 FROM t;"]),
        ("SELECT a FROM t WHERE 'open FROM", ["SELECT a", "FROM t", "WHERE 'open FROM;"]),
        ("", [";"]),
    ],
)
def test_clauses_begin_outside_strings_and_parentheses(sql: str, clauses: list[str]) -> None:
    normal = normalize_sql(sql)
    starts = clause_starts(normal)
    assert [normal[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] == clauses


def test_the_first_clauses_end_before_the_next() -> None:
    sql = "SELECT a FROM t WHERE b;"
    assert [first_clauses(sql, count) for count in (1, 2, 3)] == ["SELECT a", "SELECT a FROM t", None]


@given(st.text(alphabet="SELECTFROM a();'`", max_size=40))
def test_no_text_is_lost(text: str) -> None:
    sql = normalize_sql(text)
    starts = clause_starts(sql)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
