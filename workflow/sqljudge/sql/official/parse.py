"""The clause structure of a query, as the official evaluator reads it (evaluator rules, section 1).

This is not a parser of SQL: it accepts what the official one accepts, with its habits, and nothing else, because a
score depends on both. Knows no comparison rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from sqljudge.core.errors import UnreadableSql
from sqljudge.sql.official.schema import STAR, Schema
from sqljudge.sql.official.tokens import tokenize

NONE = "none"
AGGREGATES = frozenset({NONE, "max", "min", "count", "sum", "avg"})
UNIT_OPERATORS = frozenset({NONE, "-", "+", "*", "/"})
OPERATORS = frozenset({"not", "between", "=", ">", "<", ">=", "<=", "!=", "in", "like", "is", "exists"})
CLAUSE_WORDS = frozenset({"select", "from", "where", "group", "order", "limit", "intersect", "union", "except"})
SET_OPERATORS = frozenset({"intersect", "union", "except"})
_CLAUSE_END = CLAUSE_WORDS | {")", ";"}
_CONDITION_END = _CLAUSE_END | {"join", "on", "as"}
_VALUE_END = CLAUSE_WORDS | {"join", "on", "as", ",", ")", "and"}
MAX_DEPTH = 64
"""Selects inside selects beyond this are unreadable (the official program stops at some two hundred)."""


class Column(NamedTuple):
    """`[aggregate(] [distinct] column [)]`; the column by its full name, or `*`."""

    aggregate: str
    name: str
    distinct: bool


class Unit(NamedTuple):
    """`column [operator column]`."""

    operator: str
    left: Column
    right: Column | None


class Item(NamedTuple):
    """One item of a select list."""

    aggregate: str
    unit: Unit


class Condition(NamedTuple):
    """`unit [not] operator value [and value]`."""

    negated: bool
    operator: str
    unit: Unit
    value: Value
    second: Value


class Order(NamedTuple):
    """ORDER BY: one direction for all units, the last one named."""

    direction: str
    units: tuple[Unit, ...]


@dataclass(frozen=True)
class Query:
    """One select with its clauses; `set_operator` joins `right` to it. `Query()` stands for an unreadable query.

    `joins`, `where`, `having`: a condition at every even place and, in a well-formed query, `and` or `or` at every odd
    one. (Without a word between two conditions, the second stands at an odd place and is counted as such a word.)
    """

    items: tuple[Item, ...] = ()
    distinct: bool = False
    tables: tuple[str | Query, ...] = ()
    joins: tuple[Condition | str, ...] = ()
    where: tuple[Condition | str, ...] = ()
    group_by: tuple[Column, ...] = ()
    having: tuple[Condition | str, ...] = ()
    order_by: Order | None = None
    limit: bool = False
    set_operator: str | None = None
    right: Query | None = None

    def conditions(self) -> list[Condition]:
        """The conditions of FROM, WHERE and HAVING."""
        found = (*self.joins[::2], *self.where[::2], *self.having[::2])
        return [c for c in found if isinstance(c, Condition)]

    def connectives(self) -> list[Condition | str]:
        """What stands between the conditions of FROM, WHERE and HAVING."""
        return [*self.joins[1::2], *self.where[1::2], *self.having[1::2]]


Value = Query | Column | str | float | None


def parse(sql: str, schema: Schema) -> Query:
    """The clauses of `sql`. What follows the last clause that can be read is ignored.

    Raises UnreadableSql where the official parser fails.
    """
    tokens = tokenize(sql)
    return _Parser(tokens, schema, _aliases(tokens, schema)).query(0)


def _aliases(tokens: list[str], schema: Schema) -> dict[str, str]:
    """What each name stands for: the token after each `as` for the one before it, and each table for itself."""
    aliases = {}
    for at, token in enumerate(tokens):
        if token == "as" and at + 1 < len(tokens):
            aliases[tokens[at + 1]] = tokens[at - 1]
        elif token == "as":
            raise UnreadableSql("nothing after `as`")
    if taken := aliases.keys() & schema.tables.keys():
        raise UnreadableSql(f"the alias {min(taken)!r} is a table")
    return aliases | {table: table for table in schema.tables}


def _checked(conditions: list[Condition | str]) -> tuple[Condition | str, ...]:
    """Raises UnreadableSql where a word stands in a condition's place: there the official program crashes."""
    if any(isinstance(condition, str) for condition in conditions[::2]):
        raise UnreadableSql("no and/or between two conditions")
    return tuple(conditions)


class _Parser:
    """Reads clauses from `tokens`, of which `at` is the next. `scope`: the tables of the current FROM."""

    def __init__(self, tokens: list[str], schema: Schema, aliases: dict[str, str]) -> None:
        self.tokens = tokens
        self.schema = schema
        self.aliases = aliases
        self.at = 0
        self.scope: list[str] = []

    # --- tokens -----------------------------------------------------------------------------------------------------

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *words: str) -> bool:
        """Step over the next token if it is one of `words`."""
        found = self.peek() in words
        self.at += found
        return found

    def need(self, *words: str) -> None:
        if not self.take(*words):
            raise UnreadableSql(f"{' or '.join(words)} expected, found {self.peek()!r}")

    def next(self) -> str:
        token = self.peek()
        if token is None:
            raise UnreadableSql("the query ends too early")
        self.at += 1
        return token

    # --- select and FROM --------------------------------------------------------------------------------------------

    def query(self, depth: int) -> Query:
        if depth > MAX_DEPTH:
            raise UnreadableSql(f"more than {MAX_DEPTH} selects inside each other")
        outer = self.scope
        bracketed = self.take("(")
        start = self.at
        try:
            self.at = self.tokens.index("from", start) + 1
        except ValueError:
            raise UnreadableSql("no `from`") from None
        tables, joins = self.from_clause(depth)
        after_from, self.at = self.at, start
        distinct, items = self.select_clause()
        self.at = after_from
        query = Query(
            items=items,
            distinct=distinct,
            tables=tables,
            joins=joins,
            where=self.conditions(depth) if self.take("where") else (),
            group_by=self.group_clause(),
            having=self.conditions(depth) if self.take("having") else (),
            order_by=self.order_clause(),
            limit=self.take("limit") and bool(self.next()),
        )
        self.skip_semicolons()
        if bracketed:
            self.need(")")
        self.skip_semicolons()
        if self.peek() in SET_OPERATORS:
            query = replace(query, set_operator=self.next(), right=self.query(depth + 1))
        self.scope = outer
        return query

    def skip_semicolons(self) -> None:
        while self.take(";"):
            pass

    def from_clause(self, depth: int) -> tuple[tuple[str | Query, ...], tuple[Condition | str, ...]]:
        tables: list[str | Query] = []
        joins: list[Condition | str] = []
        self.scope = scope = []
        while self.peek() is not None:
            bracketed = self.take("(")
            if self.peek() == "select":
                tables.append(self.query(depth + 1))
            else:
                self.take("join")
                tables.append(self.table())
                scope.append(str(tables[-1]))
            if self.take("on"):
                joins += ["and"] * bool(joins)
                joins += self.conditions(depth)
            if bracketed:
                self.need(")")
            if self.peek() in _CLAUSE_END:
                break
        return tuple(tables), _checked(joins)

    def table(self) -> str:
        name = self.aliases.get(self.next(), "")
        if name not in self.schema.tables:
            raise UnreadableSql(f"{self.tokens[self.at - 1]!r} is no table")
        if self.take("as"):
            self.at += 1
        return name

    def select_clause(self) -> tuple[bool, tuple[Item, ...]]:
        self.need("select")
        distinct = self.take("distinct")
        items = []
        while (token := self.peek()) is not None and token not in CLAUSE_WORDS:
            aggregate = self.next() if token in AGGREGATES else NONE
            items.append(Item(aggregate, self.unit()))
            self.take(",")
        return distinct, tuple(items)

    # --- the other clauses ------------------------------------------------------------------------------------------

    def group_clause(self) -> tuple[Column, ...]:
        columns: list[Column] = []
        if not self.take("group"):
            return ()
        self.need("by")
        while (token := self.peek()) is not None and token not in _CLAUSE_END:
            columns.append(self.column_unit())
            if not self.take(","):
                break
        return tuple(columns)

    def order_clause(self) -> Order | None:
        if not self.take("order"):
            return None
        self.need("by")
        units: list[Unit] = []
        direction = "asc"
        while (token := self.peek()) is not None and token not in _CLAUSE_END:
            units.append(self.unit())
            if self.peek() in ("asc", "desc"):
                direction = self.next()
            if not self.take(","):
                break
        return Order(direction, tuple(units))

    def conditions(self, depth: int) -> tuple[Condition | str, ...]:
        found: list[Condition | str] = []
        while self.peek() is not None:
            found.append(self.condition(depth))
            if self.peek() in _CONDITION_END:
                break
            if self.peek() in ("and", "or"):
                found.append(self.next())
        return _checked(found)

    def condition(self, depth: int) -> Condition:
        unit = self.unit()
        negated = self.take("not")
        operator = self.next()
        if operator not in OPERATORS:
            raise UnreadableSql(f"{operator!r} is no operator")
        value = self.value(depth)
        second: Value = None
        if operator == "between":
            self.need("and")
            second = self.value(depth)
        return Condition(negated, operator, unit, value, second)

    # --- values, units, columns -------------------------------------------------------------------------------------

    def value(self, depth: int) -> Value:
        start = self.at
        bracketed = self.take("(")
        token = self.peek() or ""
        value: Value
        if token == "select":
            value = self.query(depth + 1)
        elif '"' in token:
            value = self.next()
        else:
            value = self.number_or_column(start)
        if bracketed:
            self.need(")")
        return value

    def number_or_column(self, start: int) -> Value:
        try:
            number = float(self.next())
        except ValueError:
            end = self.at - 1
        else:
            return number
        while end < len(self.tokens) and self.tokens[end] not in _VALUE_END:
            end += 1
        part = _Parser(self.tokens[start:end], self.schema, self.aliases)
        part.scope = self.scope
        self.at = end
        return part.column_unit()

    def unit(self) -> Unit:
        bracketed = self.take("(")
        left = self.column_unit()
        operator, right = NONE, None
        if self.peek() in UNIT_OPERATORS:
            operator = self.next()
            right = self.column_unit()
        if bracketed:
            self.need(")")
        return Unit(operator, left, right)

    def column_unit(self) -> Column:
        bracketed = self.take("(")
        if self.peek() in AGGREGATES:
            aggregate = self.next()
            self.need("(")
            column = Column(aggregate, *self.distinct_column())
            self.need(")")
            return column  # sic: a bracket before the aggregate is not closed here
        column = Column(NONE, *self.distinct_column())
        if bracketed:
            self.need(")")
        return column

    def distinct_column(self) -> tuple[str, bool]:
        distinct = self.take("distinct")
        return self.column(self.next()), distinct

    def column(self, token: str) -> str:
        if token == STAR:
            return STAR
        if "." in token:
            alias, _, column = token.partition(".")
            table = self.aliases.get(alias, "")
            if self.schema.has_column(table, column):
                return f"{table}.{column}"
            raise UnreadableSql(f"{token!r} is no column")
        for table in self.scope:
            if self.schema.has_column(table, token):
                return f"{table}.{token}"
        raise UnreadableSql(f"{token!r} is no column of the tables in FROM")
