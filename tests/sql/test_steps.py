"""A query is cut between its clauses, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.sql.steps import clause_starts, first_clauses
from sqljudge.sql.text import normalize_sql


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
