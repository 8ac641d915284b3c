"""Spider's format: the hardness of a question is that of its gold query. Knows no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqljudge.core.records import HARDNESS
from sqljudge.data.formats.base import DatasetFormat
from sqljudge.sql.official.hardness import hardness
from sqljudge.sql.official.schema import Schema


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
