"""Random databases of a schema, on which queries are told apart. Knows schemas and no model."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from sqljudge.training.trees import parsed

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


def random_database(schema: Mapping[str, Any], literals: Mapping[str, Sequence[Any]], seed: int, rows: int = 24) -> str:
    """SQL text of a database with the tables of an entry of Spider's tables.json, and random rows.

    Columns that a foreign key joins share their values; a primary key of one column has distinct ones. A column holds
    values that queries compare it with, and others; numbers that nothing joins have a wide range, so that extremes are
    seldom ties.
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
        wide = {i for i in own if kinds[i] == "number" and alike.count(alike[i]) == 1}
        drawn = [_column(kinds[i], known[i], count, i in alone, i in wide, draw) for i in own]
        for values in zip(*drawn, strict=True):
            statements.append(f'INSERT INTO "{name}" VALUES ({", ".join(map(_value, values))});')
    return "\n".join(statements)


def _type(kind: str) -> str:
    return "NUMERIC" if kind == "number" else "TEXT"


def _column(kind: str, known: Sequence[Any], count: int, distinct: bool, wide: bool, draw: random.Random) -> list[Any]:
    if kind == "number":
        numbers = [float(value) for value in known if isinstance(value, float)]
        near = [value + step for value in numbers for step in (-1.0, 0.0, 1.0)]
        values: list[Any] = near * 2 + [float(i) for i in range(1, 8)]
        if wide:  # the largest and the smallest are seldom there twice
            most = max([*map(abs, numbers), 10.0])
            values += [float(round(draw.uniform(-0.5, 1.5) * most)) for _ in range(2 * count)]
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
