"""The figure of execution accuracy against tokens: planners with each discriminator, and the front of them.

Knows metrics of planners, not how they came to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sqljudge.core.artefacts import GREEDY, file_name
from sqljudge.report.figures.pareto import MARKERS, Point, Series, draw_front, draw_series
from sqljudge.report.figures.plotting import INK, shades
from sqljudge.report.tables.layouts import values_of, word
from sqljudge.report.tables.measures import Metric, find
from sqljudge.stages import baselines

Experiment = Mapping[str, Any]
Display = Mapping[str, str]
LEAST_SPAN = 5.0
"""Points of EX that the axis shows at least, so that equal planners look equal."""


def series_of(experiment: Experiment, metrics: Sequence[Metric], display: Display) -> list[Series]:
    """One point for each planner with each discriminator: a shape a planner, a shade a discriminator.

    Discriminators that look at the gold query are hollow.
    """
    planners = values_of(experiment, "planner")
    shapes = {planner: MARKERS[number % len(MARKERS)] for number, planner in enumerate(planners)}
    judges = [(name, word("discriminator", name, display), False) for name in values_of(experiment, "discriminator")]
    judges += [
        (file_name(name), baselines.label(name), baselines.uses_gold(name)) for name in experiment.get("costless", ())
    ]
    found = []
    for (name, label, gold), colour in zip(judges, shades(len(judges), 0.05, 0.8), strict=True):
        for planner in planners:
            points = tuple(_point(metrics, {"discriminator": name, "planner": planner}))
            text = f"{label}: {word('planner', planner, display).lower()}"
            found.append(Series(text, points, shapes[planner], colour, hollow=gold))
    alone = tuple(_point(metrics, {"planner": GREEDY}))
    return [each for each in [*found, Series("Generator alone, greedy", alone, "*", INK)] if each.points]


def _point(metrics: Sequence[Metric], wanted: Mapping[str, Any]) -> Iterator[Point]:
    metric = find(metrics, "planned", wanted)
    reached: Any = metric["metrics"] if metric else {}
    value, spent = reached.get("ex", {}).get("value"), reached.get("tokens", {}).get("value")
    if value is not None and spent is not None:
        yield Point(spent, *(100 * reached["ex"][key] for key in ("value", "low", "high")))


def accuracy_of_planners(experiment: Experiment, metrics: Sequence[Metric], display: Display) -> Figure:
    """EX against the tokens of a question, both models together; the front leaves out what looks at the gold query."""
    drawn = series_of(experiment, metrics, display)
    figure = Figure(figsize=(8.0, 4.4 + 0.1 * len(drawn)), layout="constrained")
    axes = figure.add_subplot()
    keys = [draw_series(axes, each) for each in drawn]
    keys.append(draw_front(axes, [point for each in drawn if not each.hollow for point in each.points]))
    if drawn:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        low, high = axes.get_ylim()
        axes.set_ylim(max(-1.0, min(low, high - LEAST_SPAN)), max(high, LEAST_SPAN))
    axes.tick_params(labelsize=8)
    axes.set_xlabel("Tokens a question, read and written, of both models (mean)", fontsize=9)
    axes.set_ylabel("Execution accuracy (%)", fontsize=9)
    figure.legend(handles=keys, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure
