"""Every figure, of every shape that a configuration gives it: no text lies outside, or on another."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import BboxBase
from metric_files import Metric, configuration, filled
from sqljudge.core.files import read_json
from sqljudge.experiments.config import experiments_of, load_config
from sqljudge.report.cells import Results
from sqljudge.report.figures import draw_figure, write_about
from sqljudge.report.figures.style import STYLE
from sqljudge.report.specs import FIGURES
from sqljudge.report.words import About

ROOT = Path(__file__).resolve().parents[2]


def texts(figure: Figure) -> list[Text]:
    """The texts of a figure that are drawn."""
    figure.draw_without_rendering()
    drawn: list[Text] = []

    def draw(text: Text, renderer: object) -> None:
        drawn.extend([text] * bool(text.get_visible() and text.get_text().strip()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", draw)
        figure.draw_without_rendering()
    assert drawn
    return drawn


def outside(figure: Figure) -> list[str]:
    """The texts that reach over an edge of the picture."""
    box = figure.bbox.padded(1)
    return [text.get_text() for text in texts(figure) if not _within(text.get_window_extent(), box)]


def covered(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of which one lies on the other; of slanted ones their boxes say nothing."""
    straight = [(each.get_text(), each.get_window_extent()) for each in texts(figure) if each.get_rotation() % 90 == 0]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(straight, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2
    ]


def _within(inner: BboxBase, outer: BboxBase) -> bool:
    return bool(outer.x0 <= inner.x0 and outer.y0 <= inner.y0 and inner.x1 <= outer.x1 and inner.y1 <= outer.y1)


SHAPES = {"paper": (), "demo": ("demo.yaml",), "small": ("small.yaml",)}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    ("values", "shape"),
    [*(("measured", shape) for shape in SHAPES), ("zero", "paper"), ("zero", "demo"), ("not run", "paper")],
)
def test_no_text_of_a_figure_lies_outside_its_picture_or_on_another(name: str, shape: str, values: str) -> None:
    config = load_config(configuration(*SHAPES[shape]))
    spec = FIGURES[name]
    given = experiments_of(config)[spec.source]
    metrics = filled(spec, given) if values != "not run" else {}
    if values == "zero":
        metrics = {file: zeroed(metric) for file, metric in metrics.items()}
    display = {key: entry.label or key for key, entry in {**config.generators, **config.discriminators}.items()}
    about = {
        key: About("135M", entry.responds) for key, entry in config.discriminators.items() if not entry.is_baseline
    }
    results = Results(metrics, read_json(ROOT / "resources/published.json"), display, ("oracle-1",), about)
    with matplotlib.rc_context(STYLE):
        figure = draw_figure(name, given, results)
        write_about(figure, "Dataset spider; discriminators one, another, and a third; " * 3)
        assert outside(figure) == []
        assert covered(figure) == []
    if values == "zero" and name == "figure5":
        assert [text.get_text() for text in figure.axes[0].texts].count("0") >= 5, "a bar of no height says so"


@pytest.mark.parametrize("name", ["figure4", "figure5", "pareto", "training_curves"])
def test_a_legend_covers_no_title_and_no_panel(name: str) -> None:
    config = load_config(configuration())
    given = experiments_of(config)[FIGURES[name].source]
    with matplotlib.rc_context(STYLE):
        figure = draw_figure(name, given, Results(filled(FIGURES[name], given)))
        write_about(figure, "what it is of, in a line that is long enough to be broken " * 4)
        figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    for axes in figure.axes:
        titles = [title.get_window_extent() for title in (axes.title, axes._left_title)]
        for box in [axes.get_window_extent(), *(each for each in titles if each.width)]:
            assert not legend.overlaps(box.padded(-2)), axes.get_title(loc="left")


def test_a_text_outside_is_found() -> None:
    figure = Figure()
    figure.text(0.98, 0.5, "a long text that does not end")
    assert outside(figure) == ["a long text that does not end"]


@pytest.mark.parametrize("what", ["a legend on a title", "a number on a number", "a label on a tick"])
def test_a_text_on_another_is_found(what: str) -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label="a discriminator")
    assert covered(figure) == []
    if "legend" in what:
        axes.set_title("Naive")
        figure.legend(loc="upper center", bbox_to_anchor=(0, 0, 1, 1))
    elif "number" in what:
        for number in ("64", "128"):
            axes.annotate(number, (0.5, 0.5))
    else:
        axes.set_xlabel("the budget of a thought", labelpad=-12)
    assert len(covered(figure)) >= 1


def zeroed(metric: Metric) -> Metric:
    """The same metric with every value zero, but for tokens."""
    return {
        key: value
        if key == "tokens"
        else zeroed(value)
        if isinstance(value, dict)
        else 0.0
        if key in ("value", "low", "high")
        else value
        for key, value in metric.items()
    }
