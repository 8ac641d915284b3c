"""The reliability diagram: how often a candidate is correct against the probability that it was given.

Knows calibration metrics, not how they came to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from sqljudge.core.variants import Experiment
from sqljudge.report.cells import Metric, Results
from sqljudge.report.figures.style import INK, arms, say, shades
from sqljudge.report.words import label

ACROSS = 3


def reliability_diagram(experiment: Experiment, results: Results) -> Figure:
    """A panel for each mode and discriminator of the table of thresholds.

    A filled mark is a bin of scores as they are, a hollow one a bin after temperature scaling; whiskers are 95 %
    intervals over questions, and the bars at the foot say how the scores as they are spread over the bins.
    """
    panels = sorted(experiment.variants(), key=lambda variant: experiment.modes.index(variant.mode))
    across = min(len(experiment.discriminators), ACROSS)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(0.6 + 2.7 * across, 0.7 + 2.75 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    colour = shades(2, 0.25, 0.25)[0]
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for variant, axes in zip(panels, grid.flat, strict=False):
        _panel(axes, results.metric("calibration", variant), colour)
        names = (label(setting, getattr(variant, setting), results.display) for setting in ("discriminator", "mode"))
        axes.set_title("\n".join(names), fontsize=9, loc="left")
    figure.supxlabel("Probability that the candidate is correct, as given", fontsize=9)
    figure.supylabel("Share of candidates that are correct", fontsize=9)
    keys = [
        Line2D([], [], color=colour, mfc=colour, marker="o", ms=4.5, lw=1.3, label="scores as they are"),
        Line2D([], [], color=INK, mfc="white", marker="s", ms=4.5, lw=0.9, linestyle="--", label="temperature scaled"),
        Line2D([], [], color=INK, lw=0.8, linestyle=":", label="as often as said"),
    ]
    figure.legend(handles=keys, loc="outside upper center", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, metric: Metric | None, colour: Any) -> None:
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, linestyle=":", zorder=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.25))
    axes.tick_params(labelsize=8)
    bins = metric["reliability"] if metric else {"raw": [], "scaled": []}
    if not bins["raw"]:
        say(axes, "no probabilities" if metric else "not run")
        return
    _spread(axes, bins["raw"], colour)
    _curve(axes, bins["scaled"], mfc="white", color=INK, lw=0.9, linestyle="--", marker="s")
    _curve(axes, bins["raw"], mfc=colour, color=colour, lw=1.3, marker="o")


def _spread(axes: Axes, bins: Sequence[Mapping[str, Any]], colour: Any) -> None:
    """Bars at the foot, as high as a quarter of the panel where a bin holds every candidate."""
    total = sum(each["candidates"] for each in bins)
    for each in bins:
        width = each["to"] - each["from"]
        height = 0.25 * each["candidates"] / total
        axes.bar(each["from"], height, 0.92 * width, align="edge", color=colour, alpha=0.25, linewidth=0, zorder=0)


def _curve(axes: Axes, bins: Sequence[Mapping[str, Any]], **look: Any) -> None:
    if not bins:
        return
    across, up = [each["probability"] for each in bins], [each["correct"] for each in bins]
    whiskers = arms(*((each["correct"], each["low"], each["high"]) for each in bins))
    axes.errorbar(across, up, yerr=whiskers, fmt="none", ecolor=look["color"], elinewidth=0.8, capsize=2)
    axes.plot(across, up, ms=4.5, **look)
