"""What a training's log says of each step: reward, length and accuracy, a panel each, a line a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sqljudge.core.variants import Experiment
from sqljudge.report.cells import Results, cells
from sqljudge.report.figures.style import fitting_legend, say, shades
from sqljudge.report.specs import TableSpec

PANELS = {
    "reward": "Reward (mean of a batch)",
    "length": "Length (tokens a response)",
    "accuracy": "Accuracy (share of a batch)",
    "loss": "Loss",
}
"""What is drawn; the loss only of trainings that have no reward."""
ALWAYS = ("reward", "length", "accuracy")
WINDOW = 0.1
"""Share of the steps over which a thick line is a running mean; thin lines are the steps themselves, a line a seed."""

Points = Sequence[Sequence[float]]


def curves_over_steps(spec: TableSpec, experiment: Experiment, results: Results) -> Figure:
    """The curves of all trainings that a table compares, one panel each for reward, length, accuracy and loss."""
    trained = dict(_trained(spec, experiment, results))
    logs = {name: metric["curves"] for name, metric in trained.items()}
    shown = {
        what: {name: [seed[what] for seed in log.values() if what in seed] for name, log in logs.items()}
        for what in PANELS
    }
    shown["loss"] = {name: own if not shown["reward"][name] else [] for name, own in shown["loss"].items()}
    panels = [what for what in PANELS if what in ALWAYS or any(shown[what].values())]
    figure = Figure(figsize=(2.9 * len(panels), 2.9), layout="constrained")
    colours = dict(zip(logs, shades(len(logs), 0.1, 0.72), strict=False))
    for what, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        for name, lines in shown[what].items():
            _draw(axes, lines, colours[name])
        axes.set_title(PANELS[what], fontsize=9.5, loc="left")
        axes.set_xlabel("Step", fontsize=8)
        if not axes.has_data():
            say(axes, "no such log" if logs else "not run")
            axes.set_yticks([])
    keys: list[Any] = [
        Line2D([], [], color=colours[name], lw=1.8, label=_key(results.display.get(name, name), len(logs[name])))
        for name in logs
    ]
    if keys:
        fitting_legend(figure, keys, 4, 9)
    return figure


def _trained(spec: TableSpec, experiment: Experiment, results: Results) -> Iterator[tuple[str, Any]]:
    """Each trained discriminator or generator with one of its metrics; all of them have the same logs."""
    found = {}
    for kind, variant in sorted(cells(spec, experiment)):
        name = variant.generator or variant.discriminator
        if variant.base != name and (metric := results.metric(kind, variant)):
            found[name] = metric
    yield from ((name, found[name]) for name in experiment.values(spec.against) if name in found)


def _key(name: str, seeds: int) -> str:
    return name if seeds < 2 else f"{name} ({seeds} seeds)"


def _draw(axes: Axes, lines: Sequence[Points], colour: Any) -> None:
    """Each seed as it is, and the running mean of all."""
    for points in lines:
        steps, values = np.array(points, dtype=float).T
        axes.plot(steps, values, color=colour, lw=0.5, alpha=0.55)
        if len(steps) == 1:
            axes.plot(steps, values, color=colour, marker="o", ms=3)
    if lines and len(lines[0]) > 1:
        steps, mean = _mean(lines)
        axes.plot(steps, mean, color=colour, lw=1.8)


def _mean(lines: Sequence[Points]) -> tuple[Any, Any]:
    """The running mean, over a window around each step, of the values that all seeds have there."""
    points = np.concatenate([np.array(one, dtype=float) for one in lines])
    steps = np.unique(points[:, 0])
    reach = WINDOW * (steps[-1] - steps[0]) / 2
    near = (np.abs(points[:, 0] - step) <= reach for step in steps)
    return steps, np.array([points[one, 1].mean() for one in near])
