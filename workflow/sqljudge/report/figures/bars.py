"""Bars of execution accuracy by hardness. Knows tables, no metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from sqljudge.core.errors import DataError
from sqljudge.report.figures.style import HOLLOW, INK, arms, legend, row_label, shades
from sqljudge.report.measures import EX
from sqljudge.report.table import Cell, Column, Table

HATCHES = ("", "////", "", "\\\\\\\\", "", "xxxx")
_WIDEST_BAR = 0.3


def accuracy_by_hardness(table: Table) -> Figure:
    """Bars of execution accuracy, a group per hardness, a bar per row of Table 2, 3 or 7; whiskers are intervals.

    Raises DataError for a table without execution accuracy.
    """
    positions = next((positions for heading, positions in table.groups() if heading == EX), [])
    if not positions:
        raise DataError(f"{table.name} has no columns under {EX!r}; draw this figure from Table 2, 3 or 7")
    count = len(table.rows)
    width = min(_WIDEST_BAR, 0.8 / count)
    colours = shades(count)
    shown = [row.cells[p] for row in table.rows for p in positions]
    figure = Figure(figsize=(max(6.4, 4.2 + 0.55 * count), 4.2), layout="constrained")
    axes = figure.add_subplot()
    centres = [index + (0.25 if table.columns[p].label == "All" else 0.0) for index, p in enumerate(positions)]
    for index, row in enumerate(table.rows):
        hatch = HATCHES[index % len(HATCHES)]
        for centre, p in zip(centres, positions, strict=True):
            place = centre + (index - (count - 1) / 2) * width
            _bar(axes, place, width, row.cells[p], colours[index], hatch)
    axes.set_xticks(centres, [_tick(table.columns[p], [row.cells[p] for row in table.rows]) for p in positions])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.55, centres[-1] + 0.55)
    axes.set_ylim(0, _top(shown))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel("Hardness of the question")
    axes.set_ylabel("Execution accuracy (%)")
    keys: list[Any] = [
        Patch(
            facecolor=colours[index],
            edgecolor=INK,
            linewidth=0.5,
            hatch=HATCHES[index % len(HATCHES)],
            label=row_label(row.labels, [row.cells[p] for p in positions]),
        )
        for index, row in enumerate(table.rows)
    ]
    legend(figure, keys, shown, "none")
    return figure


def _tick(column: Column, cells: Sequence[Cell]) -> str:
    counts = {cell.n for cell in cells if cell.n}
    return f"{column.label}\nn = {counts.pop():,}" if len(counts) == 1 else column.label


def _top(cells: Sequence[Cell]) -> float:
    """Where a per-cent axis ends: a multiple of ten above all that is drawn, at most 100."""
    drawn = [value for cell in cells for value in (cell.value, cell.high, cell.published) if value is not None]
    return min(100.0, max(10.0, 10 * math.ceil(max(drawn, default=100.0) * 1.02 / 10)))


def _bar(axes: Axes, place: float, width: float, cell: Cell, colour: Any, hatch: str) -> None:
    """One bar with its interval, and the published value as a hollow diamond right of the interval."""
    if cell.value is not None:
        bars: BarContainer = axes.bar(place, cell.value, 0.92 * width, color=colour, edgecolor=INK, linewidth=0.5)
        for patch in bars:
            patch.set_hatch(hatch)
        halo = [withStroke(linewidth=2.4, foreground="white")]
        whisker: dict[str, Any] = {"fmt": "none", "ecolor": INK, "elinewidth": 1.0, "capsize": min(4.0, 14 * width)}
        if cell.value == 0:  # a bar without height is not seen
            axes.annotate("0", (place, 0), (-4, 3), textcoords="offset points", ha="right", fontsize=8, color=INK)
        axes.errorbar(place, cell.value, yerr=arms((cell.value, cell.low, cell.high)), path_effects=halo, **whisker)
    if cell.published is not None:
        size = min(5.5, max(3.2, 22 * width))
        right = place + (0.24 * width if cell.value is not None else 0.0)
        axes.plot(right, cell.published, ms=size, zorder=5, clip_on=False, **HOLLOW)
