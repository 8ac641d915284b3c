"""The normal form of query text."""

from __future__ import annotations

import sqlite3
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.sql.text import normalize_sql


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
        ("SELECT  Name ,Age\nFROM Singer ;;", "SELECT name ,age FROM singer;"),
        ("Select COUNT( DISTINCT T1.Id ) from A as T1", "SELECT count( DISTINCT t1.id ) FROM a AS t1;"),
        ('SELECT x FROM t WHERE c = "New  York"', "SELECT x FROM t WHERE c = 'New  York';"),
        ("select 'It''s; A' , \"it's\"", "SELECT 'It''s; A' , 'it''s';"),
        ('select "a""B"', "SELECT 'a\"B';"),
        ("select 1 -- Why\n, 2", "SELECT 1 , 2;"),
        ("select/* a; */1", "SELECT 1;"),
        ("select `My Col`, [Other] from T", "SELECT `my col`, [other] FROM t;"),
        ("select 'Abc", "SELECT 'Abc;"),
        ('select "Abc Def ; ', 'SELECT "Abc Def;'),
        ("select 'a'\"B\"", "SELECT 'a' 'B';"),
        ("select 1; DROP TABLE T", "SELECT 1; DROP TABLE t;"),
        ("SELECT ÉCOLE FROM ſelect", "SELECT École FROM ſelect;"),
        ("SELECT 0XFF, 1E5, X'aB'", "SELECT 0xff, 1e5, x'aB';"),
    ],
)
def test_normal_form(sql: str, normal: str) -> None:
    assert normalize_sql(sql) == normal


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
    started = time.perf_counter()
    normalize_sql("select " + char * 200_000)
    assert time.perf_counter() - started < 2


@given(
    st.lists(
        st.sampled_from(["'a B'", '"C  d"', "1", "NULL", "X'00'", "'--'", '"/*"', "'it''s'", '"x\'y"']), min_size=1
    )
)
def test_same_rows_from_sqlite(values: list[str]) -> None:
    sql = "Select " + " ,\n ".join(values) + " -- end"
    with sqlite3.connect(":memory:") as connection:
        assert connection.execute(normalize_sql(sql)).fetchall() == connection.execute(sql).fetchall()
