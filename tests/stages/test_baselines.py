"""Discriminators without a model: what each prefers, what it may not see, and what tables call it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.records import Candidate, CandidateSet, Execution, ResultGroup, Score, read_jsonl, write_jsonl
from sqljudge.stages.baselines import BASELINES, baseline_label, draw, score_baseline, score_baseline_pool
from sqljudge.stages.plan import rerank

Seen = tuple[str, int, float | None, int | None, bool]  # SQL, count, log-probability, group, correct


def records(*seen: Seen, question: int = 0) -> tuple[list[CandidateSet], list[Execution], list[ResultGroup]]:
    candidates = tuple(Candidate(sql, count, mean_logprob=logprob) for sql, count, logprob, _, _ in seen)
    runs = [
        Execution(question, sql, "error" if group is None else "ok", "", (), 0, 0, 0.0, correct)
        for sql, _, _, group, correct in seen
    ]
    return [CandidateSet(question, candidates)], runs, [ResultGroup(question, s[0], s[3]) for s in seen]


def scored(method: str, *seen: Seen, mode: str = "naive", question: int = 0, p: float = 1.0) -> list[Score]:
    return score_baseline(method, *records(*seen, question=question), mode=mode, seed=42, p=p)


def chosen(method: str, *seen: Seen, mode: str = "naive", p: float = 1.0) -> str:
    return rerank(records(*seen)[0], scored(method, *seen, mode=mode, p=p))[0].sql


BROKEN: Seen = ("Z broken", 5, -0.1, None, False)
ALONE: Seen = ("Y alone", 2, -0.9, 1, False)
TWIN: Seen = ("X twin", 2, -0.5, 2, True)
OTHER_TWIN: Seen = ("A twin", 1, -0.7, 2, True)
ALL = (BROKEN, ALONE, TWIN, OTHER_TWIN)


@pytest.mark.parametrize(
    ("method", "p", "naive", "check"),
    [
        ("first", 1, "Z broken", "Y alone"),
        ("executable", 1, "Y alone", "Y alone"),
        ("majority", 1, "X twin", "X twin"),
        ("likelihood", 1, "Z broken", "X twin"),
        ("oracle", 1, "A twin", "A twin"),
        ("oracle", 0, "Y alone", "Y alone"),
    ],
)
def test_what_each_chooses(method: str, p: float, naive: str, check: str) -> None:
    assert chosen(method, *ALL, p=p) == naive
    assert chosen(method, *ALL, mode="check", p=p) == check


def test_majority_counts_samples_not_candidates_and_leaves_failures_out() -> None:
    shares = [score.score for score in scored("majority", *ALL)]
    assert shares == pytest.approx([0, 2 / 5, 3 / 5, 3 / 5], abs=1e-5)
    assert shares[2] > shares[3], "of equal results the one seen first"
    assert chosen("majority", ("B", 2, None, 0, False), ("A", 2, None, 1, False)) == "B", "a tie goes to the first seen"
    assert chosen("majority", ("B", 1, None, None, False), ("A", 1, None, None, False)) == "B"


def test_shorter_orders_by_length() -> None:
    seen: list[Seen] = [(sql, 1, None, None, False) for sql in ("select 10", "x", "select 1")]
    scores = {score.sql: score.score for score in scored("shorter", *seen)}
    assert sorted(scores, key=scores.__getitem__, reverse=True) == ["x", "select 1", "select 10"]
    assert all(0 < value < 1 for value in scores.values())


def test_likelihood_is_a_probability_and_must_be_known() -> None:
    assert [score.score for score in scored("likelihood", ALONE, TWIN)] == [math.exp(-0.9), math.exp(-0.5)]
    deep: Seen = ("deep", 1, -3.0, 0, False)
    assert chosen("likelihood", BROKEN, deep, mode="check") == "deep", "above what was kept from it"
    with pytest.raises(DataError, match="question 0: a candidate has no log-probability"):
        scored("likelihood", ("a", 1, None, 0, True))


def test_what_the_check_keeps_back_is_not_asked_about() -> None:
    kept, *others = scored("random", *ALL, mode="check")
    assert (kept.score, kept.asked, kept.failure) == (-1.0, False, False)
    assert all(score.asked and 0 <= score.score < 1 for score in others)


def test_an_oracle_is_right_as_often_as_its_p_says() -> None:
    many = [scored("oracle", TWIN, ALONE, question=number, p=0.8) for number in range(2000)]
    right = [good.score == 1 for good, _ in many] + [bad.score == 0 for _, bad in many]
    assert sum(right) / len(right) == pytest.approx(0.8, abs=0.02)
    assert {score.score for pair in many for score in pair} == {0.0, 1.0}


def test_a_better_oracle_is_right_wherever_a_worse_one_is() -> None:
    for number in range(50):
        worse, better = (scored("oracle", TWIN, question=number, p=p)[0].score for p in (0.5, 0.7))
        assert better >= worse


def test_draws_depend_on_seed_question_and_sql_alone() -> None:
    assert scored("random", *ALL)[1] == scored("random", ALONE)[0]
    assert len({draw(1, 1, "a"), draw(2, 1, "a"), draw(1, 2, "a"), draw(1, 1, "b")}) == 4
    draws = [draw(7, number, "a") for number in range(2000)]
    assert sum(draws) / 2000 == pytest.approx(0.5, abs=0.03)


def test_unknown_methods_and_modes_are_refused() -> None:
    known = "random, first, executable, shorter, majority, likelihood, oracle"
    with pytest.raises(ConfigError, match=f"'chance' is no method without a model; known: {known}"):
        scored("chance", TWIN)
    with pytest.raises(ConfigError, match="mode 'checked': not known; choose one of naive, check"):
        scored("first", TWIN, mode="checked")


def test_labels_and_who_uses_gold() -> None:
    assert baseline_label("oracle", 0.90) == "Oracle, right with p = 0.9 (uses gold)"
    assert baseline_label("oracle") == "Oracle, right with p = 1 (uses gold)"
    assert baseline_label("majority") == "Majority of results"
    assert [method for method, baseline in BASELINES.items() if baseline.uses_gold] == ["oracle"]


@pytest.mark.parametrize("method", [method for method, baseline in BASELINES.items() if baseline.alone])
def test_a_baseline_that_can_value_a_new_query_scores_it_as_among_others(method: str) -> None:
    """Its score says that it rests on the candidate alone; `executable` takes a place's share from it, no more."""
    among = scored(method, *ALL, p=0.7)
    for score, seen in zip(among, ALL, strict=True):
        (alone,) = scored(method, seen, p=0.7)
        assert alone.score == pytest.approx(score.score, abs=1e-5)


def test_a_candidate_without_execution_is_named() -> None:
    sets, runs, groups = records(TWIN)
    for given in ((runs, []), ([], groups)):
        with pytest.raises(DataError, match="question 0: no execution or group of candidate 'X twin'"):
            score_baseline("first", sets, *given, mode="naive", seed=1)


def test_a_pools_scores_are_written(tmp_path: Path) -> None:
    names = ("candidates", "executions", "groups")
    files = {name: str(tmp_path / f"{name}.jsonl") for name in (*names, "scores")}
    for name, some in zip(names, records(*ALL), strict=True):
        write_jsonl(files[name], some)
    score_baseline_pool(**files, method="oracle", p=0.6, mode="check", seed=42)
    assert read_jsonl(files["scores"], Score) == scored("oracle", *ALL, mode="check", p=0.6)
