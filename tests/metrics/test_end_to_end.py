"""Aggregation of scores by hardness."""

from __future__ import annotations

from statistics import mean

import pytest
from sqljudge.core.records import Hardness
from sqljudge.metrics.end_to_end import Scored, component_scores, end_to_end
from sqljudge.sql.official.matching import COMPONENTS, Component

FULL = Component(1, 1, 1, 2, 2)
NONE = Component(1, 1, 1, 0, 0)
MISSED = Component(0, 0, 0, 2, 2)
EXTRA = Component(0, 0, 0, 0, 3)


def scored(hardness: Hardness, right: bool | None, exact: bool, component: Component = FULL) -> Scored:
    return Scored(hardness, right, exact, dict.fromkeys(COMPONENTS, component))


def test_by_hardness_and_overall() -> None:
    some = [
        scored("easy", True, True),
        scored("easy", False, True, MISSED),
        scored("hard", None, False, MISSED),
        scored("hard", True, False),
    ]
    metrics = end_to_end(some)["metrics"]
    assert metrics["easy"]["ex"] == {"value": 0.5, "n": 2}
    assert metrics["easy"]["em"] == {"value": 1.0, "n": 2}
    assert metrics["hard"]["ex"] == {"value": 1.0, "n": 1}
    assert metrics["all"]["ex"] == {"value": pytest.approx(2 / 3), "n": 3}
    assert metrics["all"]["partial_f1"] == {"value": 0.5, "n": 4}
    assert metrics["medium"] == {
        **{name: {"value": None, "n": 0} for name in ("ex", "em")},
        **{f"partial_{name}": {"value": None, "n": 0} for name in ("acc", "recall", "f1")},
    }


def test_accuracy_rests_on_predictions_and_recall_on_golds() -> None:
    assert component_scores([FULL, NONE, EXTRA, MISSED]) == {
        "acc": pytest.approx(1 / 3),
        "rec": pytest.approx(1 / 2),
        "f1": pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)),
    }


@pytest.mark.parametrize(("components", "f1"), [([MISSED], 1.0), ([NONE], 1.0), ([FULL], 1.0), ([FULL, MISSED], 0.5)])
def test_f1_is_one_where_both_are_zero(components: list[Component], f1: float) -> None:
    assert component_scores(components)["f1"] == f1


def test_the_papers_mean_over_components() -> None:
    one = Scored("easy", True, True, {name: MISSED if name in ("where", "order") else FULL for name in COMPONENTS})
    metrics = end_to_end([one])["metrics"]["all"]
    assert metrics["partial_acc"]["value"] == pytest.approx(mean([0.0] * 2 + [1.0] * 8))
    assert metrics["partial_f1"]["value"] == 1.0  # sic: 1 where accuracy and recall are 0


def test_intervals_are_of_ex_and_em_where_there_is_data() -> None:
    seen = []

    def interval(values: list[float]) -> tuple[float, float]:
        seen.append(list(values))
        return 0.25, 0.75

    metrics = end_to_end([scored("easy", True, False), scored("easy", None, True)], interval)["metrics"]  # type: ignore[arg-type]
    assert metrics["easy"]["ex"] == {"value": 1.0, "n": 1, "low": 0.25, "high": 0.75}
    assert metrics["hard"]["em"] == {"value": None, "n": 0, "low": None, "high": None}
    assert "low" not in metrics["easy"]["partial_f1"]
    assert seen == [[1.0], [0.0, 1.0]] * 2
