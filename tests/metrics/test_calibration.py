"""Threshold-free and calibration metrics against scikit-learn, and cases done by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score
from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import Candidate, CandidateSet, Question, Score, write_jsonl
from sqljudge.metrics.calibration import (
    METRICS,
    _level_counts,
    _pool,
    auroc,
    average_precision,
    calibration_metrics,
    write_calibration,
)

Judged = list[list[tuple[int, float]]]  # a question's candidates as (label, score)
SCORES = st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.5, 0.51, 0.9, 1.0])
QUESTIONS = st.lists(st.lists(st.tuples(st.integers(0, 1), SCORES), max_size=5), max_size=8)


def records(questions: Judged) -> tuple[list[CandidateSet], list[Score]]:
    """Score -0.5 is a failure, -1 a candidate that was not asked about."""
    sets = [
        CandidateSet(number, tuple(Candidate(f"q{place}", label=label) for place, (label, _) in enumerate(question)))
        for number, question in enumerate(questions)
    ]
    scores = [
        Score(number, f"q{place}", value, value > 0.5, failure=value == -0.5, asked=value != -1.0)
        for number, question in enumerate(questions)
        for place, (_, value) in enumerate(question)
    ]
    return sets, scores


def measured(questions: Judged, databases: str = "", bins: int = 10, resamples: int = 20) -> dict[str, Any]:
    """The metrics; `databases`: a letter for each question, in turn (by default each question has its own)."""
    named = {n: databases[n % len(databases)] if databases else str(n) for n in range(len(questions))}
    return calibration_metrics(*records(questions), named, bins=bins, seed=42, resamples=resamples)


def value(found: dict[str, Any], name: str) -> float | None:
    number: float | None = found["metrics"][name]["value"]
    return number


@settings(deadline=None)
@given(QUESTIONS)
def test_equal_to_scikit_learn(questions: Judged) -> None:
    found = measured(questions)
    labels = [label for question in questions for label, _ in question]
    scores = [score for question in questions for _, score in question]
    known = [(label, score) for label, score in zip(labels, scores, strict=True) if score >= 0]
    both = len(set(labels)) == 2
    assert value(found, "auroc") == (pytest.approx(roc_auc_score(labels, scores)) if both else None)
    precision = average_precision_score(labels, scores) if 1 in labels else None
    assert value(found, "average_precision") == (None if precision is None else pytest.approx(precision))
    brier = brier_score_loss([k for k, _ in known], [s for _, s in known], pos_label=1) if known else None
    assert value(found, "brier") == (None if brier is None else pytest.approx(brier))
    said = [score > 0.5 for score in scores]
    f1 = f1_score(labels, said, average="macro", labels=[0, 1], zero_division=0) if labels else None
    assert value(found, "f1") == (None if f1 is None else pytest.approx(f1))
    left_out = (len(labels) - len(known)) / len(labels) if labels else None
    assert value(found, "without_probability") == (None if left_out is None else pytest.approx(left_out))
    json.dumps(found, allow_nan=False)


def test_a_score_that_never_passes_one_half_has_half_an_f1_and_a_perfect_ranking() -> None:
    shifted = [[(1, 0.4), (0, 0.1)], [(1, 0.3), (0, 0.2)], [(0, 0.15), (1, 0.45)]]
    found = measured(shifted)
    assert value(found, "f1") == pytest.approx(1 / 3)  # F1 of correct is 0, of wrong 2 * 3 / (3 + 3 + 0 + 3)
    assert value(found, "f1_fitted") == 1.0
    assert value(found, "auroc") == 1.0
    assert value(found, "average_precision") == 1.0


def test_the_threshold_of_a_database_is_fitted_on_the_others() -> None:
    found = measured([[(1, 0.9), (0, 0.7)], [(1, 0.4), (0, 0.2)]], databases="ab")
    assert found["folds"]["a"]["threshold"] == pytest.approx(0.3)  # of database b
    assert found["folds"]["b"]["threshold"] == pytest.approx(0.8)  # of database a
    rows = {row["question_id"]: row for row in found["per_question"]}
    assert [rows[0][name] for name in ("tp", "fp", "fn", "tn")] == [1, 1, 0, 0]
    assert [rows[1][name] for name in ("tp", "fp", "fn", "tn")] == [0, 0, 1, 1]
    assert value(found, "threshold") == pytest.approx(0.55)
    assert value(found, "f1") == pytest.approx(0.5)
    assert METRICS["f1_fitted"].statistics(rows[0]) == (1, 1, 0, 0)


def test_one_database_leaves_nothing_to_fit_on() -> None:
    found = measured([[(1, 0.9), (0, 0.2)], [(0, 0.6)]], databases="a")
    assert value(found, "auroc") == 1.0
    for name in ("f1_fitted", "threshold", "temperature", "brier_scaled", "ece_scaled"):
        assert value(found, name) is None, name
    assert found["folds"] == {"a": {"threshold": None, "temperature": None}}
    assert found["reliability"]["scaled"] == []


def test_what_has_no_probability_ranks_lowest_and_counts_in_no_calibration() -> None:
    found = measured([[(1, 0.75), (0, -0.5)], [(0, -1.0), (1, 0.25)]])
    assert value(found, "auroc") == 1.0
    assert value(found, "without_probability") == 0.5
    assert value(found, "brier") == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert sum(each["candidates"] for each in found["reliability"]["raw"]) == 2


def test_calibration_error_by_hand() -> None:
    questions = [[(1, 0.25), (0, 0.3), (0, 0.5), (1, 1.0)]]
    found = measured(questions, bins=2)
    low, high = found["reliability"]["raw"]
    assert (low["candidates"], low["probability"], low["correct"]) == (2, pytest.approx(0.275), 0.5)
    assert (high["candidates"], high["probability"], high["correct"]) == (2, 0.75, 0.5)
    assert (high["from"], high["to"]) == (0.5, 1.0)
    assert value(found, "ece") == pytest.approx((2 * 0.225 + 2 * 0.25) / 4)
    assert value(measured(questions, bins=1), "ece") == pytest.approx(abs(0.5125 - 0.5))


def test_intervals_are_over_whole_questions() -> None:
    """Twelve questions that are alike are still only twelve: no interval is a point, and that of ECE is none."""
    same = [[(1, 0.9), (0, 0.1)]] * 12
    found = measured(same, resamples=200)["metrics"]
    for name in ("auroc", "f1", "brier", "average_precision"):
        assert found[name]["high"] - found[name]["low"] > 0.1, name
        assert found[name]["n"] == 12
    assert (found["ece"]["low"], found["ece"]["high"]) == (None, None)
    mixed = [[(1, 0.9), (0, 0.1)], [(1, 0.2), (0, 0.8)]] * 6
    low, high = (measured(mixed, resamples=500)["metrics"]["auroc"][key] for key in ("low", "high"))
    assert 0.2 < low < 0.6 < value(measured(mixed), "auroc") < 0.9 < high <= 1


@pytest.mark.parametrize("score", [-1.0, -0.5, 0.0, 0.7, 1.0])
def test_equal_scores_rank_by_chance_and_leave_an_interval(score: float) -> None:
    """What one model gives to all candidates, such as no verdict, it need not give to those of an unseen question."""
    found = measured([[(1, score), (0, score)]] * 12, resamples=200)["metrics"]["auroc"]
    assert found["value"] == 0.5
    assert found["low"] < 0.4 < 0.6 < found["high"]


def test_resampled_auroc_is_that_of_the_resampled_questions() -> None:
    questions = [[(1, 0.9), (0, 0.4)], [(0, 0.9), (1, 0.1)], [(0, -0.5), (1, 0.4), (1, 0.2)]]
    sets, scores = records(questions)
    levels = _level_counts(_pool(sets, scores, dict.fromkeys(range(3), "a")))
    drawn = np.array([2.0, 0.0, 1.0])
    labels = [label for n in (0, 0, 2) for label, _ in questions[n]]
    values = [score for n in (0, 0, 2) for _, score in questions[n]]
    assert float(auroc(drawn @ levels)) == pytest.approx(roc_auc_score(labels, values))
    assert float(average_precision(drawn @ levels)) == pytest.approx(average_precision_score(labels, values))


def test_certain_scores_that_are_often_wrong_are_cooled_down() -> None:
    found = measured([[(1, 1.0), (0, 1.0)], [(0, 1.0), (1, 0.0)], [(0, 0.0), (0, 1.0)]] * 4, databases="abc")
    assert value(found, "temperature") > 5
    assert value(found, "brier_scaled") < value(found, "brier")
    assert value(found, "ece_scaled") < value(found, "ece")


@pytest.mark.parametrize("broken", ["label", "score", "database"])
def test_what_is_missing_is_named(broken: str) -> None:
    sets, scores = records([[(1, 0.5)]])
    if broken == "label":
        sets = [CandidateSet(0, (Candidate("q0"),))]
    with pytest.raises(DataError, match="question 0: "):
        calibration_metrics(
            sets, [] if broken == "score" else scores, {} if broken == "database" else {0: "a"}, seed=1, resamples=100
        )


def test_a_pools_calibration_is_written_with_its_settings(tmp_path: Path) -> None:
    """A threshold of a database is fitted on the others: the questions say which is which."""
    judged = [[(1, 0.9), (0, 0.7)], [(1, 0.4), (0, 0.2)]]
    sets, scores = records(judged)
    questions = [Question(number, name, "?", "SELECT 1", "", "easy") for number, name in enumerate("ab")]
    files = {name: str(tmp_path / name) for name in ("questions", "candidates", "scores", "metrics")}
    for name, some in zip(files, (questions, sets, scores), strict=False):
        write_jsonl(files[name], some)
    settings = {"discriminator": "d", "budget": 64}
    write_calibration(**files, settings=settings, bins=4, seed=42, resamples=20)
    found = read_json(files["metrics"])
    assert found == {"settings": settings, **measured(judged, databases="ab", bins=4)}
    assert found["folds"]["a"]["threshold"] == pytest.approx(0.3)
