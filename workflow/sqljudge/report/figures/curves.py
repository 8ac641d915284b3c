"""Curves of Table 8's columns against the token budget. Knows tables, no metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sqljudge.core.errors import DataError
from sqljudge.report.figures.style import HOLLOW, arms, legend, row_label, say, shades
from sqljudge.report.table import Cell, Column, Table

MARKERS = "osv^PXd<>h"
_LINES = (0.1, 0.72)  # a line needs more contrast with the paper than a bar
_LEAST_SPAN = {"%": 5.0, "bits": 0.5}


Curve = Mapping[int, tuple[Cell, ...]]
"""A discriminator's rows of a table, by budget, the smallest first."""


def curves_by_budget(table: Table) -> Figure:
    """Table 8's columns against the budget: a panel per column, a row of panels per column group.

    Raises DataError for a table without budgets.
    """
    curves = _curves(table)
    groups = table.groups()
    across = max(len(positions) for _, positions in groups)
    figure = Figure(figsize=(2.35 * across, 2.45 * len(groups) + 0.4), layout="constrained")
    grid = figure.subplots(len(groups), across, squeeze=False)
    budgets = sorted({budget for curve in curves.values() for budget in curve})
    least = min((budget for budget in budgets if budget), default=2)
    places = {budget: budget or least / 2 for budget in budgets}  # on a logarithmic axis 0 has no place of its own
    colours = shades(len(curves), *_LINES)
    for (_, positions), line in zip(groups, grid, strict=True):
        for axes in line[len(positions) :]:
            axes.set_visible(False)
        for position, axes in zip(positions, line, strict=False):
            for index, curve in enumerate(curves.values()):
                shift = 1.025 ** (index - (len(curves) - 1) / 2)  # keeps the curves' intervals apart
                points = [(places[budget] * shift, cells[position]) for budget, cells in curve.items()]
                _draw_curve(axes, points, colours[index], MARKERS[index % len(MARKERS)])
            _budget_panel(axes, table.columns[position], places)
    keys: list[Any] = [
        Line2D([], [], color=colour, marker=marker, ms=4, lw=1.4, label=row_label([label], sum(curve.values(), ())))
        for (label, curve), colour, marker in zip(curves.items(), colours, MARKERS * len(curves), strict=False)
    ]
    legend(figure, keys, [cell for _, _, cell in table.cells()], ":")
    return figure


def _curves(table: Table) -> dict[str, Curve]:
    place = next((i for i, header in enumerate(table.row_headers) if header.startswith("Budget")), None)
    if place is None:
        raise DataError(f"{table.name} has no budgets; draw this figure from Table 8")
    found: dict[str, dict[int, tuple[Cell, ...]]] = {}
    for row in table.rows:
        label = ", ".join(text for i, text in enumerate(row.labels) if i != place)
        found.setdefault(label, {})[int(row.labels[place])] = row.cells
    return {label: dict(sorted(rows.items())) for label, rows in found.items()}


def _draw_curve(axes: Axes, points: Sequence[tuple[float, Cell]], colour: Any, marker: str) -> None:
    """A curve with its intervals, and the published values."""
    ours = [(x, cell, cell.value) for x, cell in points if cell.value is not None]
    if ours:
        axes.plot([x for x, _, _ in ours], [y for _, _, y in ours], color=colour, marker=marker, ms=4, lw=1.4)
        for x, cell, value in ours:
            whiskers = arms((value, cell.low, cell.high))
            axes.errorbar(x, value, yerr=whiskers, fmt="none", ecolor=colour, elinewidth=1.0, capsize=2)
    known = [(x, cell.published) for x, cell in points if cell.published is not None]
    if known:
        look = {**HOLLOW, "mfc": "none"}
        axes.plot([x for x, _ in known], [y for _, y in known], linestyle=":", ms=7, zorder=4, **look)


def _budget_panel(axes: Axes, column: Column, places: Mapping[int, float]) -> None:
    if not axes.has_data():
        say(axes, "not run")
        axes.set_yticks([])
    else:
        _widen(axes, column.unit)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(places.values()), [str(budget) for budget in places], rotation=60, fontsize=7.5)
    axes.minorticks_off()
    axes.set_xlim(min(places.values()) / 1.15, max(places.values()) * 1.15)
    axes.set_title(column.heading, fontsize=9.5, loc="left")
    axes.set_xlabel("Budget (tokens)", fontsize=8)


def _widen(axes: Axes, unit: str) -> None:
    """Give an axis at least the least span of its unit, so that a flat curve looks flat; shares stay in 0 to 100."""
    low, high = axes.get_ylim()
    lacking = max(0.0, _LEAST_SPAN[unit] - (high - low)) / 2
    low, high = low - lacking, high + lacking
    if unit == "%":
        low, high = max(low, -2.0), min(high, 102.0)
    axes.set_ylim(max(low, -0.02 * (high - low)) if low < 0 else low, high)
