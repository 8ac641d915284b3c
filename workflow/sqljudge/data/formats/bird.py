"""BIRD's format: difficulty and external knowledge are given with each question. Knows no file.

Li et al. 2023, Can LLM Already Serve as a Database Interface? (BIRD). The layout is that of its development set.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.data.formats.base import DatasetFormat
from sqljudge.sql.official.schema import Schema

DIFFICULTIES = ("simple", "moderate", "challenging")


def _level(row: Mapping[str, Any], gold: str, schema: Schema) -> str:
    given = row.get("difficulty")
    if given not in DIFFICULTIES:
        near = get_close_matches(str(given), DIFFICULTIES, 1, 0.5)
        advice = f"did you mean '{near[0]}'?" if near else f"it must be one of {', '.join(DIFFICULTIES)}"
        raise DataError(f"difficulty is {given!r}; {advice}")
    return str(given)


BIRD = DatasetFormat(
    title="BIRD",
    levels=DIFFICULTIES,
    level=_level,
    level_word="difficulty",
    comparison="set",
    gold_field="SQL",
    published="resources/unpublished.json",
    knowledge_field="evidence",
    tables_file="dev_tables.json",
    databases_folder="dev_databases",
    databases_archive="dev_databases.zip",
    quoted_names=True,
)
