"""Discriminators without a model: what each prefers, what it may not see, and how its name is read."""

from __future__ import annotations

import math

import pytest
from sqljudge.core.artefacts import pool_of, selection_settings
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.records import Candidate, CandidateSet, Execution, ResultGroup, Score
from sqljudge.stages.baselines import SCORERS, draw, label, parse, score_without_model, uses_gold
from sqljudge.stages.plan import rerank
from sqljudge.stages.score import MODES

Seen = tuple[str, int, float | None, int | None, bool]  # SQL, count, log-probability, group, correct


def records(*seen: Seen, question: int = 0) -> tuple[list[CandidateSet], list[Execution], list[ResultGroup]]:
    candidates = tuple(Candidate(sql, count, mean_logprob=logprob) for sql, count, logprob, _, _ in seen)
    runs = [
        Execution(question, sql, "error" if group is None else "ok", "", (), 0, 0, 0.0, correct)
        for sql, _, _, group, correct in seen
    ]
    return [CandidateSet(question, candidates)], runs, [ResultGroup(question, s[0], s[3]) for s in seen]


def scored(name: str, *seen: Seen, mode: str = "naive", seed: int = 42, question: int = 0) -> list[Score]:
    return score_without_model(name, *records(*seen, question=question), asked=MODES[mode], seed=seed)


def chosen(name: str, *seen: Seen, mode: str = "naive") -> str:
    return rerank(records(*seen)[0], scored(name, *seen, mode=mode))[0].sql


BROKEN: Seen = ("Z broken", 5, -0.1, None, False)
ALONE: Seen = ("Y alone", 2, -0.9, 1, False)
TWIN: Seen = ("X twin", 2, -0.5, 2, True)
OTHER_TWIN: Seen = ("A twin", 1, -0.7, 2, True)
ALL = (BROKEN, ALONE, TWIN, OTHER_TWIN)


@pytest.mark.parametrize(
    ("name", "naive", "check"),
    [
        ("first", "Z broken", "Y alone"),
        ("executable", "Y alone", "Y alone"),
        ("majority", "X twin", "X twin"),
        ("likelihood", "Z broken", "X twin"),
        ("oracle:1", "A twin", "A twin"),
        ("oracle:0", "Y alone", "Y alone"),
    ],
)
def test_what_each_chooses(name: str, naive: str, check: str) -> None:
    assert chosen(name, *ALL) == naive
    assert chosen(name, *ALL, mode="check") == check


def test_majority_counts_samples_not_candidates_and_leaves_failures_out() -> None:
    shares = [score.score for score in scored("majority", *ALL)]
    assert shares == pytest.approx([0, 2 / 5, 3 / 5, 3 / 5], abs=1e-5)
    assert shares[2] > shares[3], "of equal results the one seen first"
    assert chosen("majority", ("B", 2, None, 0, False), ("A", 2, None, 1, False)) == "B", "a tie goes to the first seen"
    assert chosen("majority", ("B", 1, None, None, False), ("A", 1, None, None, False)) == "B"


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


def test_an_oracle_is_right_as_often_as_its_name_says() -> None:
    many = [scored("oracle:0.8", TWIN, ALONE, question=number) for number in range(2000)]
    right = [good.score == 1 for good, _ in many] + [bad.score == 0 for _, bad in many]
    assert sum(right) / len(right) == pytest.approx(0.8, abs=0.02)
    assert {score.score for pair in many for score in pair} == {0.0, 1.0}


def test_a_better_oracle_is_right_wherever_a_worse_one_is() -> None:
    for number in range(50):
        worse, better = (scored(f"oracle:{p}", TWIN, question=number)[0].score for p in (0.5, 0.7))
        assert better >= worse


def test_draws_depend_on_seed_question_and_sql_alone() -> None:
    assert scored("random", *ALL)[1] == scored("random", ALONE)[0]
    assert len({draw(1, 1, "a"), draw(2, 1, "a"), draw(1, 2, "a"), draw(1, 1, "b")}) == 4
    draws = [draw(7, number, "a") for number in range(2000)]
    assert sum(draws) / 2000 == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chance", "known: random, first, executable, majority, likelihood, oracle"),
        ("oracle", "write 'oracle:p' with p from 0 to 1"),
        ("oracle:", "write 'oracle:p'"),
        ("oracle:1.5", "write 'oracle:p'"),
        ("oracle:nan", "write 'oracle:p'"),
        ("random:0.5", "write 'random' alone"),
    ],
)
def test_wrong_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'.*{words}"):
        parse(name)


def test_names_labels_and_who_uses_gold() -> None:
    assert parse("oracle:0.9") == ("oracle", 0.9)
    assert label("oracle:0.90") == "Oracle, right with p = 0.9 (uses gold)"
    assert [name for name in SCORERS if name != "oracle" and uses_gold(name)] == []
    assert uses_gold("oracle:1")


def test_a_candidate_without_execution_is_named() -> None:
    sets, runs, groups = records(TWIN)
    for given in ((runs, []), ([], groups)):
        with pytest.raises(DataError, match="question 0: no execution or group of candidate 'X twin'"):
            score_without_model("first", sets, *given, asked=MODES["naive"], seed=1)


def test_paths_say_what_was_chosen_how() -> None:
    assert selection_settings("rerank/oracle-0.9/writer.sample.check") == {
        "planner": "rerank",
        "discriminator": "oracle-0.9",
        "mode": "check",
        "generator": "writer",
        "decoding": "sample",
    }
    judged = selection_settings("majority/thinker/no_schema/gpt-3.5.sample.b256.soft.naive")
    assert (judged["planner"], judged["context"], judged["budget"]) == ("majority", "no_schema", 256)
    assert (judged["generator"], judged["scoring"], judged["mode"]) == ("gpt-3.5", "soft", "naive")
    assert pool_of("greedy/writer.check") == "writer.check", "a decoding of that name is no mode"
    assert pool_of("rerank/first/writer.sample.naive") == "writer.sample"
