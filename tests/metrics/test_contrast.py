"""Paired differences of two contexts against cases done by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import Candidate, CandidateSet, Score, write_jsonl
from sqljudge.metrics.calibration import calibration_metrics
from sqljudge.metrics.contrast import contrast_metrics, write_contrast
from sqljudge.metrics.intrinsic import intrinsic_metrics

SETS = [CandidateSet(n, (Candidate("r", label=1), Candidate("w", label=0))) for n in range(8)]


def scores(*pairs: tuple[float, float]) -> list[Score]:
    """A right and a wrong candidate's score for each question; -0.5 is a failure."""
    return [
        Score(n, sql, value, value > 0.5, failure=value == -0.5)
        for n, pair in enumerate(pairs)
        for sql, value in zip("rw", pair, strict=True)
    ]


BASE = scores(*[(0.2, 0.7)] * 4, *[(0.9, 0.1)] * 2, (0.4, 0.4), (-0.5, 0.3))
BETTER = scores(*[(0.8, 0.6)] * 4, *[(0.9, 0.1)] * 2, (0.4, 0.3), (0.6, 0.3))


def test_differences_are_of_the_metrics_of_both() -> None:
    found = contrast_metrics(SETS, BETTER, BASE, seed=1, resamples=500)
    one, other = (intrinsic_metrics(SETS, some, seed=1, resamples=100)["metrics"] for some in (BETTER, BASE))
    names = ("pwacc", "f1", "hit1", "mrr", "failure_rate")
    for name in names:
        assert found["metrics"][name]["value"] == pytest.approx(one[name]["value"] - other[name]["value"]), name
    areas = [
        calibration_metrics(SETS, some, dict.fromkeys(range(8), "d"), seed=1, resamples=20)["metrics"]["auroc"]["value"]
        for some in (BETTER, BASE)
    ]
    assert found["metrics"]["auroc"]["value"] == pytest.approx(areas[0] - areas[1])
    assert found["metrics"]["pwacc"]["value"] == pytest.approx(8 / 8 - 2 / 8)
    assert found["metrics"]["failure_rate"]["value"] == pytest.approx(-1 / 16)
    assert (found["questions"], found["candidates"], found["left_out"]) == (8, 16, 0)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("silent_first", [True, False])
def test_a_run_without_any_verdict_ranks_nothing_that_could_be_compared(silent_first: bool) -> None:
    runs = [scores(*[(-0.5, -0.5)] * 8), BETTER]
    found = contrast_metrics(SETS, *(runs if silent_first else runs[::-1]), seed=1, resamples=200)["metrics"]
    assert {name for name, metric in found.items() if metric["value"] is None} == {"hit1", "mrr"}
    assert abs(found["failure_rate"]["value"]) == 1.0


def test_the_interval_is_paired() -> None:
    """All but two questions differ in the same direction: the difference is far surer than either metric."""
    metric = contrast_metrics(SETS, BETTER, BASE, seed=1, resamples=2000)["metrics"]["pwacc"]
    assert 0 < metric["low"] < metric["value"] < metric["high"] <= 1
    assert metric["p_value"] < 0.05
    assert (metric["n"], metric["deciding"]) == (8, 6)


def test_a_run_does_not_differ_from_itself() -> None:
    found = contrast_metrics(SETS, BASE, BASE, seed=1, resamples=200)["metrics"]
    assert {(m["value"], m["p_value"], m["deciding"]) for m in found.values()} == {(0, 1, 0)}
    assert all(m["low"] == pytest.approx(-m["high"], abs=0.05) and m["low"] < 0 for m in found.values())


def test_questions_that_one_run_did_not_answer_are_left_out_of_both() -> None:
    failed = [Score(3, s.sql, 0, None, failure=False, answered=False) if s.question_id == 3 else s for s in BETTER]
    found = contrast_metrics(SETS, failed, BASE, seed=1, resamples=200)
    assert (found["questions"], found["left_out"], found["candidates"]) == (7, 1, 14)
    assert found["metrics"]["pwacc"]["value"] == pytest.approx(7 / 7 - 2 / 7)
    swapped = contrast_metrics(SETS, BASE, failed, seed=1, resamples=200)
    assert swapped["metrics"]["auroc"]["value"] == pytest.approx(-found["metrics"]["auroc"]["value"])


def test_nothing_to_compare_is_no_difference_at_all() -> None:
    right = [CandidateSet(0, (Candidate("r", label=1),))]
    found = contrast_metrics(right, BETTER, BASE, seed=1, resamples=200)["metrics"]
    assert (found["pwacc"]["value"], found["auroc"]["value"]) == (None, None)
    assert contrast_metrics([], [], [], seed=1, resamples=200)["metrics"]["pwacc"]["value"] is None


def test_a_missing_score_is_said() -> None:
    with pytest.raises(DataError, match="question 7: no score of candidate 'r'"):
        contrast_metrics(SETS, BETTER, BASE[:-2], seed=1)


def test_differences_are_written_with_their_settings(tmp_path: Path) -> None:
    files = {name: str(tmp_path / name) for name in ("candidates", "scores", "base", "metrics")}
    for name, some in zip(files, (SETS, BETTER, BASE), strict=False):
        write_jsonl(files[name], some)
    settings = {"discriminator": "d", "context": "shown", "base": "bare"}
    write_contrast(**files, settings=settings, seed=1, resamples=50)
    expected = contrast_metrics(SETS, BETTER, BASE, seed=1, resamples=50)
    assert read_json(files["metrics"]) == {"settings": settings, "against": "bare", **expected}
