"""The figures by name; those drawn from tables: Table 8 against the budget, accuracy by hardness. Knows no metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.report.figures.pareto import accuracy_against_tokens
from sqljudge.report.figures.planner_costs import accuracy_of_planners
from sqljudge.report.figures.plotting import INK, STYLE, shades
from sqljudge.report.figures.reliability import reliability_diagram
from sqljudge.report.tables import Cell, Column, Table, build_table
from sqljudge.report.tables.render import heading

HATCHES = ("", "////", "", "\\\\\\\\", "", "xxxx")
MARKERS = "osv^PXd<>h"
_HOLLOW: Any = {"marker": "D", "mfc": "white", "mec": INK, "mew": 1.0, "color": INK, "lw": 0.9}
_LINES = (0.1, 0.72)  # a line needs more contrast with the paper than a bar
_WIDEST_BAR = 0.3
_LEAST_SPAN = {"%": 5.0, "bits": 0.5}


def _arms(cell: Cell) -> list[list[float]]:
    """The interval as distances from the value: [[down], [up]]; zero where there is none."""
    value = cell.value or 0.0
    low, high = (value if bound is None else bound for bound in (cell.low, cell.high))
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def _group(table: Table, heading: str) -> list[int]:
    for found, positions in table.groups():
        if found.startswith(heading):
            return positions
    raise DataError(f"{table.name} has no columns under {heading!r}; draw this figure from Table 2, 3 or 7")


def _label(row_labels: Sequence[str], cells: Sequence[Cell]) -> str:
    text = ", ".join(label for label in row_labels if label != "–")
    return text if any(cell.value is not None for cell in cells) else f"{text} (not run)"


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
        axes.errorbar(place, cell.value, yerr=_arms(cell), path_effects=halo, **whisker)
    if cell.published is not None:
        size = min(5.5, max(3.2, 22 * width))
        right = place + (0.24 * width if cell.value is not None else 0.0)
        axes.plot(right, cell.published, ms=size, zorder=5, clip_on=False, **_HOLLOW)


def _published_key(linestyle: Any) -> Line2D:
    return Line2D([], [], linestyle=linestyle, ms=5, label="published", **_HOLLOW)


def accuracy_by_hardness(table: Table) -> Figure:
    """Bars of execution accuracy, a group per hardness, a bar per row of Table 2, 3 or 7; whiskers are intervals."""
    positions = _group(table, "Execution accuracy")
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
            label=_label(row.labels, [row.cells[p] for p in positions]),
        )
        for index, row in enumerate(table.rows)
    ]
    _legend(figure, keys, shown, "none")
    return figure


def _legend(figure: Figure, keys: list[Any], cells: Sequence[Cell], linestyle: str) -> None:
    if any(cell.published is not None for cell in cells):
        keys = [*keys, _published_key(linestyle)]
    across = min(len(keys), 4 if len(keys) % 4 != 1 or len(keys) > 9 else 3)
    figure.legend(handles=keys, loc="outside upper center", ncols=across, frameon=False)


@dataclass(frozen=True, slots=True)
class _Curve:
    label: str
    budgets: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]


def _curves(table: Table) -> list[_Curve]:
    """The rows of Table 8 as one curve per discriminator, each from the smallest budget to the largest."""
    place = next((i for i, header in enumerate(table.row_headers) if header.startswith("Budget")), None)
    if place is None:
        raise DataError(f"{table.name} has no budgets; draw this figure from Table 8")
    found: dict[str, dict[int, tuple[Cell, ...]]] = {}
    for row in table.rows:
        label = ", ".join(text for i, text in enumerate(row.labels) if i != place)
        found.setdefault(label, {})[int(row.labels[place])] = row.cells
    return [
        _Curve(label, tuple(sorted(rows)), tuple(rows[budget] for budget in sorted(rows)))
        for label, rows in found.items()
    ]


def _places(budgets: Sequence[int]) -> dict[int, float]:
    """Where budgets stand on a logarithmic axis: a budget of 0 as if it were half the next."""
    least = min((budget for budget in budgets if budget), default=2)
    return {budget: budget or least / 2 for budget in budgets}


def _draw_curve(
    axes: Axes, curve: _Curve, position: int, colour: Any, marker: str, shift: float, places: Mapping[int, float]
) -> None:
    """A curve with its intervals; `shift` is a factor on the budget's place that keeps curves' intervals apart."""
    points = [(places[budget] * shift, row[position]) for budget, row in zip(curve.budgets, curve.rows, strict=True)]
    ours = [(budget, cell, cell.value) for budget, cell in points if cell.value is not None]
    if ours:
        axes.plot([x for x, _, _ in ours], [y for _, _, y in ours], color=colour, marker=marker, ms=4, lw=1.4)
        for budget, cell, value in ours:
            axes.errorbar(budget, value, yerr=_arms(cell), fmt="none", ecolor=colour, elinewidth=1.0, capsize=2)
    known = [(budget, cell.published) for budget, cell in points if cell.published is not None]
    if known:
        axes.plot(
            [x for x, _ in known], [y for _, y in known], linestyle=":", ms=7, zorder=4, **{**_HOLLOW, "mfc": "none"}
        )


def _widen(axes: Axes, unit: str) -> None:
    """Give an axis at least the least span of its unit, so that a flat curve looks flat; shares stay in 0 to 100."""
    low, high = axes.get_ylim()
    lacking = max(0.0, _LEAST_SPAN[unit] - (high - low)) / 2
    low, high = low - lacking, high + lacking
    if unit == "%":
        low, high = max(low, -2.0), min(high, 102.0)
    axes.set_ylim(max(low, -0.02 * (high - low)) if low < 0 else low, high)


def curves_by_budget(table: Table) -> Figure:
    """Table 8's columns against the budget: a panel per column, a row of panels per column group."""
    curves = _curves(table)
    groups = table.groups()
    across = max(len(positions) for _, positions in groups)
    figure = Figure(figsize=(2.35 * across, 2.45 * len(groups) + 0.4), layout="constrained")
    grid = figure.subplots(len(groups), across, squeeze=False)
    places = _places(sorted({budget for curve in curves for budget in curve.budgets}))
    colours = shades(len(curves), *_LINES)
    for (_, positions), line in zip(groups, grid, strict=True):
        for axes in line[len(positions) :]:
            axes.set_visible(False)
        for position, axes in zip(positions, line, strict=False):
            for index, curve in enumerate(curves):
                shift = 1.025 ** (index - (len(curves) - 1) / 2)
                _draw_curve(axes, curve, position, colours[index], MARKERS[index % len(MARKERS)], shift, places)
            _budget_panel(axes, table.columns[position], places)
    keys: list[Any] = [
        Line2D([], [], color=colour, marker=marker, ms=4, lw=1.4, label=_label([curve.label], sum(curve.rows, ())))
        for curve, colour, marker in zip(curves, colours, MARKERS * len(curves), strict=False)
    ]
    _legend(figure, keys, [cell for _, _, cell in table.cells()], ":")
    return figure


def _budget_panel(axes: Axes, column: Column, places: Mapping[int, float]) -> None:
    if not axes.has_data():
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", va="center", color=INK, style="italic")
        axes.set_yticks([])
    else:
        _widen(axes, column.unit)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(places.values()), [str(budget) for budget in places], rotation=60, fontsize=7.5)
    axes.minorticks_off()
    axes.set_xlim(min(places.values()) / 1.15, max(places.values()) * 1.15)
    axes.set_title(heading(column), fontsize=9.5, loc="left")
    axes.set_xlabel("Budget (tokens)", fontsize=8)


Draw = Callable[[Mapping[str, Any], Sequence[dict[str, Any]], Mapping[str, Any], Mapping[str, str], str | None], Figure]
"""Draws a figure from an experiment, metrics, published figures, labels and, if not its own table, another's name."""


def _of_table(own: str, draw: Callable[[Table], Figure]) -> Draw:
    """How a figure is drawn that shows what stands in a table."""
    return lambda experiment, metrics, published, display, table: draw(
        build_table(table or own, experiment, metrics, published, display)
    )


FIGURES: dict[str, Draw] = {
    "figure4": _of_table("table8", curves_by_budget),
    "figure5": _of_table("table7", accuracy_by_hardness),
    "reliability": lambda experiment, metrics, _published, display, _table: reliability_diagram(
        experiment, metrics, display
    ),
    "pareto": lambda experiment, metrics, _published, display, _table: accuracy_against_tokens(
        experiment, metrics, display
    ),
    "planner_costs": lambda experiment, metrics, _published, display, _table: accuracy_of_planners(
        experiment, metrics, display
    ),
}
"""How each figure is drawn."""


def draw_figure(
    name: str,
    experiment: Mapping[str, Any],
    metrics: Sequence[dict[str, Any]],
    published: Mapping[str, Any],
    display: Mapping[str, str],
    table: str | None = None,
) -> Figure:
    """One of FIGURES from a run's metrics; the arguments are those of `build_table`.

    `table`: draw it from another table of the same form (Figure 5 also from Tables 2 and 3).
    Raises ConfigError for an unknown figure, DataError for a table that the figure cannot be drawn from.
    """
    if name not in FIGURES:
        raise ConfigError(f"{name}: no such figure; there are {', '.join(FIGURES)}")
    with matplotlib.rc_context(STYLE):
        return FIGURES[name](experiment, metrics, published, display, table)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format that the file's ending names; equal figures give equal SVG and PDF files."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix)
    FigureCanvasAgg(figure)
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, metadata=metadata, dpi=160)
