"""The figures, each of the table that it belongs to (`TableSpec.figures`), drawn from the same metrics."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sqljudge.core import provenance
from sqljudge.core.errors import ConfigError
from sqljudge.core.variants import Experiment
from sqljudge.report import notes
from sqljudge.report.cells import Results, build_table
from sqljudge.report.figures.bars import accuracy_by_hardness
from sqljudge.report.figures.curves import curves_by_budget
from sqljudge.report.figures.fronts import accuracy_against_tokens, accuracy_of_planners
from sqljudge.report.figures.reliability import reliability_diagram
from sqljudge.report.figures.steps import curves_over_steps
from sqljudge.report.figures.style import STYLE
from sqljudge.report.specs import FIGURES, SPECS, experiment_from
from sqljudge.report.write import Beside, read_results, write_beside


def _forest_plot(experiment: Experiment, results: Results) -> Figure:
    from sqljudge.report.figures.forest import forest_plot  # not before: it brings pandas, which takes its time

    return forest_plot(experiment, results)


DRAW: dict[str, Callable[[Experiment, Results], Figure]] = {
    "figure4": lambda experiment, results: curves_by_budget(build_table(SPECS["table8"], experiment, results)),
    "figure5": lambda experiment, results: accuracy_by_hardness(build_table(SPECS["table7"], experiment, results)),
    "reliability": reliability_diagram,
    "pareto": accuracy_against_tokens,
    "planner_costs": accuracy_of_planners,
    "forest": _forest_plot,
    "training_curves": lambda experiment, results: curves_over_steps(SPECS["training"], experiment, results),
    "generator_training_curves": lambda experiment, results: curves_over_steps(
        SPECS["trained_generators"], experiment, results
    ),
}
"""How each of FIGURES is drawn."""
ABOUT_SIZE = 6.5
"""Of the text over a figure, in points."""


def draw_figure(name: str, experiment: Experiment, results: Results) -> Figure:
    """One of FIGURES, from the experiment of its table.

    Raises ConfigError for an unknown figure, DataError for metrics that contradict each other or lack a measure.
    """
    if name not in DRAW:
        raise ConfigError(f"{name}: no such figure; there are {', '.join(DRAW)}")
    with matplotlib.rc_context(STYLE):
        return DRAW[name](experiment, results)


def write_about(figure: Figure, text: str) -> None:
    """Write what a figure is of over it, in as many lines as its width asks for; the figure grows by their height.

    What is drawn keeps its place and size: the layout, which leaves room for a legend outside the panels at the very
    edge of a figure alone, is made before.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    lines = textwrap.wrap(text, int(figure.get_figwidth() * 72 / (0.6 * ABOUT_SIZE)))
    height = figure.get_figheight()
    share = height / (height + (len(lines) + 0.5) * 1.25 * ABOUT_SIZE / 72)
    figure.set_figheight(height / share)
    for axes in figure.axes:
        box = axes.get_position(original=True)
        axes.set_position((box.x0, box.y0 * share, box.width, box.height * share))
    for label in figure.texts:
        label.set_y(label.get_position()[1] * share)
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 0, 1, share), transform=figure.transFigure)
    figure.text(0.01, 0.995, "\n".join(lines), ha="left", va="top", fontsize=ABOUT_SIZE, linespacing=1.2)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format that the file's ending names; equal figures give equal SVG and PDF files."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix)
    FigureCanvasAgg(figure)
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, metadata=metadata, dpi=160)


def write_figure(
    metrics: Sequence[str],
    runs: Sequence[str],
    published: str,
    *,
    svg: str,
    pdf: str,
    name: str,
    experiment: Mapping[str, Any],
    display: Mapping[str, str],
    uses_gold: Sequence[str],
    about: Mapping[str, Sequence[Any]],
    subject: str,
    **beside: Unpack[Beside],
) -> None:
    """Write a figure as SVG and PDF; what it says is what its table says. The arguments are those of `write_table`."""
    spec, given = FIGURES[name], experiment_from(experiment)
    results = read_results(spec, given, metrics, published, display, uses_gold, about)
    figure = draw_figure(name, given, results)
    write_about(figure, provenance.made_line(subject))
    for path in (svg, pdf):
        save_figure(figure, path)
    write_beside(
        notes.findings(build_table(spec, given, results)),
        inputs=[*metrics, published],
        runs=runs,
        settings={name: experiment},
        **beside,
    )
