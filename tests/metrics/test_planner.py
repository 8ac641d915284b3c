"""What planners reach and need, against re-ranking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.core.records import Cost, write_jsonl
from sqljudge.metrics.planner import planned_metrics, write_planner


def evaluated(*right: bool | None) -> dict[str, Any]:
    rows = [{"question_id": i, "exec": each} for i, each in enumerate(right)]
    ex = {"value": 0.5, "low": 0.4, "high": 0.6, "n": len(right)}
    return {"questions": len(right), "left_out": 1, "metrics": {"all": {"ex": ex}}, "per_question": rows}


def costs(*tokens: float) -> list[Cost]:
    return [Cost(i, 2, each / 2, each / 4, 3, each / 8, each / 8, 4) for i, each in enumerate(tokens)]


HOW = {"seed": 1, "resamples": 200}


def test_what_a_planner_needs_is_a_mean_over_the_questions_that_it_answered() -> None:
    found = planned_metrics(evaluated(True, False), costs(80, 160, 9999), **HOW)
    values = {name: each["value"] for name, each in found["metrics"].items()}
    assert (values["tokens"], values["generator_calls"], values["queries"]) == (120, 2, 4)
    assert (values["generator_read"], values["discriminator_written"]) == (60, 15)
    assert found["metrics"]["ex"]["value"] == 0.5
    assert (found["questions"], found["left_out"], found["compared"]) == (2, 1, False)
    assert {values[name] for name in ("difference", "p_value", "extra", "gain")} == {None}


def test_the_gain_is_points_for_a_thousand_extra_tokens() -> None:
    first, second = evaluated(True, True, True, False), evaluated(False, True, False, False)
    found = planned_metrics(first, costs(*[600] * 4), (second, costs(*[100] * 4)), **HOW)["metrics"]
    assert found["difference"]["value"] == 0.5
    assert found["difference"]["deciding"] == 2
    assert found["p_value"]["value"] == pytest.approx(0.5)
    assert found["extra"]["value"] == 500
    assert found["gain"]["value"] == pytest.approx(100.0)
    assert found["gain"]["low"] <= 100 <= found["gain"]["high"]


def test_without_extra_tokens_there_is_no_gain_for_them() -> None:
    for spent in (100, 50):
        found = planned_metrics(evaluated(True), costs(spent), (evaluated(False), costs(100)), **HOW)["metrics"]
        assert (found["difference"]["value"], found["gain"]["value"]) == (1.0, None)


def test_only_questions_that_both_answered_are_compared() -> None:
    other = evaluated(False, True)
    other["per_question"] = other["per_question"][1:]
    found = planned_metrics(evaluated(True, True, None), costs(5, 20, 5), (other, costs(10, 10)), **HOW)["metrics"]
    assert (found["difference"]["value"], found["difference"]["n"], found["extra"]["value"]) == (0.0, 1, 10)


def test_a_question_without_a_cost_is_said() -> None:
    with pytest.raises(DataError, match="question 1: no cost of planning it"):
        planned_metrics(evaluated(True, True), costs(5), **HOW)


@pytest.mark.parametrize("compared", [False, True])
def test_a_planners_metrics_are_written(tmp_path: Path, compared: bool) -> None:
    """Beside the settings of its choices; without a file of re-ranking there is nothing to compare it with."""
    settings = {"planner": "fix", "budget": 60}
    one, other = evaluated(True, True), evaluated(False, True)
    for name, found, spent in (("own", one, costs(600, 600)), ("other", other, costs(100, 100))):
        write_json(tmp_path / name, {"settings": settings, **found})
        write_jsonl(tmp_path / f"{name}.costs", spent)
    write_planner(
        end_to_end=str(tmp_path / "own"),
        costs=str(tmp_path / "own.costs"),
        reference=[str(tmp_path / "other")] * compared,
        reference_costs=[str(tmp_path / "other.costs")] * compared,
        metrics=str(tmp_path / "metrics"),
        **HOW,
    )
    against = (other, costs(100, 100)) if compared else None
    expected = planned_metrics(one, costs(600, 600), against, **HOW)
    assert read_json(tmp_path / "metrics") == {"settings": settings, **expected}
    assert expected["compared"] is compared
