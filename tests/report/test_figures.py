"""What the figures show: bars and marks at the right heights, what is missing named, equal files for equal input."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from metric_files import Metric, experiment, merge, place
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.core.variants import Experiment
from sqljudge.metrics.intrinsic import METRICS
from sqljudge.report.cells import Results, build_table, files
from sqljudge.report.figures import DRAW, draw_figure, save_figure, write_about, write_figure
from sqljudge.report.figures.bars import accuracy_by_hardness
from sqljudge.report.figures.curves import curves_by_budget
from sqljudge.report.figures.style import shades
from sqljudge.report.measures import INTRINSIC, REASONING
from sqljudge.report.specs import FIGURES, SPECS
from sqljudge.report.table import Cell, Column, Row, Table

PUBLISHED = json.loads((Path(__file__).parents[2] / "resources" / "published.json").read_text(encoding="utf-8"))
LEVELS = ("easy", "medium", "hard", "extra", "all")


def measured(value: float) -> dict[str, Any]:
    return {"value": value, "low": max(0.0, value - 0.1), "high": min(1.0, value + 0.1), "n": 100}


def greedy(generator: str, ex: float) -> dict[str, Metric]:
    names = ("ex", "em", "partial_acc", "partial_recall", "partial_f1")
    metrics = {level: {name: measured(ex) for name in names} for level in LEVELS}
    settings = {"planner": "greedy", "generator": generator, "decoding": "greedy"}
    return place("end_to_end", {"settings": settings, "questions": 400, "metrics": metrics})


BASE = {"context": "no_schema", "scoring": "soft", "mode": "naive"}


def intrinsic(discriminator: str, budget: int, value: float) -> dict[str, Metric]:
    settings = {**BASE, "discriminator": discriminator, "budget": budget}
    metrics = {name: measured(value) for name in (*METRICS, "failure_rate")}
    found = {"settings": settings, "questions": 9, "candidates": 20, "pairs": 5, "metrics": metrics}
    return place("intrinsic", found)


def draw(name: str, given: Experiment, *metrics: dict[str, Metric], **display: str) -> Figure:
    """A figure of placed metrics, beside the published figures."""
    return draw_figure(name, given, Results(merge(*metrics), PUBLISHED, display))


def heights(figure: Figure) -> list[float]:
    return sorted(round(patch.get_height(), 6) for patch in figure.axes[0].patches)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def hollow(figure: Figure) -> list[float]:
    """Heights of the published marks of a bar chart."""
    return [float(line.get_ydata()[0]) for line in figure.axes[0].lines if line.get_marker() == "D"]


def test_bars_stand_for_ours_and_diamonds_for_the_paper() -> None:
    given = experiment(generators=["stable-code-3b", "mine"], decoding="greedy")
    figure = draw("figure5", given, greedy("stable-code-3b", 0.5), greedy("mine", 0.25))
    assert heights(figure) == [25.0] * 5 + [50.0] * 5
    assert sorted(hollow(figure)) == sorted([83, 73, 51, 24, 57.8])
    assert legend(figure) == ["stable-code-3b", "mine", "published"]
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Hardness of the question", "Execution accuracy (%)")
    assert axes.get_xticklabels()[0].get_text() == "Easy\nn = 100"


def test_system_that_was_not_run_has_no_bar_and_says_so() -> None:
    figure = draw("figure5", experiment(generators=["mine", "other"], decoding="greedy"), greedy("mine", 0.1))
    assert heights(figure) == [10.0] * 5
    assert legend(figure) == ["mine", "other (not run)"]
    assert figure.axes[0].get_ylim() == (0, 30)


def test_figure_5_from_the_reranking_tables() -> None:
    given = experiment(
        discriminators=["codellama-13b"],
        generator="stable-code-3b",
        decoding="sample",
        budget=512,
        greedy_decoding="greedy",
        **BASE,
    )
    results = Results(greedy("stable-code-3b", 0.5), PUBLISHED)
    figure = accuracy_by_hardness(build_table(SPECS["table3"], given, results))
    assert legend(figure) == ["codellama-13b (not run)", "None (greedy)", "published"]


def test_curves_have_a_panel_per_column() -> None:
    metrics = [intrinsic("distill-r1-1.5b", budget, 0.5) for budget in (256, 512)]
    given = experiment(discriminators=["distill-r1-1.5b"], budgets=[512, 256, 1024], **BASE)
    figure = draw("figure4", given, *metrics)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["PwAcc (%)", "F1 (%)"]
    assert titles[-2] == "Entropy (bits)"
    assert len(titles) == len(INTRINSIC) + 1 + len(REASONING)
    ours, published = (next(line for line in figure.axes[0].lines if line.get_marker() == mark) for mark in "oD")
    assert ([*ours.get_xdata()], [*ours.get_ydata()]) == ([256, 512], [50, 50])
    assert ([*published.get_xdata()], [*published.get_ydata()]) == ([256, 512, 1024], [1.96, 51.34, 56.23])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["256", "512", "1024"]


def test_panel_without_data_says_so() -> None:
    figure = draw("figure4", experiment(discriminators=["mine"], budgets=[64], **BASE))
    assert {text.get_text() for axes in figure.axes for text in axes.texts} == {"not run"}


def test_flat_curve_keeps_a_span_that_looks_flat() -> None:
    metrics = [intrinsic("mine", budget, 0.5) for budget in (64, 128)]
    for metric in merge(*metrics).values():
        metric["metrics"] = {name: {"value": 0.5} for name in metric["metrics"]}
    figure = draw("figure4", experiment(discriminators=["mine"], budgets=[64, 128], **BASE), *metrics)
    low, high = figure.axes[0].get_ylim()
    assert high - low >= 5


def test_a_budget_of_0_stands_left_of_all_others() -> None:
    metrics = [intrinsic("mine", budget, 0.5) for budget in (0, 64, 128)]
    figure = draw("figure4", experiment(discriminators=["mine"], budgets=[64, 0, 128], **BASE), *metrics)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "64", "128"]
    assert list(axes.lines[0].get_xdata()) == [32, 64, 128]
    assert axes.get_xlim()[0] < 32


def test_shades_differ_in_lightness() -> None:
    for count in (2, 4, 10):
        lightness = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue, _ in shades(count)]
        steps = [after - before for before, after in itertools.pairwise(lightness)]
        assert min(steps) > 0.02


@pytest.mark.parametrize("form", ["svg", "pdf"])
@pytest.mark.parametrize("name", DRAW)
def test_files_are_equal_for_equal_input(name: str, form: str, tmp_path: Path) -> None:
    given = experiment(
        generators=["mine"],
        decoding="greedy",
        discriminators=["mine"],
        budgets=[64, 128],
        checkpoints=[64, 128],
        planners=["rerank"],
        greedy_decoding="greedy",
        **BASE,
    )
    metrics = [greedy("mine", 0.5), intrinsic("mine", 64, 0.25)]
    written = []
    for copy in ("a", "b"):
        save_figure(draw(name, given, *metrics), tmp_path / f"{copy}.{form}")
        written.append((tmp_path / f"{copy}.{form}").read_bytes())
    assert written[0] == written[1]
    assert b"dc:date" not in written[0]
    assert b"CreationDate" not in written[0]


def test_unknown_figure_and_unfit_tables() -> None:
    with pytest.raises(ConfigError, match="figure9: no such figure"):
        draw("figure9", Experiment())
    assert set(DRAW) == set(FIGURES)
    bare = Table("table1", "T", ("Discriminator",), (Column("Naive", "PwAcc"),), (Row(("mine",), (Cell(),)),))
    with pytest.raises(DataError, match="no columns under 'Execution accuracy"):
        accuracy_by_hardness(bare)
    with pytest.raises(DataError, match="has no budgets"):
        curves_by_budget(bare)


def calibrated(discriminator: str, mode: str, scaled: bool = True) -> dict[str, Metric]:
    settings = {**BASE, "discriminator": discriminator, "budget": 64, "mode": mode}
    one = {"from": 0.2, "to": 0.3, "candidates": 30, "probability": 0.25, "correct": 0.5, "low": 0.4, "high": 0.7}
    two = {**one, "from": 0.9, "to": 1.0, "candidates": 10, "probability": 0.95, "correct": 0.75}
    bins = {"raw": [one, two], "scaled": [{**one, "probability": 0.45}] if scaled else []}
    return place("calibration", {"settings": settings, "metrics": {}, "per_question": [], "reliability": bins})


def test_reliability_has_a_panel_for_each_discriminator_and_mode() -> None:
    given = experiment(
        discriminators=["mine", "other"], modes=["naive", "check"], context="no_schema", budget=64, scoring="soft"
    )
    metrics = [calibrated("mine", "naive"), calibrated("mine", "check", scaled=False), calibrated("other", "check")]
    figure = draw("reliability", given, *metrics, mine="Mine")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Mine\nNaive", "other\nNaive", "Mine\nExecutability check", "other\nExecutability check"]
    first, missing, unscaled, _ = figure.axes
    curves = {line.get_marker(): [*zip(line.get_xdata(), line.get_ydata(), strict=True)] for line in first.lines}
    assert curves["o"] == [(0.25, 0.5), (0.95, 0.75)]
    assert curves["s"] == [(0.45, 0.5)]
    assert [round(bar.get_height(), 4) for bar in first.patches] == [0.1875, 0.0625]
    assert [text.get_text() for text in missing.texts] == ["not run"]
    assert "s" not in {line.get_marker() for line in unscaled.lines}


@pytest.mark.parametrize("width", [3.5, 5.4, 11.0])
@pytest.mark.parametrize("legend", ["outside upper center", "outside lower center", ""])
def test_what_a_figure_is_of_stands_over_everything_else_and_inside(width: float, legend: str) -> None:
    figure = Figure(figsize=(width, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4], label="a discriminator")
    axes.set_title("Naive", loc="left")
    if legend:
        figure.legend(loc=legend)
    write_about(figure, "dataset shop; discriminators " + "one with a long name, " * 8 + "seed 1; made 2026-01-02")
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    (text,) = (each.get_window_extent(renderer) for each in figure.texts)
    others = [axes.get_tightbbox(renderer), *(each.get_window_extent(renderer) for each in figure.legends)]
    assert figure.bbox.x0 <= text.x0 and text.x1 <= figure.bbox.x1 and text.y1 <= figure.bbox.y1
    assert all(each.y1 <= text.y0 + 1 for each in others if each is not None)


def test_a_figure_is_written_with_what_made_it_and_what_its_table_says(tmp_path: Path) -> None:
    given = experiment(generators=["mine"], decoding="greedy")
    (file,) = files(SPECS["table7"], given)
    write_json(tmp_path / file, greedy("mine", 0.5)[file])
    outputs = {name: str(tmp_path / f"figure5.{name}") for name in ("svg", "pdf", "sidecar", "findings")}
    published = tmp_path / "published.json"
    write_json(published, PUBLISHED)
    shown: dict[str, Any] = {"display": {"mine": "Mine"}, "uses_gold": [], "about": {}, "seed": 1, "code": "c0de"}
    shown |= {"subject": "dataset shop; seed 1", "configuration": {"digest": "d1", "options": ""}}
    write_figure(
        [str(tmp_path / file)],
        [],
        str(published),
        **outputs,
        name="figure5",
        experiment=dataclasses.asdict(given),
        **shown,
    )
    svg = Path(outputs["svg"]).read_text(encoding="utf-8")
    assert "<svg" in svg
    assert "Dataset shop; seed 1; made 2" in " ".join(svg.split())
    assert Path(outputs["pdf"]).read_bytes().startswith(b"%PDF")
    assert "(EX) of *Mine* is 50.0 %" in Path(outputs["findings"]).read_text(encoding="utf-8")
    assert {"matplotlib", "numpy"} <= set(read_json(outputs["sidecar"])["versions"])
