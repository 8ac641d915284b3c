"""A forest plot: what the first discriminator that reasons gains on each other one, question by question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sqljudge.core.variants import Experiment
from sqljudge.metrics.intervals import PairedTest, mcnemar_exact
from sqljudge.report.answer import FREE, PLAIN, REASONS, System, named, systems
from sqljudge.report.cells import Results
from sqljudge.report.figures.style import INK, arms, say, shades
from sqljudge.report.text import number, signed
from sqljudge.report.words import label

LEAST_REACH = 5.0
"""Points on either side of zero that the axis shows at least."""
MARKERS = {REASONS: "*", PLAIN: "o", FREE: "D"}
KEYS = {REASONS: "reasons", PLAIN: "does not reason", FREE: "free baseline, asks no model"}


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the plot: another discriminator, its size ("–" for none), and the paired test against it."""

    label: str
    size: str
    kind: str
    test: PairedTest


def rungs(experiment: Experiment, results: Results) -> tuple[System | None, list[Rung]]:
    """The discriminator that all others are compared with, the first of the table that reasons, and the others.

    It is named before the run, so no interval needs to allow for a choice. None, and no lines, without one. The others
    stand in the table's order: models, then free baselines.
    """
    found = systems(experiment, results)
    reference = next((each for each in found if each.kind == REASONS), None)
    if reference is None:
        return None, []
    lines = []
    for other in (each for each in found if each is not reference):
        shared = sorted(reference.hits.keys() & other.hits.keys())
        test = mcnemar_exact([reference.hits[q] for q in shared], [other.hits[q] for q in shared])
        about = results.about.get(other.name)
        called = label("discriminator", other.name, results.display)
        lines.append(Rung(called, about.texts[0] if about else "–", other.kind, test))
    return reference, lines


def forest_plot(experiment: Experiment, results: Results) -> Figure:
    """A line for each other discriminator: its size, the difference in EX with its 95 % interval, and what decides."""
    reference, lines = rungs(experiment, results)
    figure = Figure(figsize=(9.6, 1.9 + 0.36 * max(1, len(lines))), layout="constrained")
    axes = figure.add_subplot()
    colours = dict(zip(MARKERS, shades(len(MARKERS), 0.15, 0.65), strict=True))
    for place, each in enumerate(lines):
        if each.test.difference is not None:
            _draw(axes, place, each, colours[each.kind])
    reach = max(LEAST_REACH, *map(abs, axes.get_xlim()))
    axes.set_xlim(-reach, reach)
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_yticks(range(len(lines)), [f"{each.label}   {each.size}" for each in lines])
    axes.set_ylim(max(1, len(lines)) - 0.4, -0.6)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(lines)), [_numbers(each.test) for each in lines])
    for side in (axes, right):
        side.tick_params(axis="y", length=0, labelsize=8)
    right.spines["right"].set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Points of execution accuracy. Left of zero the other one is better, right of it this one")
    if reference is None:
        axes.set_xticks([])
        say(axes, "no discriminator that reasons was run")
        return figure
    name = named(reference.name, results)
    above: Any = {"xycoords": "axes fraction", "xytext": (0, 18), "textcoords": "offset points", "fontsize": 10}
    axes.annotate(f"What {name} gains on each other one", (0, 1), **above)
    axes.set_title("difference [95 % interval], questions that decide", fontsize=8, loc="right", x=1.0)
    kinds = dict.fromkeys(each.kind for each in lines)
    keys = [Line2D([], [], marker=MARKERS[k], color=colours[k], linestyle="none", label=KEYS[k]) for k in kinds]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw(axes: Axes, place: int, rung: Rung, colour: Any) -> None:
    value, low, high = (100 * (x or 0.0) for x in (rung.test.difference, rung.test.low, rung.test.high))
    size = 9 if rung.kind == REASONS else 6
    whiskers = arms((value, low, high))
    axes.errorbar(value, place, xerr=whiskers, fmt=MARKERS[rung.kind], color=colour, ms=size, elinewidth=1.4, capsize=3)


def _numbers(test: PairedTest) -> str:
    if test.difference is None or test.low is None or test.high is None:
        return "no data"
    value, low, high = (100 * x for x in (test.difference, test.low, test.high))
    return f"{signed(value, 1)} [{number(low, 1)}, {number(high, 1)}], {test.deciding} of {test.n}"
