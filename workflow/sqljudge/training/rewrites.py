"""Other ways to write a query that are meant to keep its result; whether they do is decided by running them.

Knows syntax trees, no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from sqlglot import exp

from sqljudge.training.trees import Change, Tree, text_of


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


def not_in_to_left_join(select: exp.Select) -> Iterator[Tree]:
    """NOT IN the column of a table becomes a LEFT JOIN that finds nothing."""
    where = select.args.get("where")
    inside: Tree = where.this.this if where and isinstance(where.this, exp.Not) else None
    found = _inner(inside) if isinstance(inside, exp.In) else None
    if not found or len(_tables(select)) != 1 or select.args.get("group"):
        return
    inner, outer = found, _tables(select)[0]
    if len(_tables(inner)) != 1 or not isinstance(inner.expressions[0], exp.Column):
        return
    other = _tables(inner)[0]
    if inner.args.get("group") or inner.args.get("limit") or outer.alias_or_name == other.alias_or_name:
        return
    theirs = exp.column(inner.expressions[0].name, table=other.alias_or_name)
    on: Tree = exp.EQ(this=exp.column(inside.this.name, table=outer.alias_or_name), expression=theirs)
    if inner_where := inner.args.get("where"):
        on = exp.and_(on, _named(inner_where.this, other))
    plain = select.copy()
    plain.set("where", None)
    plain = plain.join(other.copy(), on=on, join_type="left").where(exp.Is(this=theirs.copy(), expression=exp.Null()))
    for part in plain.expressions:
        part.replace(_named(part, outer))
    yield plain


def _inner(inside: exp.In) -> exp.Select | None:
    """The sub-select of one column that a column is compared with."""
    query = inside.args.get("query")
    inner = query.this if isinstance(query, exp.Subquery) else query
    if isinstance(inside.this, exp.Column) and isinstance(inner, exp.Select) and len(inner.expressions) == 1:
        return inner
    return None


def _named(tree: Tree, table: exp.Table) -> Tree:
    """A copy in which columns without a table are those of one."""
    copy = exp.paren(tree.copy()).this
    for column in [copy] if isinstance(copy, exp.Column) else list(copy.find_all(exp.Column)):
        if not column.table:
            column.set("table", exp.to_identifier(table.alias_or_name))
    return cast(Tree, copy)


def comma_join(select: exp.Select) -> Iterator[Tree]:
    """JOIN ... ON becomes a list of tables and conditions."""
    joins = select.args.get("joins") or []
    if not joins or any(join.args.get("side") or not join.args.get("on") for join in joins):
        return
    plain = select.copy()
    plain.set("joins", [exp.Join(this=join.this.copy()) for join in joins])
    own = plain.args.get("where")
    plain.set("where", None)
    yield plain.where(*(join.args["on"].copy() for join in joins), *([own.this] if own else []))


def group_to_subselect(select: exp.Select) -> Iterator[Tree]:
    """An aggregate of each row's partners becomes a sub-select of the row."""
    found, group = _joined(select), select.args.get("group")
    if not found or not group or select.args.get("where") or len(group.expressions) != 1:
        return
    tables, own, other = found[:2], found[2], found[3]
    for kept, dropped, key, foreign in ((tables[0], tables[1], own, other), (tables[1], tables[0], other, own)):
        if not isinstance(group.expressions[0], exp.Column) or not _of(kept, group.expressions[0]):
            continue
        asked = exp.select("1").from_(dropped.copy()).where(exp.EQ(this=foreign.copy(), expression=key.copy()))

        def value(node: Tree, asked: exp.Select = asked) -> Tree:
            return exp.paren(asked.copy().select(node.copy(), append=False)).this.subquery()

        plain = select.copy()
        for part in ("joins", "group", "having"):
            plain.set(part, None)
        plain = plain.from_(kept.copy(), copy=False)
        filters = [exp.Exists(this=asked.copy())]
        if having := select.args.get("having"):
            filters = [having.this.copy()]
        plain = plain.where(*filters)
        for node in list(plain.find_all(exp.AggFunc)):
            if node.find_ancestor(exp.Exists) is None:
                node.replace(value(node))
        if all(_of(kept, part) for part in select.expressions if not part.find(exp.AggFunc)):
            yield plain


def filter_first(select: exp.Select) -> Iterator[Tree]:
    """The rows of one table are filtered in a sub-select."""
    where = select.args.get("where")
    if not where or len(_tables(select)) != 1 or select.args.get("joins"):
        return
    table = _tables(select)[0]
    inner = exp.select("*").from_(exp.to_table(table.name)).where(where.this.copy())
    if where.this.find(exp.Subquery) or any(column.table for column in where.this.find_all(exp.Column)):
        return
    plain = select.copy()
    plain.set("where", None)
    yield plain.from_(inner.subquery(table.alias_or_name), copy=False)


def negated(select: exp.Select) -> Iterator[Tree]:
    """A comparison becomes the opposite of its opposite."""
    others: dict[Any, Any] = {exp.GT: exp.LTE, exp.LT: exp.GTE, exp.EQ: exp.NEQ, exp.NEQ: exp.EQ}
    where = select.args.get("where")
    for kind, other in others.items():
        if where and type(where.this) is kind and isinstance(where.this.expression, exp.Literal):
            plain = select.copy()
            plain.set("where", None)
            opposite = other(this=where.this.this.copy(), expression=where.this.expression.copy())
            yield plain.where(exp.Not(this=exp.paren(opposite)))


def extreme_to_limit(select: exp.Select) -> Iterator[Tree]:
    """The MAX or MIN of a column becomes the first in order; a mean becomes a sum by a count."""
    only = select.expressions[0] if len(select.expressions) == 1 else None
    if not only or select.args.get("group") or not isinstance(only, (exp.Max, exp.Min, exp.Avg)):
        return
    if not isinstance(only.this, exp.Column):
        return
    column = only.this
    if isinstance(only, exp.Avg):
        total = exp.Mul(this=exp.Sum(this=column.copy()), expression=exp.Literal.number("1.0"))
        yield select.copy().select(
            exp.Div(this=total, expression=exp.Count(this=column.copy()), typed=True, safe=True), append=False
        )
        return
    order = exp.Ordered(this=column.copy(), desc=isinstance(only, exp.Max))
    yield select.copy().select(column.copy(), append=False).order_by(order).limit(1)


def distinct_to_group(select: exp.Select) -> Iterator[Tree]:
    """DISTINCT becomes GROUP BY."""
    if select.args.get("distinct") and not select.args.get("group") and not select.find(exp.AggFunc):
        plain = select.copy()
        plain.set("distinct", None)
        yield plain.group_by(*(part.copy() for part in select.expressions))


def named_count(select: exp.Select) -> Iterator[Tree]:
    """COUNT(*) gets a name."""
    if any(isinstance(part, exp.Count) and isinstance(part.this, exp.Star) for part in select.expressions):
        plain = select.copy()
        for part in plain.expressions:
            if isinstance(part, exp.Count) and isinstance(part.this, exp.Star):
                part.replace(exp.alias_(part.copy(), "number"))
        yield plain


def compound_to_in(tree: Tree) -> Iterator[Tree]:
    """INTERSECT and EXCEPT of one column become IN and NOT IN, UNION a sub-select."""
    first, second = tree.this, tree.expression
    if not isinstance(first, exp.Select) or not isinstance(second, exp.Select) or len(first.expressions) != 1:
        return
    column = first.expressions[0]
    if isinstance(tree, exp.Union):
        yield exp.select("*").from_(tree.copy().subquery("both_of_them"))
    elif isinstance(column, exp.Column) and not first.args.get("group"):
        inside: Tree = exp.In(this=column.copy(), query=second.copy().subquery())
        if isinstance(tree, exp.Except):
            inside = exp.Not(this=inside)
        yield first.copy().where(inside).distinct()


REWRITES: tuple[Change, ...] = (
    join_to_in,
    join_to_exists,
    limit_to_extreme,
    count_to_subselect,
    not_in_to_except,
    in_to_exists,
    range_to_between,
    other_aliases,
    not_in_to_left_join,
    comma_join,
    group_to_subselect,
    filter_first,
    negated,
    extreme_to_limit,
    distinct_to_group,
    named_count,
)
COMPOUND_REWRITES: tuple[Change, ...] = (compound_to_in,)
