"""Spider's format: the hardness of a question is that of its gold query. Knows no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqljudge.formats.base import DatasetFormat
from sqljudge.records import HARDNESS
from sqljudge.sql.hardness import hardness
from sqljudge.sql.schema import Schema


def _level(row: Mapping[str, Any], gold: str, schema: Schema) -> str:
    return hardness(gold, schema)


SPIDER = DatasetFormat(
    title="Spider",
    levels=HARDNESS,
    level=_level,
    level_word="hardness",
    comparison="test_suite",
    gold_field="query",
    published="resources/published.json",
)
