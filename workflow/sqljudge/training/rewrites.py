"""Other ways to write a query, some that mean the same and some that do not, and random databases that tell which.

A rewrite is meant to keep the result and a mutation to change it; whether they do is decided by running them. Knows
syntax trees and schemas, no model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Tree = Any
"""A node of sqlglot's syntax tree, whose own types change from version to version."""
Change = Callable[[exp.Select], Iterator[Tree]]


def parsed(sql: str) -> Tree | None:
    """The syntax tree of a query; None where it is none."""
    try:
        tree = sqlglot.parse_one(sql, dialect="sqlite")
    except (SqlglotError, RecursionError):
        return None
    return tree if isinstance(tree, exp.Query) else None


def text_of(tree: Tree) -> str:
    """A tree as SQLite's SQL."""
    return str(tree.sql(dialect="sqlite"))


# --- the same in other words ------------------------------------------------------------------------------------------


def _tables(select: exp.Select) -> list[exp.Table]:
    found = [select.args.get("from_") or select.args.get("from")]
    sources = [part.this for part in found if part] + [join.this for join in select.args.get("joins") or ()]
    return [source for source in sources if isinstance(source, exp.Table)]


def _joined(select: exp.Select) -> tuple[exp.Table, exp.Table, exp.Column, exp.Column] | None:
    """Of a join of two tables by one equality: both tables, and the column of each."""
    tables, joins = _tables(select), select.args.get("joins") or []
    if len(tables) != 2 or len(joins) != 1 or joins[0].args.get("side"):
        return None
    on: Tree = joins[0].args.get("on")
    if not isinstance(on, exp.EQ) or not all(isinstance(side, exp.Column) for side in (on.left, on.right)):
        return None
    first, left, right = tables[0].alias_or_name.lower(), *(cast(exp.Column, side) for side in (on.left, on.right))
    own, other = (left, right) if left.table.lower() == first else (right, left)
    return (tables[0], tables[1], own, other) if own.table.lower() == first != other.table.lower() else None


def _of(table: exp.Table, tree: Tree) -> bool:
    """Whether all columns of a tree are those of one table, by its name."""
    columns = list(tree.find_all(exp.Column))
    return all(column.table.lower() == table.alias_or_name.lower() for column in columns)


def _split_where(select: exp.Select, table: exp.Table) -> tuple[list[Tree], list[Tree]] | None:
    """The conditions of a query that are about one table, and the others; None where one is about both."""
    where = select.args.get("where")
    parts = list(where.this.flatten()) if where and isinstance(where.this, exp.And) else [where.this] if where else []
    about = [part for part in parts if list(part.find_all(exp.Column)) and _of(table, part)]
    rest = [part for part in parts if part not in about]
    names = {table.alias_or_name.lower()}
    if any(column.table.lower() in names for part in rest for column in part.find_all(exp.Column)):
        return None
    return about, rest


def _unjoined(select: exp.Select) -> Iterator[tuple[exp.Select, exp.Table, Tree, Tree, list[Tree], list[Tree]]]:
    """A join whose second table only decides which rows of the first count: what is left, and what it decided by."""
    found = _joined(select)
    if not found:
        return
    tables, own, other = found[:2], found[2], found[3]
    for kept, dropped, key, foreign in ((tables[0], tables[1], own, other), (tables[1], tables[0], other, own)):
        split = _split_where(select, dropped)
        others = [part for part in select.args if part not in ("from_", "from", "joins", "where")]
        clean = all(
            _of(kept, each)
            for part in others
            for each in (select.args[part] if isinstance(select.args[part], list) else [select.args[part]])
            if isinstance(each, exp.Expression)
        )
        if split and clean:
            plain = select.copy()
            plain.set("joins", None)
            plain.set("where", None)
            plain = plain.from_(kept.copy(), copy=False)
            yield plain, dropped, key.copy(), foreign.copy(), split[0], split[1]


def join_to_in(select: exp.Select) -> Iterator[Tree]:
    """A join that only filters becomes IN a sub-select."""
    for plain, table, key, foreign, about, rest in _unjoined(select):
        inner = exp.select(foreign).from_(table.copy())
        for part in about:
            inner = inner.where(part.copy())
        yield plain.where(exp.In(this=key, query=inner.subquery()), *(part.copy() for part in rest))


def join_to_exists(select: exp.Select) -> Iterator[Tree]:
    """A join that only filters becomes EXISTS."""
    for plain, table, key, foreign, about, rest in _unjoined(select):
        inner = exp.select("1").from_(table.copy()).where(exp.EQ(this=foreign, expression=key))
        for part in about:
            inner = inner.where(part.copy())
        yield plain.where(exp.Exists(this=inner), *(part.copy() for part in rest))


def limit_to_extreme(select: exp.Select) -> Iterator[Tree]:
    """ORDER BY c LIMIT 1 becomes c = (SELECT MAX(c) ...), of one table without groups."""
    order, limit = select.args.get("order"), select.args.get("limit")
    if not order or not limit or len(_tables(select)) != 1 or select.args.get("group") or len(order.expressions) != 1:
        return
    if text_of(limit.expression) != "1" or not isinstance(order.expressions[0].this, exp.Column):
        return
    column, down = order.expressions[0].this, bool(order.expressions[0].args.get("desc"))
    plain = select.copy()
    plain.set("order", None)
    plain.set("limit", None)
    inner = exp.select((exp.Max if down else exp.Min)(this=column.copy())).from_(_tables(select)[0].copy())
    if where := select.args.get("where"):
        inner = inner.where(where.this.copy())
    yield plain.where(exp.EQ(this=column.copy(), expression=inner.subquery()))


def count_to_subselect(select: exp.Select) -> Iterator[Tree]:
    """COUNT(*) of rows becomes COUNT(*) of a sub-select, or the SUM of a CASE."""
    only = select.expressions[0] if len(select.expressions) == 1 else None
    if not isinstance(only, exp.Count) or select.args.get("group") or select.args.get("having"):
        return
    if isinstance(only.this, exp.Star):
        inner = select.copy()
        inner.set("expressions", [exp.Literal.number(1)])
        yield exp.select(exp.Count(this=exp.Star())).from_(inner.subquery("counted"))
        if where := select.args.get("where"):
            plain = select.copy()
            plain.set("where", None)
            case = exp.Case().when(where.this.copy(), exp.Literal.number(1)).else_(exp.Literal.number(0))
            total = exp.Coalesce(this=exp.Sum(this=case), expressions=[exp.Literal.number(0)])
            yield plain.select(total, append=False)


def not_in_to_except(select: exp.Select) -> Iterator[Tree]:
    """NOT IN a sub-select, of one column, becomes EXCEPT, or NOT EXISTS."""
    where = select.args.get("where")
    if not where or not isinstance(where.this, exp.Not) or not isinstance(where.this.this, exp.In):
        return
    inside = where.this.this
    query = inside.args.get("query")
    if not query or not isinstance(inside.this, exp.Column):
        return
    inner = query.this if isinstance(query, exp.Subquery) else query
    if not isinstance(inner, exp.Select) or len(inner.expressions) != 1:
        return
    plain = select.copy()
    plain.set("where", None)
    if len(select.expressions) == 1 and select.expressions[0] == inside.this:
        yield exp.except_(plain.copy(), inner.copy())
    if isinstance(inner.expressions[0], exp.Column) and len(_tables(select)) == 1 and len(_tables(inner)) == 1:
        outer = _tables(select)[0].alias_or_name
        mine = exp.column(inside.this.name, table=outer)
        theirs = exp.column(inner.expressions[0].name, table=_tables(inner)[0].alias_or_name)
        if outer.lower() != theirs.table.lower():
            asked = inner.copy()
            asked.set("expressions", [exp.Literal.number(1)])
            yield plain.where(exp.Not(this=exp.Exists(this=asked.where(exp.EQ(this=theirs, expression=mine)))))


def in_to_exists(select: exp.Select) -> Iterator[Tree]:
    """IN a sub-select becomes a join of distinct values."""
    where = select.args.get("where")
    if not where or not isinstance(where.this, exp.In) or len(_tables(select)) != 1:
        return
    query = where.this.args.get("query")
    inner = query.this if isinstance(query, exp.Subquery) else query
    if not isinstance(inner, exp.Select) or len(inner.expressions) != 1 or not isinstance(where.this.this, exp.Column):
        return
    plain, asked = select.copy(), inner.copy()
    plain.set("where", None)
    asked.set("expressions", [exp.alias_(asked.expressions[0].copy(), "wanted")])
    mine = exp.column(where.this.this.name, table=_tables(select)[0].alias_or_name)
    yield plain.join(
        asked.distinct().subquery("found"), on=exp.EQ(this=mine, expression=exp.column("wanted", table="found"))
    )


def range_to_between(select: exp.Select) -> Iterator[Tree]:
    """BETWEEN becomes two comparisons, >= of a whole number becomes >."""
    for found in select.find_all(exp.Between):
        copy = select.copy()
        twin = next(each for each in copy.find_all(exp.Between) if each == found)
        low = exp.GTE(this=twin.this.copy(), expression=twin.args["low"].copy())
        twin.replace(exp.paren(exp.and_(low, exp.LTE(this=twin.this.copy(), expression=twin.args["high"].copy()))))
        yield copy
    for kind, other, step in ((exp.GTE, exp.GT, -1), (exp.LTE, exp.LT, 1)):
        for bound in select.find_all(kind):
            if isinstance(bound.expression, exp.Literal) and bound.expression.is_int:
                copy = select.copy()
                same: Tree = next(each for each in copy.find_all(kind) if each == bound)
                moved = exp.Literal.number(int(bound.expression.name) + step)
                same.replace(other(this=same.this.copy(), expression=moved))
                yield copy


def other_aliases(select: exp.Select) -> Iterator[Tree]:
    """The same tables under other names."""
    tables = _tables(select)
    names = {table.alias_or_name: f"{table.name[:1].lower()}{place + 1}" for place, table in enumerate(tables)}
    if len(tables) < 2 or len(set(names.values())) < len(tables) or select.find(exp.Subquery, exp.In):
        return
    copy = select.copy()
    for table in _tables(copy):
        table.set("alias", exp.TableAlias(this=exp.to_identifier(names[table.alias_or_name])))
    for column in copy.find_all(exp.Column):
        if column.table in names:
            column.set("table", exp.to_identifier(names[column.table]))
    yield copy


REWRITES: tuple[Change, ...] = (
    join_to_in,
    join_to_exists,
    limit_to_extreme,
    count_to_subselect,
    not_in_to_except,
    in_to_exists,
    range_to_between,
    other_aliases,
)


# --- something else ---------------------------------------------------------------------------------------------------

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


MUTATIONS: tuple[Change, ...] = (
    other_comparison,
    other_aggregate,
    other_direction,
    no_condition,
    and_for_or,
    no_limit,
    fewer_columns,
)


def _parts(tree: Tree) -> list[Tree]:
    """The selects that a query consists of: itself, or what its UNION, EXCEPT or INTERSECT joins."""
    found = tree.find_all(exp.Select)
    return [part for part in found if part.parent is None or isinstance(part.parent, exp.SetOperation)]


def changed(sql: str, changes: Sequence[Change]) -> list[str]:
    """What some changes make of a query, distinct and without the query itself, in a fixed order.

    Of a compound query its parts are changed, one at a time.
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
    found.pop(text_of(tree), None)
    return list(found)


# --- random databases -------------------------------------------------------------------------------------------------

WORDS = ("amber", "birch", "coral", "delta", "ember", "fjord")


def literals_of(queries: Sequence[str]) -> dict[str, list[Any]]:
    """The values that queries compare each column with, by the column's name in lower case."""
    found: dict[str, dict[Any, None]] = {}
    for sql in queries:
        tree = parsed(sql)
        for literal in tree.find_all(exp.Literal) if tree else ():
            column = literal.parent.find(exp.Column) if literal.parent else None
            if column is None or isinstance(literal.parent, exp.Limit):
                continue
            value = literal.name.replace("%", "") if literal.is_string else float(literal.name)
            found.setdefault(column.name.lower(), {}).setdefault(value)
    return {name: list(values) for name, values in found.items()}


def random_database(schema: Mapping[str, Any], literals: Mapping[str, Sequence[Any]], seed: int, rows: int = 12) -> str:
    """SQL text of a database with the tables of an entry of Spider's tables.json, and random rows.

    Columns that a foreign key joins share their values; a primary key of one column has distinct ones. A column holds
    values that queries compare it with, and others.
    """
    draw = random.Random(f"{seed} {schema['db_id']}")
    columns, kinds = schema["column_names_original"], schema["column_types"]
    alike = [*range(len(columns))]
    for one, other in schema["foreign_keys"]:
        low, high = sorted((alike[one], alike[other]))
        alike = [low if each == high else each for each in alike]
    own_values = [literals.get(name.lower(), ()) for _, name in columns]
    known = [[value for j, some in enumerate(own_values) if alike[j] == each for value in some] for each in alike]
    keys = {key for key in schema["primary_keys"] if isinstance(key, int)}
    statements = []
    for table, name in enumerate(schema["table_names_original"]):
        own = [i for i, (owner, _) in enumerate(columns) if owner == table]
        declared = ", ".join(f'"{columns[i][1]}" {_type(kinds[i])}' for i in own)
        statements.append(f'CREATE TABLE "{name}" ({declared});')
        alone = {i for i in own if i in keys and len(keys & set(own)) == 1}
        count = draw.randint(rows // 2, rows)
        drawn = [_column(kinds[i], known[i], count, i in alone, draw) for i in own]
        for values in zip(*drawn, strict=True):
            statements.append(f'INSERT INTO "{name}" VALUES ({", ".join(map(_value, values))});')
    return "\n".join(statements)


def _type(kind: str) -> str:
    return "NUMERIC" if kind == "number" else "TEXT"


def _column(kind: str, known: Sequence[Any], count: int, distinct: bool, draw: random.Random) -> list[Any]:
    if kind == "number":
        numbers = [float(value) for value in known if isinstance(value, float)]
        near = [value + step for value in numbers for step in (-1.0, 0.0, 1.0)]
        values: list[Any] = near * 2 + [float(i) for i in range(1, 8)]
    else:
        values = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in known] * 4 + list(WORDS)
    if distinct:
        values = list(dict.fromkeys(values))
        values += [float(100 + i) if kind == "number" else f"{WORDS[0]} {i}" for i in range(count)]
        return draw.sample(values, count) if kind != "number" else [float(i + 1) for i in range(count)]
    return [draw.choice(values) for _ in range(count)]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    return "'" + str(value).replace("'", "''") + "'"
