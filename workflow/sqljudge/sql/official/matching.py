"""Exact and partial match of a prediction with the gold query (evaluator rules, sections 2 to 4). Runs no SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from sqljudge.core.errors import UnreadableSql
from sqljudge.core.records import Hardness
from sqljudge.sql.official.hardness import hardness_of
from sqljudge.sql.official.parse import Column, Condition, Item, Order, Query, Unit, Value, parse
from sqljudge.sql.official.schema import Schema

PARSE_CACHE = 4096


class Component(NamedTuple):
    """How one component of two queries compares: the three scores, 0 or 1, and the things counted on each side."""

    acc: int
    rec: int
    f1: int
    gold: int
    pred: int


PartialScores = Mapping[str, Component]
"""The ten components by name, in the official order."""


@dataclass(frozen=True)
class Match:
    """What exact and partial match say of one prediction. `parsed`: whether the official parser can read it."""

    hardness: Hardness
    parsed: bool
    exact: bool
    partial: PartialScores


def match(gold_sql: str, pred_sql: str, schema: Schema) -> Match:
    """Compare a prediction, as written, with the gold query. Raises UnreadableSql if the *gold* cannot be read."""
    gold = _parsed(gold_sql, schema)
    pred, parsed = Query(), True
    try:
        pred = _parsed(as_official(pred_sql), schema)
    except UnreadableSql:
        parsed = False
    gold_form, pred_form = _comparable(gold, schema), _comparable(pred, schema)
    partial = partial_match(gold_form, pred_form)
    return Match(hardness_of(gold), parsed, exact_match(gold_form, pred_form, partial), partial)


def as_official(pred_sql: str) -> str:
    """The prediction as the official program takes it up: with the text `value` replaced by `1`."""
    return pred_sql.replace("value", "1")


_parsed = lru_cache(maxsize=PARSE_CACHE)(parse)
"""Gold queries recur; so do predictions. What cannot be read is read again: an exception is not kept."""


# --- both sides in the form in which they are compared --------------------------------------------------------------


def _comparable(query: Query, schema: Schema) -> Query:
    own = {table for table in query.tables if isinstance(table, str)}
    names = {name: key for name, key in schema.key_names.items() if name.partition(".")[0] in own}
    return _with_keys(without_values(query), names)


def without_values(query: Query) -> Query:
    """The query with all values dropped but sub-selects, which are treated alike. Sub-selects in FROM are left."""
    return replace(
        query,
        joins=_valueless(query.joins),
        where=_valueless(query.where),
        having=_valueless(query.having),
        right=query.right and without_values(query.right),
    )


def _valueless(conditions: tuple[Condition | str, ...]) -> tuple[Condition | str, ...]:
    """Only what stands in a condition's place: a condition at an odd place keeps its values."""

    def kept(value: Value) -> Value:
        return without_values(value) if isinstance(value, Query) else None

    return _at_even(conditions, lambda c: c._replace(value=kept(c.value), second=kept(c.second)))


def _with_keys(query: Query, names: Mapping[str, str]) -> Query:
    """Linked columns by one name and no `distinct`; sub-selects in conditions and in FROM are left as they are."""

    def column(one: Column) -> Column:
        return Column(one.aggregate, names.get(one.name, one.name), False)

    def unit(one: Unit) -> Unit:
        return Unit(one.operator, column(one.left), one.right and column(one.right))

    def conditions(some: tuple[Condition | str, ...]) -> tuple[Condition | str, ...]:
        return _at_even(some, lambda c: c._replace(unit=unit(c.unit)))

    order = query.order_by
    return replace(
        query,
        items=tuple(Item(item.aggregate, unit(item.unit)) for item in query.items),
        distinct=False,
        joins=conditions(query.joins),
        where=conditions(query.where),
        having=conditions(query.having),
        group_by=tuple(map(column, query.group_by)),
        order_by=order and Order(order.direction, tuple(map(unit, order.units))),
        right=query.right and _with_keys(query.right, names),
    )


def _at_even(
    conditions: tuple[Condition | str, ...], change: Callable[[Condition], Condition]
) -> tuple[Condition | str, ...]:
    return tuple(
        change(entry) if at % 2 == 0 and isinstance(entry, Condition) else entry for at, entry in enumerate(conditions)
    )


# --- the ten components ---------------------------------------------------------------------------------------------


def partial_match(gold: Query, pred: Query) -> PartialScores:
    """The ten components of two queries in comparable form."""
    return {name: _scored(*count(gold, pred)) for name, count in COMPONENTS.items()}


def exact_match(gold: Query, pred: Query, partial: PartialScores) -> bool:
    """Whether all components agree and, if the gold has a FROM, the two hold the same tables and sub-selects."""
    if any(component.f1 != 1 for component in partial.values()):
        return False
    return not gold.tables or Counter(gold.tables) == Counter(pred.tables)


def _scored(gold: int, pred: int, matched: int) -> Component:
    """All or nothing: 1 for accuracy, recall and F1 if everything on both sides is matched, else 0."""
    score = int(gold == pred == matched)
    return Component(score, score, score, int(gold), int(pred))


def _bags(gold: Iterable[Any], pred: Iterable[Any]) -> tuple[int, int, int]:
    golds, preds = Counter(gold), Counter(pred)
    return golds.total(), preds.total(), (golds & preds).total()


def _where_plain(gold: Query, pred: Query) -> tuple[int, int, int]:
    sides = ([entry.unit for entry in query.where[::2] if isinstance(entry, Condition)] for query in (gold, pred))
    return _bags(*sides)


def _group_plain(gold: Query, pred: Query) -> tuple[int, int, int]:
    sides = ([column.name.split(".")[:2][-1] for column in query.group_by] for query in (gold, pred))
    return _bags(*sides)


def _group(gold: Query, pred: Query) -> tuple[int, int, int]:
    both = bool(gold.group_by and pred.group_by)
    same = [column.name for column in gold.group_by] == [column.name for column in pred.group_by]
    return bool(gold.group_by), bool(pred.group_by), both and same and gold.having == pred.having


def _order(gold: Query, pred: Query) -> tuple[int, int, int]:
    same = gold.order_by is not None and gold.order_by == pred.order_by and gold.limit == pred.limit
    return gold.order_by is not None, pred.order_by is not None, same


def _and_or(gold: Query, pred: Query) -> tuple[int, int, int]:
    """Sic: the two counts are swapped, and only where the sets differ."""
    golds, preds = set(gold.where[1::2]), set(pred.where[1::2])
    return (1, 1, 1) if golds == preds else (len(preds), len(golds), 0)


def _set_operators(gold: Query, pred: Query) -> tuple[int, int, int]:
    matched = False
    if gold.right and pred.right and gold.set_operator == pred.set_operator:
        matched = exact_match(gold.right, pred.right, partial_match(gold.right, pred.right))
    return gold.right is not None, pred.right is not None, matched


def _keywords(gold: Query, pred: Query) -> tuple[int, int, int]:
    golds, preds = keywords(gold), keywords(pred)
    return len(golds), len(preds), len(golds & preds)


def keywords(query: Query) -> set[str]:
    """The keywords that the official program counts."""
    conditions = query.conditions()
    present = {
        "where": bool(query.where),
        "group": bool(query.group_by),
        "having": bool(query.having),
        "order": query.order_by is not None,
        "limit": query.limit,
        "or": "or" in query.connectives(),
        "not": any(condition.negated for condition in conditions),
        "in": any(condition.operator == "in" for condition in conditions),
        "like": any(condition.operator == "like" for condition in conditions),
    }
    found = {word for word, is_there in present.items() if is_there}
    return found | {word for word in (query.order_by and query.order_by.direction, query.set_operator) if word}


COMPONENTS: Mapping[str, Callable[[Query, Query], tuple[int, int, int]]] = {
    "select": lambda gold, pred: _bags(gold.items, pred.items),
    "select(no AGG)": lambda gold, pred: _bags((item.unit for item in gold.items), (item.unit for item in pred.items)),
    "where": lambda gold, pred: _bags(gold.where[::2], pred.where[::2]),
    "where(no OP)": _where_plain,
    "group(no Having)": _group_plain,
    "group": _group,
    "order": _order,
    "and/or": _and_or,
    "IUEN": _set_operators,
    "keywords": _keywords,
}
"""Component -> the counts in the gold, in the prediction, and matched (evaluator rules, section 3)."""
