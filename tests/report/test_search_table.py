"""The table and the figure of planners: a row and a point for each planner with each discriminator."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure
from metric_files import experiment, merge, place
from sqljudge.core.records import Cost
from sqljudge.core.variants import VOTE
from sqljudge.experiments.jobs import Needs, cells_of
from sqljudge.metrics.planner import planned_metrics
from sqljudge.report.cells import Results, build_table, files
from sqljudge.report.figures import draw_figure
from sqljudge.report.notes import findings
from sqljudge.report.specs import SPECS
from sqljudge.report.table import Table

SETTINGS: dict[str, Any] = {
    "generator": "g",
    "decoding": "sample",
    "discriminators": ["d"],
    "context": "no_schema",
    "budget": 60,
    "scoring": "soft",
    "mode": "check",
    "planners": ["rerank", VOTE, "fix"],
    "greedy_decoding": "greedy",
}
EXPERIMENT = experiment(**SETTINGS, baselines=["oracle-0.9"])
ORACLE = "Oracle, right with p = 0.9 (uses gold)"
DISPLAY = {"d": "Judge", "fix": "Fixing", "oracle-0.9": ORACLE}


def evaluated(*right: bool | None) -> dict[str, Any]:
    rows = [{"question_id": i, "exec": each} for i, each in enumerate(right)]
    ex = {"value": 0.5, "low": 0.4, "high": 0.6, "n": len(right)}
    return {"questions": len(right), "left_out": 1, "metrics": {"all": {"ex": ex}}, "per_question": rows}


def costs(*tokens: float) -> list[Cost]:
    return [Cost(i, 2, each / 2, each / 4, 3, each / 8, each / 8, 4) for i, each in enumerate(tokens)]


HOW = {"seed": 1, "resamples": 200}


def metric(planner: str, who: str, ex: float, tokens: float, **more: float) -> dict[str, Any]:
    """A metric of planning at its path."""
    found = planned_metrics(evaluated(True), costs(tokens), **HOW)
    found["metrics"] |= {name: {"value": value, "low": value, "high": value} for name, value in more.items()}
    found["metrics"]["ex"] = {"value": ex, "low": ex - 0.1, "high": ex + 0.1, "n": 1}
    settings = {"generator": "g", "decoding": "sample", "discriminator": who, "mode": "check", "planner": planner}
    if planner == "greedy":
        settings["decoding"] = "greedy"
    if who == "d":
        settings |= {name: SETTINGS[name] for name in ("context", "budget", "scoring")}
    return place("planner", {"settings": settings, **found})


PLACE = "d/no_schema/g.sample.b60.soft.check"
FREE = "oracle-0.9/none/g.sample.b0.soft.check"
METRICS = [
    metric("greedy", "", 0.3, 10),
    metric("rerank", "d", 0.4, 100),
    metric(VOTE, "d", 0.35, 100, difference=-0.05, gain=0.0),
    metric("fix", "d", 0.5, 400, difference=0.1, gain=33.3),
    metric("rerank", "oracle-0.9", 0.6, 90),
    metric("fix", "oracle-0.9", 0.8, 300, difference=0.2, gain=95.2),
]
RESULTS = Results(merge(*METRICS), display=DISPLAY, uses_gold=["oracle-0.9"])


def table() -> Table:
    return build_table(SPECS["search"], EXPERIMENT, RESULTS)


def test_the_table_has_a_row_for_each_planner_and_discriminator() -> None:
    made = table()
    assert made.row_headers == ("Discriminator", "Planner")
    assert [row.labels for row in made.rows] == [
        ("Judge", "Re-ranking"),
        ("Judge", "Majority of results, weighed"),
        ("Judge", "Fixing"),
        ("None (greedy)", "–"),
        (ORACLE, "Re-ranking"),
        (ORACLE, "Fixing"),
    ]
    assert [row.uses_gold for row in made.rows] == [False] * 4 + [True] * 2
    columns = [(column.group, column.label) for column in made.columns]
    ex, difference, gain, tokens = (
        columns.index(key)
        for key in [
            ("Execution accuracy (EX)", "All"),
            ("Against re-ranking", "Difference"),
            ("Against re-ranking", "Gain"),
            ("Both models", "Tokens"),
        ]
    )
    assert [row.cells[ex].value for row in made.rows] == pytest.approx([40, 35, 50, 30, 60, 80])
    assert [row.cells[difference].value for row in made.rows][:4] == pytest.approx([None, -5, 10, None])
    assert made.rows[2].cells[gain].value == 33.3, "points are no share"
    assert [row.cells[tokens].value for row in made.rows] == [100, 100, 400, 10, 90, 300]
    assert made.best(columns.index(("Both models", "Queries"))) == frozenset(), "more is neither better nor worse"
    assert made.best(ex) == {2}, "what looks at the gold query competes with no row"
    assert "In this run Execution accuracy (EX) is highest for *Judge, Fixing*, 50.0 %" in findings(made)


def test_what_was_not_run_is_said() -> None:
    made = build_table(SPECS["search"], EXPERIMENT, Results(merge(*METRICS[:3])))
    assert {cell.status for cell in made.rows[2].cells} == {"not run"}


def drawn(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    found = {}
    for line in figure.axes[0].lines:
        look = "hollow" if line.get_markerfacecolor() == "white" else "full"
        name = line.get_gid() or f"{line.get_marker()} {look}"
        found[name] = [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    return found


def test_the_figure_shows_each_planner_at_its_tokens_and_accuracy() -> None:
    figure = draw_figure("planner_costs", EXPERIMENT, RESULTS)
    lines = drawn(figure)
    assert lines["s full"] == [(100, pytest.approx(40))]
    assert lines["v full"] == [(400, pytest.approx(50))]
    assert lines["v hollow"] == [(300, pytest.approx(80))]
    assert lines["* full"] == [(10, pytest.approx(30))]
    assert lines["front"] == [(10, pytest.approx(30)), (100, pytest.approx(40)), (400, pytest.approx(50))]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[2] == "Judge: fixing"
    assert names[-2:] == ["Generator alone, greedy", "Pareto front"]


def test_nothing_run_is_said_in_the_figure() -> None:
    figure = draw_figure("planner_costs", EXPERIMENT, Results({}))
    assert [text.get_text() for text in figure.axes[0].texts] == ["not run"]


def test_the_files_behind_the_table() -> None:
    assert files(SPECS["search"], EXPERIMENT) == [
        *(f"results/metrics/planner/fix/{place}.json" for place in (PLACE, FREE)),
        "results/metrics/planner/greedy/none/none/g.greedy.b0.soft.naive.json",
        *(f"results/metrics/planner/rerank/{place}.json" for place in (PLACE, FREE)),
        f"results/metrics/planner/vote/{PLACE}.json",
    ]


def test_the_model_jobs_behind_the_table() -> None:
    """A baseline searches with the generator alone; what a search is compared with is re-ranked beside it."""
    runs = Needs(cells_of({"search": EXPERIMENT}), frozenset({"d"})).runs()
    assert runs == [
        "results/candidates/g.greedy.run.json",
        "results/candidates/g.sample.run.json",
        "results/judgments/d/no_schema/g.sample.run.json",
        f"results/search/fix/{PLACE}.discriminator.run.json",
        f"results/search/fix/{PLACE}.generator.run.json",
        f"results/search/fix/{FREE}.generator.run.json",
    ]
    chosen = experiment(**{**SETTINGS, "planners": ["rerank", VOTE]})
    assert not [run for run in Needs(cells_of({"search": chosen}), frozenset({"d"})).runs() if "/search/" in run]
