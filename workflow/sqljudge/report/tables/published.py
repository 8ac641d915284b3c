"""Where the paper's figure for a cell stands in `resources/published.json`. Knows no metric and no format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqljudge.report.tables.measures import Measure, Settings

Published = Mapping[str, Any]
Lookup = Callable[[Mapping[str, Any], Settings, Measure], float | None]

PAPER_REASONER = "distill-r1-1.5b"
"""The discriminator of the paper's Tables 4, 5, 6 and 8."""

_NO_SCHEMA = {"none", "no_schema", "no-schema", "noschema", "plain"}


def context_key(context: Any) -> str:
    """The published name of a context: "no_schema" or "schema"."""
    return "no_schema" if str(context).lower() in _NO_SCHEMA else str(context)


def _position(columns: list[str], values: list[float | None] | None, key: str) -> float | None:
    return values[columns.index(key)] if values and key in columns else None


def _by_mode(table: Mapping[str, Any], settings: Settings, measure: Measure) -> float | None:
    values = table.get(str(settings.get("mode")), {}).get(settings.get("discriminator"))
    return _position(table["columns"], values, measure.key)


def _by_system(table: Mapping[str, Any], settings: Settings, measure: Measure) -> float | None:
    generator = settings.get("generator")
    greedy = f"greedy-{generator}"
    alone = greedy if greedy in table["ex"] else generator if "decoding" in table else None
    system = {"rerank": settings.get("discriminator"), "greedy": alone}.get(str(settings.get("planner")))
    if measure.family == "partial":
        return _position(table["partial_all"]["columns"], table["partial_all"].get(system), measure.key)
    found: float | None = table[measure.family].get(system, {}).get(measure.key)
    return found


def _by_context(table: Mapping[str, Any], settings: Settings, measure: Measure) -> float | None:
    if settings.get("discriminator") != PAPER_REASONER:
        return None
    return _position(table["columns"], table.get(context_key(settings.get("context"))), measure.key)


def _by_scoring(table: Mapping[str, Any], settings: Settings, measure: Measure) -> float | None:
    if settings.get("discriminator") != PAPER_REASONER:
        return None
    found = table.get(str(settings.get("mode")), {}).get(str(settings.get("scoring")))
    if measure.family == "intrinsic":
        return _position(table["columns"], found, measure.key)
    value: float | None = (found or {}).get(measure.family, {}).get(measure.key)
    return value


def _by_budget(table: Mapping[str, Any], settings: Settings, measure: Measure) -> float | None:
    if settings.get("discriminator") != PAPER_REASONER:
        return None
    return _position(table["columns"], table.get(str(settings.get("budget"))), measure.key)


LOOKUPS: dict[str, Lookup] = {
    "table1": _by_mode,
    "table2": _by_system,
    "table3": _by_system,
    "table4": _by_context,
    "table5": _by_scoring,
    "table6": _by_scoring,
    "table7": _by_system,
    "table8": _by_budget,
    "thresholds": _by_mode,
}

_SAME_ROWS = {"thresholds": "table1"}
"""Tables beyond the paper's that repeat one of its columns: where the paper's figures of their rows stand."""


def published_name(table: str) -> str:
    """The paper's table that holds the figures for a table's rows: itself, but for those beyond the paper's."""
    return _SAME_ROWS.get(table, table)


def published_value(published: Published, table: str, settings: Settings, measure: Measure) -> float | None:
    """The paper's figure of a measure at some settings in one of its tables, in the measure's unit; None if none.

    Only what names the system (discriminator, generator, mode, scoring, context, budget where the table compares
    them) is looked at: a note says where a run's other settings are not the paper's.
    """
    place = published_name(table)
    if place not in published:
        return None
    return LOOKUPS[table](published[place], settings, measure)
