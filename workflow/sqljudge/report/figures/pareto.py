"""The figure of accuracy against tokens: every way of reading a thought, and the front that none of them beats.

Knows metrics on the labelled pool, not how they came to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sqljudge.core.artefacts import FORCED, parts
from sqljudge.report.figures.plotting import INK, shades
from sqljudge.report.tables.layouts import layout_of, values_of, word
from sqljudge.report.tables.measures import Metric, find

Experiment = Mapping[str, Any]
Display = Mapping[str, str]

MARKERS = "s^vPXd<>h"
_ARM: dict[str, Any] = {"fmt": "none", "elinewidth": 0.7, "alpha": 0.6}


@dataclass(frozen=True, slots=True)
class Point:
    """One variant: mean new tokens a candidate, PwAcc in per cent with its interval, and what stands beside it."""

    tokens: float
    accuracy: float
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Variants that are drawn alike; `joined` by a line where they differ in the budget alone."""

    label: str
    points: tuple[Point, ...]
    marker: str
    colour: Any
    joined: bool = False
    hollow: bool = False


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in both, fewest tokens first: none is at most as dear and more accurate."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.tokens, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def _point(metric: Metric | None, path: Sequence[str] = (), note: str = "") -> Iterator[Point]:
    """The point of a metric; nothing where there is none, or where it rests on nothing."""
    found: Any = metric["metrics"] if metric else {}
    for step in path:
        found = found.get(step, {})
    tokens, accuracy = found.get("tokens", {}), found.get("pwacc", {})
    if tokens.get("value") is not None and accuracy.get("value") is not None:
        value, low, high = (100 * accuracy[key] for key in ("value", "low", "high"))
        yield Point(tokens["value"], value, low, high, note)


def _intrinsic(metrics: Sequence[Metric], experiment: Experiment, **settings: Any) -> Iterator[Point]:
    names = ("discriminator", "context", "budget", "scoring", "mode")
    wanted = {name: value for name, value in {**experiment, **settings}.items() if name in names}
    return _point(find(metrics, "intrinsic", wanted), note=str(wanted["budget"]))


def series_of(experiment: Experiment, metrics: Sequence[Metric], display: Display, mode: str) -> list[Series]:
    """Everything that a panel shows: of each discriminator its curves and where it stops, then what is beside."""
    names, beside = values_of(experiment, "discriminator"), parts(experiment)[1:]
    budgets = sorted(experiment["checkpoints"])
    found = []
    for name, colour in zip(names, shades(len(names), 0.25, 0.7), strict=True):
        own = {"discriminator": name, "mode": mode}
        label = word("discriminator", name, display)
        curves = {
            scoring: tuple(
                point
                for budget in budgets
                if budget or scoring == FORCED
                for point in _intrinsic(metrics, experiment, **own, budget=budget, scoring=scoring)
            )
            for scoring in ("soft", FORCED)
        }
        stops = tuple(_point(find(metrics, "adaptive", {**own, "context": experiment["context"]}), ["adaptive"]))
        found.append(Series(f"{label}: cut at a budget", curves["soft"], "o", colour, joined=True, hollow=True))
        found.append(Series(f"{label}: verdict forced at a budget", curves[FORCED], "o", colour, joined=True))
        found.append(Series(f"{label}: adaptive", stops, "*", colour))
    for number, part in enumerate(beside):
        context, scoring = (word(key, part[key], display) for key in ("context", "scoring"))
        label = f"{word('discriminator', part['discriminator'], display)}, {context.lower()}, {scoring.lower()}"
        points = tuple(_intrinsic(metrics, part, mode=mode))
        found.append(Series(label, points, MARKERS[number % len(MARKERS)], INK, hollow=True))
    return [each for each in found if each.points]


def accuracy_against_tokens(experiment: Experiment, metrics: Sequence[Metric], display: Display) -> Figure:
    """A panel for each mode: PwAcc against new tokens a candidate. Numbers at marks are budgets."""
    modes = values_of(experiment, "mode", layout_of("adaptive").defaults["mode"])
    figure = Figure(figsize=(1.2 + 4.2 * len(modes), 4.6), layout="constrained")
    panels = figure.subplots(1, len(modes), squeeze=False, sharey=True)[0]
    keys: dict[str, Line2D] = {}
    for axes, mode in zip(panels, modes, strict=True):
        drawn = series_of(experiment, metrics, display, mode)
        for each in drawn:
            keys[each.label] = draw_series(axes, each)
        dashed = draw_front(axes, [point for each in drawn for point in each.points])
        _axis(axes, sorted(experiment["checkpoints"]))
        axes.set_title(word("mode", mode, display), fontsize=9, loc="left")
    figure.supxlabel("New tokens a candidate (mean)", fontsize=9)
    figure.supylabel("Pairwise accuracy (%)", fontsize=9)
    figure.legend(handles=[*keys.values(), dashed], loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def draw_series(axes: Axes, series: Series) -> Line2D:
    """Draw a series with its intervals; its key for a legend."""
    tokens, accuracy = [point.tokens for point in series.points], [point.accuracy for point in series.points]
    arms = [[max(0.0, point.accuracy - point.low) for point in series.points]]
    arms.append([max(0.0, point.high - point.accuracy) for point in series.points])
    look: dict[str, Any] = {
        "marker": series.marker,
        "ms": 11 if series.marker == "*" else 5,
        "color": series.colour,
        "mfc": "white" if series.hollow else series.colour,
        "mec": series.colour,
        "linestyle": (":" if series.hollow else "-") if series.joined else "none",
        "lw": 1.2,
        "zorder": 4 if series.marker == "*" else 3,
    }
    axes.errorbar(tokens, accuracy, yerr=arms, ecolor=series.colour, **_ARM)
    axes.plot(tokens, accuracy, **look)
    for point in series.points if series.joined else ():
        axes.annotate(point.note, (point.tokens, point.accuracy), (3, 4), textcoords="offset points", fontsize=6.5)
    return Line2D([], [], **{**look, "ms": min(look["ms"], 8)}, label=series.label)


def draw_front(axes: Axes, points: Sequence[Point]) -> Line2D:
    """Draw the front of some points, dashed, or say that there are none; its key for a legend."""
    best = front(points)
    tokens, accuracy = [point.tokens for point in best], [point.accuracy for point in best]
    axes.step(tokens, accuracy, where="post", color=INK, lw=0.9, linestyle="--", zorder=2, gid="front")
    if not points:
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", va="center", color=INK, style="italic")
    return Line2D([], [], color=INK, lw=0.9, linestyle="--", label="Pareto front")


def _axis(axes: Axes, budgets: Sequence[int]) -> None:
    """Logarithmic above the least budget, linear below, so that no tokens have a place."""
    least = min(budget for budget in budgets if budget)
    axes.set_xscale("symlog", base=2, linthresh=least)
    axes.xaxis.set_major_locator(FixedLocator([0, *(budget for budget in budgets if budget)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.15 * least, budgets[-1] * 1.3)
    axes.tick_params(labelsize=8)
