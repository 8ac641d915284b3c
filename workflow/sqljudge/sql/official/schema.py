"""A database's tables, columns and foreign keys, as the official evaluator sees them. Opens no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json

STAR = "*"
"""The name of the column `*`."""


@dataclass(frozen=True, eq=False)
class Schema:
    """Names are in lower case; a column's full name is `table.column`. Equal only to itself, so that it can be hashed.

    `tables`: table -> its columns. `key_names`: the full name of a foreign-key column -> the one name that stands for
    all columns linked with it (evaluator rules, section 2).
    """

    db_id: str
    tables: Mapping[str, frozenset[str]]
    key_names: Mapping[str, str]

    @classmethod
    def from_tables_json(cls, entry: Mapping[str, Any]) -> Schema:
        """From one entry of Spider's `tables.json`. Raises DataError if a field is missing or malformed."""
        db_id = str(entry.get("db_id", "?"))
        try:
            names = [str(name).lower() for name in entry["table_names_original"]]
            columns = [(int(table), str(column).lower()) for table, column in entry["column_names_original"]]
            full = [f"{names[table]}.{column}" if table >= 0 else STAR for table, column in columns]
            tables = {name: frozenset(c for t, c in columns if t == at) for at, name in enumerate(names)}
            return cls(db_id, tables, _key_names(entry["foreign_keys"], full))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f"tables.json, entry {db_id!r}: not a Spider schema ({type(error).__name__}: {error})"
            raise DataError(f"{what}; take the file from the Spider download") from error

    def has_column(self, table: str, column: str) -> bool:
        """Whether there is such a table with such a column."""
        return column in self.tables.get(table, ())


def _key_names(foreign_keys: Sequence[Sequence[int]], full: Sequence[str]) -> dict[str, str]:
    """Group linked columns in file order: a pair joins the first group that holds either end; groups never merge."""
    groups: list[set[int]] = []
    for one, other in foreign_keys:
        group = next((g for g in groups if one in g or other in g), None)
        if group is None:
            groups.append(group := set())
        group.update((one, other))
    return {full[column]: full[min(group)] for group in groups for column in sorted(group)}


def load_schemas(path: str | Path) -> dict[str, Schema]:
    """All schemas of a `tables.json`, by db_id. Raises DataError if it is missing or not such a file."""
    entries = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "db_id" in entry for entry in entries):
        raise DataError(f"{path}: not a Spider tables.json (a list of objects with db_id); take it from the download")
    return {str(entry["db_id"]): Schema.from_tables_json(entry) for entry in entries}
