"""The Pareto figure shows every variant at its tokens and accuracy, and the front that none of them beats."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure
from metric_files import Metric, experiment, merge, place
from sqljudge.core.variants import Variant
from sqljudge.experiments.jobs import about_model
from sqljudge.models.engines.base import ModelSpec
from sqljudge.report.cells import Results, files
from sqljudge.report.figures import draw_figure
from sqljudge.report.figures.fronts import Point, front, thoughts
from sqljudge.report.specs import SPECS
from sqljudge.report.words import About

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


# Two models that share the work

ROUTED = {"few": ("router", "0.8"), "many": ("router", "0.2"), "chance": ("random", "0.3")}
SHARED = experiment(
    discriminators=["r"],
    context="no_schema",
    checkpoints=[0, 64],
    modes=["naive"],
    extra_rows=[
        Variant(discriminator=who, context="no_schema", budget=64, scoring="forced") for who in (*ROUTED, "big")
    ],
)


def read(who: str, budget: int, scoring: str, tokens: tuple[float, float, float], accuracy: float) -> dict[str, Metric]:
    """`tokens`: new ones, all that the model read, and what the large of two read."""
    (place, metric), *_ = intrinsic(who, "no_schema", budget, scoring, tokens[0], accuracy).items()
    spent = {"read": share(tokens[1]), "large_tokens": share(tokens[2])}
    return {place: {**metric, "metrics": {**metric["metrics"], **spent}}}


OF_SHARED = merge(
    read("r", 0, "forced", (0, 100, 0), 0.5),
    read("r", 64, "forced", (60, 160, 0), 0.6),
    read("few", 64, "forced", (60, 160, 40), 0.65),
    read("many", 64, "forced", (60, 160, 150), 0.7),
    read("chance", 64, "forced", (60, 160, 140), 0.62),
    read("big", 64, "forced", (50, 150, 0), 0.8),
)


def about(small: str = "0.5B", large: str = "1.5B") -> dict[str, About]:
    known = {who: About(f"{small} + {large}", True, "s + l", *rule) for who, rule in ROUTED.items()}
    return {"r": About(small, True), "big": About(large, True), **known}


def test_of_two_models_both_count_with_their_sizes() -> None:
    results = Results(OF_SHARED, about=about(), display={"r": "Small", "big": "Large"})
    series = thoughts(SHARED, results, "naive")
    assert {each.label: [(point.tokens, point.note) for point in each.points] for each in series} == {
        "Small: verdict forced at a budget": [(50, "0"), (80, "64")],
        "Large, no schema, forced": [(225, "64")],
        "s + l, a trained router routes, no schema, forced": [(80 + 60, "0.8"), (80 + 225, "0.2")],
        "s + l, chance routes, no schema, forced": [(80 + 210, "0.3")],
    }
    figure = draw_figure("pareto", SHARED, results)
    assert drawn(figure)["front"] == [(50, 50), (80, 60), (140, 65), (225, 80)]
    assert "parameters" in figure.get_supxlabel()
    assert {note.get_text() for note in figure.axes[0].texts} == {"0", "64", "0.8", "0.2", "0.3"}


@pytest.mark.parametrize(("small", "large"), [("", "1.5B"), ("0.5B", "–"), ("", "")])
def test_where_a_size_is_not_known_the_tokens_of_both_are_added(small: str, large: str) -> None:
    results = Results(OF_SHARED, about=about(small, large))
    spent = {each.label: [point.tokens for point in each.points] for each in thoughts(SHARED, results, "naive")}
    assert spent["s + l, a trained router routes, no schema, forced"] == [200, 310]
    assert spent["s + l, chance routes, no schema, forced"] == [300]
    assert spent["big, no schema, forced"] == [150]
    assert "parameters" not in draw_figure("pareto", SHARED, results).get_supxlabel()


def test_a_figure_of_single_models_shows_new_tokens() -> None:
    single = {who: About("1.5B", True) for who in ("r", "few", "many", "chance", "big")}
    spent = [
        point.tokens for each in thoughts(SHARED, Results(OF_SHARED, about=single), "naive") for point in each.points
    ]
    assert spent == [0, 60, 60, 60, 60, 50]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("router=results/routers/x&threshold=0.4", ("router", "0.4")),
        ("router=results/routers/x", ("router", "")),
        ("entropy=1.25", ("entropy", "1.25")),
        ("random=0.1", ("random", "0.1")),
        ("always", ("always", "")),
    ],
)
def test_what_is_said_of_two_models(rule: str, said: tuple[str, str]) -> None:
    parts = ModelSpec("s", "a/s", parameters="0.5B"), ModelSpec("l", "a/l", parameters="")
    found = about_model(ModelSpec("both", f"s+l?{rule}", backend="routed", parts=parts), reasons=True)
    assert found == About("0.5B + –", True, "s + l", *said)
    assert found.sizes == (0.5e9, None)
    assert about_model(parts[0], reasons=False) == About("0.5B", False)
