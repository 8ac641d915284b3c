"""Queries as syntax trees: read, changed in one place, and written as people write them. Knows no change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError

Tree = Any
"""A node of sqlglot's syntax tree, whose own types change from version to version."""
Change = Callable[[Any], Iterator[Tree]]


def parsed(sql: str) -> Tree | None:
    """The syntax tree of a query; None where it is none."""
    try:
        tree = sqlglot.parse_one(sql, dialect="sqlite")
    except (SqlglotError, RecursionError):
        return None
    return tree if isinstance(tree, exp.Query) else None


class Plain(SQLite):
    """SQLite's SQL as people write it: a query that was changed must not look otherwise than one that was not."""

    class Generator(SQLite.Generator):  # type: ignore[valid-type,misc]
        """NOT stands with what it denies, != and the comma are not written as <> and CROSS JOIN."""

        def not_sql(self, expression: exp.Not) -> str:
            """NOT IN, NOT LIKE, NOT BETWEEN, IS NOT NULL."""
            denied = expression.this
            if isinstance(denied, (exp.In, exp.Like, exp.Between, exp.Is)):
                whole, first = self.sql(denied), self.sql(denied.this)
                if isinstance(denied, exp.Is):
                    return f"{first} IS NOT{whole[len(first) + 3 :]}"
                return f"{first} NOT{whole[len(first) :]}"
            return str(super().not_sql(expression))

        def neq_sql(self, expression: exp.NEQ) -> str:
            """As Spider writes it."""
            return str(self.binary(expression, "!="))

        def join_sql(self, expression: exp.Join) -> str:
            """Of no condition: a comma."""
            if expression.args.get("kind") == "CROSS":
                return f", {self.sql(expression, 'this')}"
            return str(super().join_sql(expression))


def text_of(tree: Tree) -> str:
    """A tree as SQLite's SQL."""
    return str(tree.sql(dialect=Plain))


def _parts(tree: Tree) -> list[Tree]:
    """The selects that a query consists of: itself, or what its UNION, EXCEPT or INTERSECT joins."""
    found = tree.find_all(exp.Select)
    return [part for part in found if part.parent is None or isinstance(part.parent, exp.SetOperation)]


def changed(sql: str, changes: Sequence[Change], compound: Sequence[Change] = ()) -> list[str]:
    """What some changes make of a query, distinct and without the query itself, in a fixed order.

    Of a compound query (UNION, EXCEPT, INTERSECT) its parts are changed, one at a time, and the `compound` changes are
    made of the whole.
    """
    tree = parsed(sql)
    if tree is None:
        return []
    found: dict[str, None] = {}
    for number, part in enumerate(_parts(tree)):
        for new in (new for change in changes for new in change(part)):
            whole = new
            if part.parent is not None:
                whole = tree.copy()
                _parts(whole)[number].replace(new)
            found.setdefault(text_of(whole))
    if isinstance(tree, exp.SetOperation):
        found |= {text_of(new): None for change in compound for new in change(tree)}
    found.pop(text_of(tree), None)
    return list(found)
