"""What figures have in common: type, ink, shades that can be told apart, and how cells of a table are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sqljudge.report.table import Cell

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "svg.hashsalt": "sqljudge",
    "pdf.fonttype": 42,
}
INK = "#262626"
HOLLOW: Any = {"marker": "D", "mfc": "white", "mec": INK, "mew": 1.0, "color": INK, "lw": 0.9}
"""How a published value is drawn."""


def shades(count: int, low: float = 0.08, high: float = 0.9) -> list[Any]:
    """Colours from dark to light, told apart by lightness alone, so in grey and with any colour vision too."""
    places = [low + (high - low) * (i / max(1, count - 1)) for i in range(count)] if count > 1 else [0.3]
    return [matplotlib.colormaps["viridis"](place) for place in places]


def say(axes: Axes, text: str) -> None:
    """Say in the middle of a panel why nothing is drawn there."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=INK, style="italic")


def arms(*bounds: tuple[float, float | None, float | None]) -> list[list[float]]:
    """Intervals as distances from their values, each given as value, low and high; zero where there is none.

    The distances down, then those up, as an error bar takes them.
    """
    down = [0.0 if low is None else max(0.0, value - low) for value, low, _ in bounds]
    return [down, [0.0 if high is None else max(0.0, high - value) for value, _, high in bounds]]


def row_label(labels: Sequence[str], cells: Sequence[Cell]) -> str:
    """A row's key in a legend, which says so if it was not run."""
    text = ", ".join(label for label in labels if label != "–")
    return text if any(cell.value is not None for cell in cells) else f"{text} (not run)"


def legend(figure: Figure, keys: list[Any], cells: Sequence[Cell], linestyle: Any) -> None:
    """A legend above all panels; with published values among the cells it has a key for them, too."""
    if any(cell.published is not None for cell in cells):
        keys = [*keys, Line2D([], [], linestyle=linestyle, ms=5, label="published", **HOLLOW)]
    across = min(len(keys), 4 if len(keys) % 4 != 1 or len(keys) > 9 else 3)
    fitting_legend(figure, keys, across, 9)


def fitting_legend(figure: Figure, keys: Sequence[Any], across: int, size: float) -> None:
    """A legend above all panels, in as many columns as the figure is wide enough for, at most `across`."""
    longest = max(len(str(key.get_label())) for key in keys)
    room = 72 * figure.get_figwidth() / (size * (0.6 * longest + 4))  # a letter is about 0.6 of its size wide
    columns = max(1, min(across, int(room)))
    figure.legend(handles=list(keys), loc="outside upper center", ncols=columns, frameon=False, fontsize=size)
