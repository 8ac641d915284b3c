"""The Pareto figure shows every variant at its tokens and accuracy, and the front that none of them beats."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure
from metric_files import Metric, experiment, merge, place
from sqljudge.core.variants import Variant
from sqljudge.report.cells import Results, files
from sqljudge.report.figures import draw_figure
from sqljudge.report.figures.fronts import Point, front, thoughts
from sqljudge.report.specs import SPECS

EXPERIMENT = experiment(
    discriminators=["r"],
    context="no_schema",
    checkpoints=[0, 64, 128],
    modes=["naive"],
    extra_rows=[Variant(discriminator="y", context="no_thinking", budget=32, scoring="soft")],
)


def share(value: float | None) -> dict[str, Any]:
    return dict.fromkeys(("value", "low", "high"), value)


def intrinsic(
    discriminator: str, context: str, budget: int, scoring: str, tokens: float, accuracy: float
) -> dict[str, Metric]:
    settings = {"discriminator": discriminator, "context": context, "budget": budget, "scoring": scoring}
    metrics = {"tokens": share(tokens), "pwacc": share(accuracy)}
    return place("intrinsic", {"settings": {**settings, "mode": "naive"}, "metrics": metrics})


def adaptive(tokens: float | None, accuracy: float | None) -> dict[str, Metric]:
    settings = {"discriminator": "r", "context": "no_schema", "checkpoints": (0, 64, 128), "mode": "naive"}
    metrics = {"adaptive": {"tokens": share(tokens), "pwacc": share(accuracy)}}
    return place("adaptive", {"settings": settings, "metrics": metrics})


METRICS = [
    adaptive(40.0, 0.7),
    *(intrinsic("r", "no_schema", b, "forced", t, a) for b, t, a in [(0, 0, 0.5), (64, 60, 0.6), (128, 90, 0.75)]),
    *(intrinsic("r", "no_schema", b, "soft", t, a) for b, t, a in [(64, 64, 0.1), (128, 100, 0.4)]),
    intrinsic("y", "no_thinking", 32, "soft", 20, 0.45),
]


def drawn(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    """The points of each line of the first panel, by marker and look."""
    found = {}
    for line in figure.axes[0].lines:
        name = line.get_gid() or f"{line.get_marker()}{line.get_linestyle()}"
        found[name] = [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    return found


@pytest.mark.parametrize(
    ("points", "best"),
    [
        ([(0, 5), (1, 6), (2, 7)], [(0, 5), (1, 6), (2, 7)]),
        ([(2, 5), (1, 6), (0, 7)], [(0, 7)]),
        ([(0, 5), (0, 6), (1, 6), (2, 6.5), (1, 3)], [(0, 6), (2, 6.5)]),
        ([(3, 3)], [(3, 3)]),
        ([], []),
    ],
)
def test_the_front_is_what_nothing_beats(points: list[tuple[float, float]], best: list[tuple[float, float]]) -> None:
    made = [Point(tokens, accuracy, 0, 0) for tokens, accuracy in points]
    assert [(point.tokens, point.accuracy) for point in front(made)] == best


def test_every_variant_stands_at_its_tokens_and_accuracy() -> None:
    metrics = merge(*METRICS)
    assert sorted(metrics) == files(SPECS["adaptive"], EXPERIMENT), "each is an input of the figure"
    figure = draw_figure("pareto", EXPERIMENT, Results(metrics, display={"r": "Reasoner"}))
    lines = drawn(figure)
    assert lines["o:"] == [(64, pytest.approx(10)), (100, pytest.approx(40))]
    assert lines["o-"] == [(0, pytest.approx(50)), (60, pytest.approx(60)), (90, pytest.approx(75))]
    assert lines["*None"] == [(40, pytest.approx(70))]
    assert lines["sNone"] == [(20, pytest.approx(45))]
    assert lines["front"] == [(0, pytest.approx(50)), (40, pytest.approx(70)), (90, pytest.approx(75))]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Reasoner: cut at a budget",
        "Reasoner: verdict forced at a budget",
        "Reasoner: adaptive",
        "y, no thinking, soft",
        "Pareto front",
    ]
    assert [note.get_text() for note in figure.axes[0].texts] == ["64", "128", "0", "64", "128"]


def test_what_rests_on_nothing_is_not_drawn() -> None:
    series = thoughts(EXPERIMENT, Results(merge(adaptive(None, None), *METRICS[1:4])), "naive")
    assert [each.label for each in series] == ["r: verdict forced at a budget"]
    figure = draw_figure("pareto", EXPERIMENT, Results({}))
    assert [text.get_text() for text in figure.axes[0].texts] == ["not run"]
