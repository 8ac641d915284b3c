"""What all figures have in common: type, ink, and shades that can be told apart. Knows no metric and no figure."""

from __future__ import annotations

from typing import Any

import matplotlib

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


def shades(count: int, low: float = 0.08, high: float = 0.9) -> list[Any]:
    """Colours from dark to light, told apart by lightness alone, so in grey and with any colour vision too."""
    places = [low + (high - low) * (i / max(1, count - 1)) for i in range(count)] if count > 1 else [0.3]
    return [matplotlib.colormaps["viridis"](place) for place in places]
