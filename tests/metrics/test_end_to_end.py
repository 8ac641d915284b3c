"""Scores of chosen queries, and how they add up by level."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import EMPTY_SQL, Execution, Hardness, Question, Selection, write_jsonl
from sqljudge.metrics.end_to_end import Scored, component_scores, end_to_end, evaluate_selections, write_end_to_end
from sqljudge.metrics.intervals import share_interval
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.sql.official.matching import COMPONENTS, Component
from sqljudge.sql.official.schema import load_schemas

TABLES = Path(__file__).parents[1] / "data" / "evaluator" / "tables.json"

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


# --- choices ----------------------------------------------------------------------------------------------------------

GOLD = "SELECT name FROM animal WHERE age > 3"
QUESTIONS = [Question(3, "zoo", "?", GOLD, "", "easy"), Question(5, "zoo", "?", f"{GOLD} AND id > 1", "", "medium")]


def execution(number: int, sql: str, correct: bool | None) -> Execution:
    return Execution(number, sql, "ok", "", (), 0, 0, 0.0, correct)


def evaluated(chosen: dict[int, str], executions: list[Execution], **options: Any) -> dict[str, Any]:
    selections = [Selection(number, sql, 1.0, "best") for number, sql in chosen.items()]
    return evaluate_selections(QUESTIONS, selections, executions, load_schemas(TABLES), **options)


def test_selections_are_scored_and_execution_is_read() -> None:
    chosen = {5: "SELECT name FROM keeper", 3: GOLD.lower()}
    found = evaluated(chosen, [execution(3, GOLD.lower(), False), execution(5, chosen[5], True)])
    assert found["questions"] == 2
    assert found["per_question"] == [
        {"question_id": 3, "hardness": "easy", "exec": False, "exact": True},
        {"question_id": 5, "hardness": "medium", "exec": True, "exact": False},
    ]
    assert found["metrics"]["easy"]["ex"] == {"value": 0.0, "n": 1}
    assert found["metrics"]["all"]["em"] == {"value": 0.5, "n": 2}
    assert found["components"]["easy"]["where"] == {"acc": 1.0, "rec": 1.0, "f1": 1.0}
    json.dumps(found, allow_nan=False)


def test_undecided_executions_are_left_out() -> None:
    found = evaluated({3: GOLD, 5: GOLD}, [execution(3, GOLD, None), execution(5, GOLD, True)])
    assert found["metrics"]["all"]["ex"] == {"value": 1.0, "n": 1}
    assert found["metrics"]["easy"]["ex"] == {"value": None, "n": 0}


def test_beside_ex_stands_its_mean_if_ties_are_drawn() -> None:
    """Question 3 is a tie of one right, two wrong and one undecided query; question 5 is none."""
    ties = Selection(3, GOLD, 1.0, "tie", (GOLD, "a", "b", "c"))
    runs = [execution(3, GOLD, True), execution(3, "a", False), execution(3, "b", False), execution(3, "c", None)]
    runs.append(execution(5, GOLD, True))
    found = evaluate_selections(QUESTIONS, [ties, Selection(5, GOLD, 1.0, "best")], runs, load_schemas(TABLES))
    assert found["metrics"]["easy"]["ex"] == {"value": 1.0, "n": 1, "at_random": pytest.approx(1 / 3)}
    assert found["metrics"]["all"]["ex"]["at_random"] == pytest.approx(2 / 3)
    assert "at_random" not in found["metrics"]["medium"]["ex"]


def test_an_empty_choice_is_wrong_without_an_execution() -> None:
    found = evaluated({3: EMPTY_SQL, 5: GOLD}, [execution(5, GOLD, True)])
    assert [row["exec"] for row in found["per_question"]] == [False, True]
    found = evaluated({3: EMPTY_SQL, 5: GOLD}, [execution(5, GOLD, None)])
    assert [row["exec"] for row in found["per_question"]] == [None, None]


def test_the_intervals_of_choices() -> None:
    found = evaluated(
        {3: GOLD, 5: GOLD}, [execution(3, GOLD, True), execution(5, GOLD, True)], interval=lambda _: (0.1, 0.9)
    )
    assert found["metrics"]["all"]["ex"] == {"value": 1.0, "n": 2, "low": 0.1, "high": 0.9}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({3: GOLD}, "question 5: no selection"),
        ({3: GOLD, 5: GOLD, 9: GOLD}, "question 9, which is not among the questions"),
        ({3: GOLD, 5: "SELECT 1"}, "question 5: the chosen query has no execution: 'SELECT 1'"),
    ],
)
def test_what_does_not_fit_is_an_error(chosen: dict[int, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluated(chosen, [execution(3, GOLD, True), execution(5, GOLD, True)])


def test_an_unknown_schema_is_an_error() -> None:
    question = Question(1, "nowhere", "?", GOLD, "", "easy")
    schemas = load_schemas(TABLES)
    with pytest.raises(DataError, match=r"question 1: the database 'nowhere' is not in tables.json"):
        evaluate_selections([question], [Selection(1, "a", 1.0, "")], [execution(1, "a", True)], schemas)


def test_a_planners_scores_are_written_with_its_settings(tmp_path: Path) -> None:
    selections = [Selection(5, GOLD, 1.0, "best"), Selection(3, GOLD, 1.0, "best")]
    executions = [execution(3, GOLD, True), execution(5, GOLD, False)]
    names = ("questions", "selections", "executions")
    files = {name: str(tmp_path / name) for name in (*names, "metrics")}
    for name, some in zip(names, (QUESTIONS, selections, executions), strict=True):
        write_jsonl(files[name], some)
    settings = {"planner": "rerank", "mode": "check"}
    how: dict[str, Any] = {"levels": ["easy", "medium"], "comparison": TEST_SUITE}
    write_end_to_end(**files, tables=str(TABLES), settings=settings, **how)

    def interval(values: Sequence[float]) -> tuple[float, float]:
        return share_interval(round(sum(values)), len(values))

    expected = evaluated({3: GOLD, 5: GOLD}, executions, interval=interval, **how)
    assert read_json(files["metrics"]) == {"settings": settings, **expected}
    assert list(expected["metrics"]) == ["easy", "medium", "all"]
    assert expected["metrics"]["all"]["ex"]["low"] < 0.5 < expected["metrics"]["all"]["ex"]["high"]
