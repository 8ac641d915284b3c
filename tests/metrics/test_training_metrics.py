"""What training did: levels, paired differences, several seeds in two levels, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqljudge.core.records import Candidate, CandidateSet, Score
from sqljudge.metrics.contrast import contrast_metrics
from sqljudge.metrics.intervals import SHARE, over_seeds, ratio
from sqljudge.metrics.intrinsic import intrinsic_metrics
from sqljudge.metrics.training import curves, generator_metrics, training_cost, training_metrics

QUESTIONS = 24
HOW: dict[str, Any] = {"seed": 1, "resamples": 500}
DATABASES = {question: f"db{question % 3}" for question in range(QUESTIONS)}


def pool() -> list[CandidateSet]:
    return [
        CandidateSet(q, tuple(Candidate(f"SELECT {i}", label=int(i % 2 == q % 2)) for i in range(4)))
        for q in range(QUESTIONS)
    ]


def judge(noise: float, seed: int, *, tokens: int = 0, failures: float = 0.0) -> list[Score]:
    """Scores that are the label and noise; some without a verdict."""
    random = np.random.default_rng(seed)
    found = []
    for group in pool():
        for one in group.candidates:
            failed = bool(random.random() < failures)
            value = float(np.clip(0.5 + 0.3 * ((one.label or 0) - 0.5) + noise * random.standard_normal(), 0, 1))
            found.append(
                Score(
                    group.question_id,
                    one.sql,
                    -0.5 if failed else value,
                    None if failed else value > 0.5,
                    failure=failed,
                    tokens=int(random.integers(tokens + 1)),
                )
            )
    return found


def measured(runs: Sequence[Sequence[Score]], base: Sequence[Score] | None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = training_metrics(pool(), runs, base, DATABASES, **{**HOW, **more})["metrics"]
    return found


def test_one_seed_is_measured_as_any_two_discriminators_are() -> None:
    after, before = judge(0.1, 1, failures=0.1), judge(0.4, 2, failures=0.3)
    found = measured([after], before)
    alone = intrinsic_metrics(pool(), after, **HOW)["metrics"]
    paired = contrast_metrics(pool(), after, before, **HOW)["metrics"]
    for name in ("pwacc", "f1", "hit1", "mrr", "failure_rate"):
        assert found[name]["value"] == pytest.approx(alone[name]["value"]), name
        assert (found[name]["low"], found[name]["high"]) == pytest.approx((alone[name]["low"], alone[name]["high"]))
        assert found["difference"][name] == paired[name], name
    assert found["difference"]["auroc"] == paired["auroc"]
    assert found["hit1"]["at_random"] == alone["hit1"]["at_random"]
    assert found["spread"]["pwacc"]["status"] == "one seed"


def test_equal_seeds_are_as_one_and_different_ones_widen_the_interval() -> None:
    before = judge(0.4, 2)
    one = measured([judge(0.2, 1)], before)["difference"]["pwacc"]
    same = measured([judge(0.2, 1)] * 3, before)["difference"]["pwacc"]
    assert (same["value"], same["low"], same["high"]) == pytest.approx((one["value"], one["low"], one["high"]))
    found = measured([judge(noise, 1) for noise in (0.02, 0.2, 0.6)], before)
    assert found["difference"]["pwacc"]["high"] - found["difference"]["pwacc"]["low"] > 1.2 * (one["high"] - one["low"])
    each = [measured([judge(noise, 1)], before)["difference"]["pwacc"]["value"] for noise in (0.02, 0.2, 0.6)]
    assert found["difference"]["pwacc"]["value"] == pytest.approx(np.mean(each))
    assert found["spread"]["pwacc"]["value"] == pytest.approx(np.std(each, ddof=1))


def test_tokens_a_candidate_have_a_paired_difference_within_the_budget() -> None:
    before, after = judge(0.2, 1, tokens=90), judge(0.2, 1, tokens=20)
    found = measured([after], before, budget=100)["difference"]["tokens"]
    assert -90 < found["low"] < found["value"] < found["high"] < -10
    silent = measured([judge(0.2, 1)], judge(0.4, 1), budget=100)["difference"]["tokens"]
    assert (silent["value"], silent["low"], silent["high"]) == (0, 0, 0)


def test_the_fitted_f1_is_of_each_runs_own_thresholds() -> None:
    """A judge whose scores are all above 0.5 says nothing at 0.5, and ranks as before."""
    before = judge(0.1, 1)
    after = [Score(s.question_id, s.sql, 0.6 + s.score * 0.4, s.verdict, False) for s in before]
    found = measured([after], before)["difference"]
    assert found["f1"]["value"] < -0.2
    assert found["f1_fitted"]["value"] == pytest.approx(0, abs=1e-9)
    assert found["pwacc"]["value"] == 0


def test_a_run_without_any_verdict_ranks_nothing() -> None:
    found = measured([judge(0.1, 1, failures=1.0)], judge(0.1, 1))
    assert found["hit1"]["value"] is None
    assert found["difference"]["mrr"]["value"] is None
    assert found["difference"]["failure_rate"]["value"] == 1.0


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_over_seeds_holds_the_truth_about_as_often_as_it_says(seeds: int) -> None:
    """Training noise as large as that of the questions: the mean of many trainings on many questions."""
    random = np.random.default_rng(seeds)
    truth, held, trials = 0.6, 0, 200
    for trial in range(trials):
        shares = np.clip(random.normal(truth, 0.1, seeds), 0, 1)
        questions = random.random(40)
        tables = [
            np.stack([np.where(random.random(40) < 0.5, questions, random.random(40)) < share, np.ones(40)], axis=1)
            for share in shares
        ]
        found = over_seeds(tables, None, ratio, SHARE, seed=trial, resamples=200)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert held >= 0.93 * trials


def test_generators_are_compared_on_the_questions_that_were_decided_in_every_run() -> None:
    def evaluated(*right: bool | None) -> dict[str, Any]:
        return {"per_question": [{"question_id": i, "exec": one} for i, one in enumerate(right)]}

    base = evaluated(False, False, True, True, None)
    found = generator_metrics([evaluated(True, True, True, None, True)], base, **HOW)
    assert found["questions"] == 3
    assert found["left_out"] == 2
    assert found["metrics"]["ex"]["value"] == 1
    assert found["metrics"]["difference"]["ex"]["value"] == pytest.approx(2 / 3)
    assert found["metrics"]["difference"]["ex"]["p_value"] == 0.5
    several = generator_metrics(
        [evaluated(True, False, True), evaluated(True, True, True)], evaluated(*[False] * 3), **HOW
    )
    assert several["metrics"]["difference"]["ex"]["value"] == pytest.approx(5 / 6)
    assert several["metrics"]["spread"]["ex"]["value"] == pytest.approx(np.std([2 / 3, 1], ddof=1))


def record(generated: int, trained: int, seconds: float, memory: float) -> dict[str, Any]:
    tokens = {"generated": generated, "trained": trained, "prompted": 0}
    return {"tokens": tokens, "seconds": seconds, "peak_memory_mib": memory}


def test_a_training_costs_all_its_stages_and_the_mean_over_seeds() -> None:
    found = training_cost({"a": [record(0, 10, 1, 500), record(5, 10, 3, 400)], "b": [record(0, 30, 2, 700)]})
    assert {name: one["value"] for name, one in found.items()} == {
        "seeds": 2,
        "generated": 2.5,
        "trained": 25,
        "seconds": 3,
        "memory": 700,
    }
    assert training_cost({"before": []})["seconds"] == {"value": None, "status": "not compared"}


def test_curves_are_the_last_trainings_log(tmp_path: Path) -> None:
    rows = [
        {"step": 1, "loss": 2.0, "reward": 0.5, "completions/mean_length": 7.0},
        {"step": 2, "loss": 1.0, "reward": 1},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = curves({"one": ["gone/run.json", str(tmp_path / "run.json")], "none": []})
    assert found["none"] == {}
    assert found["one"] == {"reward": [[1, 0.5], [2, 1]], "length": [[1, 7.0]], "loss": [[1, 2.0], [2, 1.0]]}
