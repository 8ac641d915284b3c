"""Where a cell's figure stands in a table of `resources/published.json`. Knows no metric and no format.

A lookup takes the paper's table, the variant of a cell, and the path of its measure in a metric file. It looks at what
the paper's table compares, and no more; a note says where a run's other settings are not the paper's. It gives nan
where the paper's table has such a cell but no figure in it, None where it has no such cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqljudge.core.variants import GREEDY, RERANK, Variant
from sqljudge.report.words import context_key

Figures = Mapping[str, Any]
Path = Sequence[str]
Lookup = Callable[[Figures, Variant, Path], float | None]

PAPER_REASONER = "distill-r1-1.5b"
"""The discriminator of the paper's Tables 4, 5, 6 and 8."""

_COLUMNS = {"failure_rate": "fail_rate"}
"""Measures that the published columns call something else."""


def _column(figures: Figures, rows: Mapping[str, Any], key: str, name: str) -> float | None:
    columns: list[str] = figures["columns"]
    name = _COLUMNS.get(name, name)
    if key not in rows or name not in columns:
        return None
    return _figure(rows[key][columns.index(name)] if rows[key] else None)


def _figure(value: float | None) -> float:
    return math.nan if value is None else value


def by_mode(figures: Figures, variant: Variant, path: Path) -> float | None:
    return _column(figures, figures.get(variant.mode, {}), variant.discriminator, path[-1])


def by_system(figures: Figures, variant: Variant, path: Path) -> float | None:
    greedy = f"greedy-{variant.generator}"
    alone = greedy if greedy in figures["ex"] else variant.generator if "decoding" in figures else None
    system = {RERANK: variant.discriminator, GREEDY: alone}.get(variant.planner)
    level, name = path
    return _figure(figures[name][system].get(level)) if system in figures[name] else None


def by_context(figures: Figures, variant: Variant, path: Path) -> float | None:
    return _of_reasoner(variant, _column(figures, figures, context_key(variant.context), path[-1]))


def by_budget(figures: Figures, variant: Variant, path: Path) -> float | None:
    return _of_reasoner(variant, _column(figures, figures, str(variant.budget), path[-1]))


def by_scoring(figures: Figures, variant: Variant, path: Path) -> float | None:
    rows: Any = figures.get(variant.mode, {})
    if len(path) == 1:
        return _of_reasoner(variant, _column(figures, rows, variant.scoring, path[0]))
    found = rows.get(variant.scoring)
    return _of_reasoner(variant, _figure(found.get(path[1], {}).get(path[0])) if found else None)


def _of_reasoner(variant: Variant, value: float | None) -> float | None:
    return value if variant.discriminator == PAPER_REASONER else None
