"""Changes of a query that are meant to change its result, as models' mistakes do; running them decides.

Knows syntax trees and schemas, no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlglot import exp

from sqljudge.training.trees import Change, Tree

_OTHER_COMPARISONS: dict[Any, Any] = {
    exp.GT: exp.LT,
    exp.LT: exp.GT,
    exp.GTE: exp.GT,
    exp.LTE: exp.LT,
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
}
_OTHER_AGGREGATES: dict[Any, Any] = {exp.Max: exp.Min, exp.Min: exp.Max, exp.Sum: exp.Avg, exp.Avg: exp.Sum}


def _each(select: exp.Select, kinds: Any, change: Callable[[Any], Tree | None]) -> Iterator[Tree]:
    """Copies of a query, in each of which one node of some kinds is changed."""
    for place in range(len(list(select.find_all(*kinds)))):
        copy = select.copy()
        node = list(copy.find_all(*kinds))[place]
        new = change(node)
        if new is not None:
            node.replace(new)
            yield copy


def _comparison(node: Any) -> Tree | None:
    if isinstance(node.parent, exp.Join) or isinstance(node.expression, exp.Column):
        return None
    return _OTHER_COMPARISONS[type(node)](this=node.this.copy(), expression=node.expression.copy())


def other_comparison(select: exp.Select) -> Iterator[Tree]:
    """Another comparison."""
    yield from _each(select, tuple(_OTHER_COMPARISONS), _comparison)


def other_aggregate(select: exp.Select) -> Iterator[Tree]:
    """The other extreme, or a mean for a sum."""
    others = _OTHER_AGGREGATES
    yield from _each(select, tuple(others), lambda node: others[type(node)](this=node.this.copy()))


def other_direction(select: exp.Select) -> Iterator[Tree]:
    """Sorted the other way round."""
    yield from _each(
        select, (exp.Ordered,), lambda node: exp.Ordered(this=node.this.copy(), desc=not node.args.get("desc"))
    )


def no_condition(select: exp.Select) -> Iterator[Tree]:
    """One condition less."""
    if where := select.args.get("where"):
        copy = select.copy()
        copy.set("where", None)
        yield copy
        if isinstance(where.this, exp.And):
            for side in (where.this.left, where.this.right):
                copy = select.copy()
                copy.set("where", exp.Where(this=side.copy()))
                yield copy


def and_for_or(select: exp.Select) -> Iterator[Tree]:
    """OR for AND, and AND for OR."""
    swapped: dict[Any, Any] = {exp.And: exp.Or, exp.Or: exp.And}
    yield from _each(
        select,
        (exp.And, exp.Or),
        lambda node: swapped[type(node)](this=node.this.copy(), expression=node.expression.copy()),
    )


def no_limit(select: exp.Select) -> Iterator[Tree]:
    """No limit, no HAVING, no DISTINCT."""
    for part in ("limit", "having", "distinct"):
        if select.args.get(part):
            copy = select.copy()
            copy.set(part, None)
            yield copy


def fewer_columns(select: exp.Select) -> Iterator[Tree]:
    """One column less, or two in the other order."""
    if len(select.expressions) > 1:
        for place in range(len(select.expressions)):
            copy = select.copy()
            copy.set("expressions", [each for i, each in enumerate(copy.expressions) if i != place])
            yield copy


def other_column(columns: Mapping[str, Sequence[str]]) -> Change:
    """Another column of the same table, by the schema: table -> columns, in lower case."""

    def change(select: exp.Select) -> Iterator[Tree]:
        names = {table.alias_or_name.lower(): table.name.lower() for table in select.find_all(exp.Table)}

        def another(node: exp.Column) -> Tree | None:
            if isinstance(node.parent, exp.EQ) and isinstance(node.parent.parent, exp.Join):
                return None
            table = names.get(node.table.lower()) or (next(iter(names.values())) if len(names) == 1 else "")
            others = [name for name in columns.get(table, ()) if name != node.name.lower()]
            place = sum(map(ord, node.name)) % len(others) if others else 0
            return exp.column(others[place], table=node.table or None) if others else None

        yield from _each(select, (exp.Column,), another)

    return change


def other_literal(select: exp.Select) -> Iterator[Tree]:
    """A number a little off, a text in another letter case."""

    def another(node: exp.Literal) -> Tree | None:
        if node.is_string:
            swapped = node.name.lower() if node.name != node.name.lower() else node.name.capitalize()
            return exp.Literal.string(swapped) if swapped != node.name else None
        return exp.Literal.number(int(node.name) + 1) if node.is_int else None

    yield from _each(select, (exp.Literal,), another)


def other_count(select: exp.Select) -> Iterator[Tree]:
    """COUNT DISTINCT without DISTINCT, and an aggregate of another kind."""

    def another(node: exp.Count) -> Tree | None:
        if isinstance(node.this, exp.Distinct):
            return exp.Count(this=node.this.expressions[0].copy())
        return None if isinstance(node.this, exp.Star) else exp.Sum(this=node.this.copy())

    yield from _each(select, (exp.Count,), another)


def other_set(select: exp.Select) -> Iterator[Tree]:
    """IN for NOT IN, and NOT IN for IN; so with EXISTS."""
    yield from _each(
        select,
        (exp.In, exp.Exists),
        lambda node: None if isinstance(node.parent, exp.Not) else exp.Not(this=node.copy()),
    )
    yield from _each(
        select,
        (exp.Not,),
        lambda node: node.this.copy() if isinstance(node.this, (exp.In, exp.Exists)) else None,
    )


def other_operation(tree: Tree) -> Iterator[Tree]:
    """UNION, EXCEPT and INTERSECT for one another, and one side alone."""
    for kind in (exp.Union, exp.Except, exp.Intersect):
        if type(tree) is not kind:
            yield kind(this=tree.this.copy(), expression=tree.expression.copy(), distinct=True)
    yield tree.this.copy()


def no_join_condition(select: exp.Select) -> Iterator[Tree]:
    """A join without its condition."""
    if any(join.args.get("on") for join in select.args.get("joins") or ()):
        copy = select.copy()
        for join in copy.args["joins"]:
            join.set("on", None)
        yield copy


def no_group(select: exp.Select) -> Iterator[Tree]:
    """No GROUP BY, or no ORDER BY."""
    for part in ("group", "order"):
        if select.args.get(part) and not (part == "group" and select.args.get("having")):
            copy = select.copy()
            copy.set(part, None)
            yield copy


def more_columns(columns: Mapping[str, Sequence[str]]) -> Change:
    """One column more, by the schema."""

    def change(select: exp.Select) -> Iterator[Tree]:
        first = next(iter(select.find_all(exp.Table)), None)
        names = columns.get(first.name.lower(), ()) if first else ()
        shown = {part.name.lower() for part in select.expressions}
        for name in [name for name in names if name not in shown][:1]:
            yield select.copy().select(exp.column(name, table=first.alias_or_name if first and first.alias else None))

    return change


def unknown_column(select: exp.Select) -> Iterator[Tree]:
    """A column that is not there: a shorter name, or that of another table."""
    tables = [table.alias_or_name for table in select.find_all(exp.Table)]

    def another(node: exp.Column) -> Tree | None:
        others = [name for name in tables if node.table and name != node.table]
        if others:
            return exp.column(node.name, table=others[0])
        short = node.name.partition("_")[0]
        return exp.column(short if short != node.name else f"{node.name}_name", table=node.table or None)

    yield from _each(select, (exp.Column,), another)


def ambiguous_column(select: exp.Select) -> Iterator[Tree]:
    """Columns without their tables."""
    if len(list(select.find_all(exp.Table))) > 1:
        yield from _each(select, (exp.Column,), lambda node: exp.column(node.name) if node.table else None)


MUTATIONS: tuple[Change, ...] = (
    other_comparison,
    other_aggregate,
    other_direction,
    no_condition,
    and_for_or,
    no_limit,
    fewer_columns,
    other_literal,
    other_count,
    other_set,
    no_join_condition,
    no_group,
)
COMPOUND_MUTATIONS: tuple[Change, ...] = (other_operation,)
FAULTS: tuple[Change, ...] = (unknown_column, ambiguous_column)
"""Mistakes that SQLite often complains of."""


def mutations(columns: Mapping[str, Sequence[str]]) -> tuple[Change, ...]:
    """All changes that rest on a schema, table -> columns in lower case, and those that do not."""
    return (*MUTATIONS, other_column(columns), more_columns(columns))
