"""How hard a question is, from its gold query (evaluator rules, section 6). Knows no execution."""

from __future__ import annotations

from sqljudge.core.errors import DataError, UnreadableSql
from sqljudge.core.records import Hardness
from sqljudge.sql.official.parse import NONE, Condition, Query, parse
from sqljudge.sql.official.schema import Schema


def hardness(gold_sql: str, schema: Schema) -> Hardness:
    """The hardness class of a gold query.

    Raises DataError if the official parser cannot read the query.
    """
    try:
        return hardness_of(parse(gold_sql, schema))
    except UnreadableSql as error:
        what = f"gold query on {schema.db_id!r} cannot be read ({error}): {gold_sql.strip()!r}"
        raise DataError(f"{what}; check that the query and tables.json belong together") from error


def hardness_of(query: Query) -> Hardness:
    """The hardness class of a parsed query."""
    clauses, nested, others = _clauses(query), _nested(query), _others(query)
    if nested == 0:
        if clauses <= 1 and others == 0:
            return "easy"
        if (others <= 2 and clauses <= 1) or (clauses <= 2 and others < 2):
            return "medium"
        if (others > 2 and clauses <= 2) or (2 < clauses <= 3 and others <= 2):
            return "hard"
    elif nested == 1 and clauses <= 1 and others == 0:
        return "hard"
    return "extra"


def _clauses(query: Query) -> int:
    """Component 1: clauses, joins, `or` and `like`."""
    present = (bool(query.where), bool(query.group_by), query.order_by is not None, query.limit)
    joined = max(len(query.tables) - 1, 0)
    likes = sum(condition.operator == "like" for condition in query.conditions())
    return sum(present) + joined + query.connectives().count("or") + likes


def _nested(query: Query) -> int:
    """Component 2: selects inside conditions, and the right hand of a set operator."""
    values = [value for condition in query.conditions() for value in (condition.value, condition.second)]
    return sum(isinstance(value, Query) for value in values) + (query.right is not None)


def _others(query: Query) -> int:
    """Component 3: more than one of each of four things.

    As the official program counts them, a condition with `not` is an aggregate, and so is a word between two HAVING
    conditions; an aggregate inside a condition is none.
    """
    aggregates = sum(item.aggregate != NONE for item in query.items)
    aggregates += sum(isinstance(entry, Condition) and entry.negated for entry in query.where[::2])
    aggregates += sum(column.aggregate != NONE for column in query.group_by)
    for unit in query.order_by.units if query.order_by else ():
        aggregates += (unit.left.aggregate != NONE) + (unit.right is not None and unit.right.aggregate != NONE)
    aggregates += sum(entry.negated if isinstance(entry, Condition) else True for entry in query.having)
    return sum((aggregates > 1, len(query.items) > 1, len(query.where) > 1, len(query.group_by) > 1))
