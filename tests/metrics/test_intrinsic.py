"""Intrinsic metrics against brute force, scikit-learn and cases done by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import Candidate, CandidateSet, Score, write_jsonl
from sqljudge.metrics.intrinsic import METRICS, SPENT, compare, intrinsic_metrics, write_intrinsic

Judged = list[list[tuple[int, float]]]  # a question's candidates as (label, score)
PAPERS = ("pwacc", "f1", "hit1", "mrr", "failure_rate", "tokens")
SCORES = st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.5, 0.51, 0.9, 1.0])
QUESTIONS = st.lists(st.lists(st.tuples(st.integers(0, 1), SCORES), max_size=5), max_size=8)


def records(questions: Judged) -> tuple[list[CandidateSet], list[Score]]:
    """Score -0.5 is a failure, -1 a candidate that was not asked about."""
    sets = [
        CandidateSet(number, tuple(Candidate(f"q{place}", label=label) for place, (label, _) in enumerate(question)))
        for number, question in enumerate(questions)
    ]
    scores = [
        Score(number, f"q{place}", value, value > 0.5, value == -0.5, asked=value != -1.0, tokens=5 * (value != -1.0))
        for number, question in enumerate(questions)
        for place, (_, value) in enumerate(question)
    ]
    return sets, scores


def measured(questions: Judged, resamples: int = 20) -> dict[str, float | None]:
    result = intrinsic_metrics(*records(questions), seed=42, resamples=resamples)
    return {name: metric["value"] for name, metric in result["metrics"].items()}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.5, -0.2, True, "0.5", None])
def test_what_is_no_score_is_refused(value: Any) -> None:
    sets, scores = records([[(1, 0.9), (0, 0.2)]])
    with pytest.raises(DataError, match=r"question 0, 'q1': score is .*; it must be") as error:
        intrinsic_metrics(sets, [scores[0], replace(scores[1], score=value)], seed=1)
    assert "\n" not in str(error.value)


def test_two_labels_or_two_scores_of_one_candidate_are_refused() -> None:
    sets, scores = records([[(1, 0.9), (0, 0.2)]])
    twice = replace(sets[0], candidates=(*sets[0].candidates, Candidate("q0", label=0)))
    with pytest.raises(DataError, match="question 0: 'q0' is listed twice; keep one"):
        intrinsic_metrics([twice], scores, seed=1)
    with pytest.raises(DataError, match="question 0, 'q0': two scores that differ"):
        intrinsic_metrics(sets, [*scores, replace(scores[0], score=0.1)], seed=1)
    assert intrinsic_metrics(sets, [*scores, scores[0]], seed=1, resamples=20)["candidates"] == 2


def close(value: float | None) -> object:
    return None if value is None else pytest.approx(value)


@settings(deadline=None)
@given(QUESTIONS)
def test_equal_to_brute_force_and_scikit_learn(questions: Judged) -> None:
    pairs = won = 0
    hits, ranks, failures, blind = [], [], [], []
    for question in questions:
        for place, (label, score) in enumerate(question):
            for other_label, other_score in question[place + 1 :]:
                if label != other_label:
                    pairs += 1
                    won += score > other_score if label > other_label else other_score > score
        order = sorted(range(len(question)), key=lambda i: (-question[i][1], i))
        labels = [question[i][0] for i in order]
        hits.append(labels[:1] == [1])
        ranks.append(1 / (labels.index(1) + 1) if 1 in labels else 0)
        asked = [score for _, score in question if score != -1.0]
        if asked:
            failures.append(asked.count(-0.5) / len(asked))
            blind.append(asked.count(-0.5) == len(asked))
    flat = [pair for question in questions for pair in question]
    predicted = [int(score > 0.5) for _, score in flat]
    truth = [label for label, _ in flat]
    f1 = f1_score(truth, predicted, labels=[0, 1], average="macro", zero_division=0) if flat else None
    values = measured(questions)
    assert values["pwacc"] == close(won / pairs if pairs else None)
    assert values["f1"] == close(f1)
    ranked = hits and not (blind and all(blind))  # a model without any verdict ranks nothing
    assert values["hit1"] == close(sum(hits) / len(hits) if ranked else None)
    assert values["mrr"] == close(sum(ranks) / len(ranks) if ranked else None)
    assert values["failure_rate"] == close(sum(failures) / len(failures) if failures else None)


def test_by_hand() -> None:
    questions = [
        [(0, 0.9), (1, 0.8), (1, 0.2)],  # both pairs lost; right at rank 2; fp, tp, fn
        [(1, 0.6), (0, 0.6)],  # a tie is a miss, but first seen ranks first; tp, fp
        [(0, -0.5), (0, -1.0)],  # nothing right; one asked, one failed; tn, tn
        [],
    ]
    result = intrinsic_metrics(*records(questions), seed=42, resamples=100)
    assert (result["questions"], result["candidates"], result["pairs"]) == (4, 7, 3)
    values = {name: metric["value"] for name, metric in result["metrics"].items()}
    assert {name: values[name] for name in PAPERS} == {
        "pwacc": 0.0,
        "f1": pytest.approx((4 / 7 + 4 / 7) / 2),
        "hit1": 0.25,
        "mrr": pytest.approx(1.5 / 4),
        "failure_rate": pytest.approx(1 / 3),
        "tokens": pytest.approx(6 * 5 / 6),
    }
    assert {name: result["metrics"][name]["n"] for name in PAPERS} == {
        "pwacc": 2, "f1": 3, "hit1": 4, "mrr": 4, "failure_rate": 3, "tokens": 3,
    }  # fmt: skip
    assert result["per_question"][0] == {
        "question_id": 0, "candidates": 3, "pairs": 2, "pairs_won": 0, "hit1": 0, "reciprocal_rank": 0.5,
        "hit1_at_random": 0.0, "reciprocal_rank_at_random": 0.5, "no_verdict": 0,
        "asked": 3, "failures": 0, "tokens": 15, "read": 15, "large_tokens": 0, "tp": 1, "fp": 1, "fn": 1, "tn": 0,
    }  # fmt: skip
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@settings(deadline=None, max_examples=60)
@given(QUESTIONS)
def test_beside_hit1_and_mrr_stand_their_means_over_all_orders_of_equal_scores(questions: Judged) -> None:
    found = intrinsic_metrics(*records(questions), seed=42, resamples=20)["per_question"]
    for question, row in zip(questions, found, strict=True):
        orders = [sorted(each, key=lambda pair: -pair[1]) for each in permutations(question)]
        firsts = [next((n for n, (label, _) in enumerate(order, 1) if label), 0) for order in orders]
        assert row["hit1_at_random"] == pytest.approx(fmean(first == 1 for first in firsts))
        assert row["reciprocal_rank_at_random"] == pytest.approx(fmean(1 / n if n else 0 for n in firsts))


@pytest.mark.parametrize(
    ("questions", "value", "at_random", "without_verdict"),
    [
        ([[(1, -0.5), (0, -0.5)], [(1, -0.5), (0, -1.0)]], None, 0.75, 1.0),  # no verdict at all
        ([[(1, -0.5), (0, -0.5)], [(1, 0.9), (0, -0.5)]], 1.0, 0.75, 0.5),  # one hit is the tie rule's
        ([[(1, -0.5), (0, -0.5)], [(0, 0.9), (1, 0.2)], []], 1 / 3, 1 / 6, 1 / 3),  # the only hit is
        ([[(1, 0.3), (0, 0.3)], [(0, 0.3), (1, 0.3)]], 0.5, 0.5, 0.0),  # verdicts that tie are verdicts
        ([[(1, -1.0), (0, -1.0)], []], 0.5, 0.25, 0.0),  # nothing was asked
    ],
)
def test_a_model_without_a_verdict_does_not_look_like_a_hit(
    questions: Judged, value: float | None, at_random: float, without_verdict: float
) -> None:
    result = intrinsic_metrics(*records(questions), seed=42, resamples=100)
    found = result["metrics"]["hit1"]
    assert (found["value"], found["low"] is None) == (close(value), value is None)
    assert found["at_random"] == pytest.approx(at_random)
    assert found["without_verdict"] == pytest.approx(without_verdict)
    assert (result["metrics"]["mrr"]["value"] is None) == (value is None)


def test_nothing_at_all() -> None:
    assert set(measured([]).values()) == {None}
    nothing = dict.fromkeys(("pwacc", "f1", "failure_rate", "tokens"))
    found = measured([[]])
    assert {name: found[name] for name in PAPERS} == {**nothing, "hit1": 0.0, "mrr": 0.0}


def test_intervals_hold_their_values() -> None:
    questions = [[(1, 0.9), (0, 0.1)], [(0, 0.8), (1, 0.3)]] * 100
    found = intrinsic_metrics(*records(questions), seed=42)["metrics"]
    for name in SPENT:
        assert found.pop(name)["low"] is None, "nobody knows how many there could be"
    for metric in found.values():
        assert metric["low"] <= metric["value"] <= metric["high"]
    assert measured(questions)["hit1"] == 0.5


def test_a_candidate_must_have_a_label_and_a_score() -> None:
    sets, scores = records([[(1, 0.5)]])
    with pytest.raises(DataError, match="question 0: no score of candidate 'q0'"):
        intrinsic_metrics(sets, [], seed=42)
    with pytest.raises(DataError, match="question 0: candidate 'q0' has the label None"):
        intrinsic_metrics([CandidateSet(0, (Candidate("q0"),))], scores, seed=42)


def test_runs_are_compared_question_by_question() -> None:
    good = intrinsic_metrics(*records([[(1, 0.9), (0, 0.1)]] * 20), seed=1, resamples=10)["per_question"]
    mixed = [[(1, 0.9), (0, 0.1)]] * 10 + [[(0, 0.8), (1, 0.2)]] * 10
    poor = intrinsic_metrics(*records(mixed), seed=1, resamples=10)["per_question"]
    for metric in METRICS:
        test = compare(metric, good, poor[::-1], seed=1, resamples=1000)
        assert test.n == 20
        assert test.deciding == (0 if metric in ("failure_rate", *SPENT) else 10)
    hit = compare("hit1", good, poor, seed=1)
    assert (hit.difference, hit.p_value) == (0.5, pytest.approx(2 / 2**10))
    assert compare("pwacc", good, poor, seed=1).difference == 0.5
    with pytest.raises(DataError, match="different questions"):
        compare("mrr", good, poor[1:], seed=1)
    with pytest.raises(ConfigError, match="metric 'ex'"):
        compare("ex", good, poor, seed=1)
    for metric in METRICS:
        assert compare(metric, [], [], seed=1).difference is None


def test_a_pools_metrics_are_written_with_their_settings(tmp_path: Path) -> None:
    sets, scores = records([[(1, 0.9), (0, 0.1)], [(0, 0.8), (1, 0.3)]])
    files = {name: str(tmp_path / name) for name in ("candidates", "scores", "metrics")}
    write_jsonl(files["candidates"], sets)
    write_jsonl(files["scores"], scores)
    settings = {"discriminator": "d", "budget": 64}
    write_intrinsic(**files, settings=settings, seed=1, resamples=50)
    found = read_json(files["metrics"])
    assert found == {"settings": settings, **intrinsic_metrics(sets, scores, seed=1, resamples=50)}
    assert found["metrics"]["pwacc"]["value"] == 0.5
