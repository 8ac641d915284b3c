"""Planners: highest score, the paper's tie rule, and questions without candidates."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.core.records import (
    EMPTY_SQL,
    Candidate,
    CandidateSet,
    ResultGroup,
    Score,
    Selection,
    read_jsonl,
    write_jsonl,
)
from sqljudge.stages.plan import PLANNERS, greedy, plan_pool, rerank, vote
from sqljudge.stages.rank import ranked


def pool(*sqls: str, question_id: int = 0) -> CandidateSet:
    return CandidateSet(question_id, tuple(Candidate(sql) for sql in sqls))


def score(sql: str, value: float, question_id: int = 0) -> Score:
    return Score(question_id, sql, value, None, False)


def test_the_highest_score_wins() -> None:
    assert rerank([pool("A", "B")], [score("A", 0.2), score("B", 0.8125)]) == [
        Selection(0, "B", 0.8125, "highest score 0.81")
    ]


def test_ties_go_to_the_smallest_sql() -> None:
    scores = [score("C", 0.5), score("B", 0.5), score("A", 0.4)]
    tie = Selection(0, "B", 0.5, "tie of 2 at 0.50: smallest SQL", ("B", "C"))
    assert rerank([pool("C", "B", "A")], scores) == [tie]


def test_ties_on_the_labelled_pool_go_to_the_candidate_that_is_listed_first() -> None:
    scores = [score("C", 0.5), score("B", 0.5), score("A", 0.4)]
    tie = Selection(0, "C", 0.5, "tie of 2 at 0.50: listed first", ("C", "B"))
    assert rerank([pool("C", "B", "A")], scores, as_listed=True) == [tie]


def test_one_order_for_planners_metrics_and_pages() -> None:
    scored = {"C": 0.5, "D": 0.9, "B": 0.5, "A": -1.0}
    assert ranked(scored) == [["D"], ["B", "C"], ["A"]]
    assert ranked(scored, as_listed=True) == [["D"], ["C", "B"], ["A"]]
    assert ranked({}) == []


def test_no_candidates() -> None:
    nothing = [Selection(3, EMPTY_SQL, None, "no candidates")]
    assert rerank([pool(question_id=3)], []) == nothing
    assert greedy([pool(question_id=3)]) == nothing


def test_greedy_takes_the_first_whatever_the_scores() -> None:
    scores = [score("A", 0.9), score("B", 0.1)]
    assert PLANNERS["greedy"]([pool("B", "A")], scores, []) == [Selection(0, "B", None, "first candidate")]


def test_scores_belong_to_their_question() -> None:
    scores = [score("A", 0.9, 1), score("A", 0.1, 2), score("B", 0.2, 1), score("B", 0.8, 2)]
    chosen = rerank([pool("A", "B", question_id=2), pool("A", "B", question_id=1)], scores)
    assert [(s.question_id, s.sql) for s in chosen] == [(2, "B"), (1, "A")]


def test_a_missing_score_is_named() -> None:
    with pytest.raises(DataError, match="question 0: no score of candidate 'B'"):
        rerank([pool("A", "B")], [score("A", 1.0)])


@settings(deadline=None)
@given(st.dictionaries(st.text("AB ", min_size=1), st.sampled_from([-1.0, -0.5, 0.0, 0.3, 1.0]), min_size=1))
def test_the_order_of_candidates_does_not_matter(scored: dict[str, float]) -> None:
    scores = [score(sql, value) for sql, value in scored.items()]
    forward, backward = pool(*scored), pool(*reversed(scored))
    assert rerank([forward], scores) == rerank([backward], scores)
    (chosen,) = rerank([forward], scores)
    assert (-scored[chosen.sql], chosen.sql) == min((-value, sql) for sql, value in scored.items())


def grouped(groups: dict[str, int | None], question_id: int = 0) -> list[ResultGroup]:
    return [ResultGroup(question_id, sql, group) for sql, group in groups.items()]


def test_a_vote_weighs_groups_by_the_scores_of_their_samples() -> None:
    candidates = [CandidateSet(0, (Candidate("A", 1), Candidate("B", 2), Candidate("C", 1), Candidate("D", 9)))]
    scores = [score("A", 0.9), score("B", 0.3), score("C", 0.4), score("D", -0.5)]
    (selection,) = vote(candidates, scores, grouped({"A": 0, "B": 1, "C": 1, "D": 3}))
    assert (selection.sql, selection.score) == ("C", 0.4), "2 x 0.3 + 0.4 is more than 0.9; C beats B"
    assert selection.reason == "group of 53% of the weight: highest score 0.40"
    (selection,) = PLANNERS["vote"](candidates, scores, grouped({"A": 0, "B": 1, "C": 2, "D": 3}))
    assert selection.sql == "A"


def test_a_vote_leaves_out_what_does_not_execute() -> None:
    scores = [score("A", 0.9), score("B", 0.2)]
    assert vote([pool("A", "B")], scores, grouped({"A": None, "B": 1}))[0].sql == "B"


def test_a_vote_without_weight_is_a_rerank() -> None:
    scores = [score("A", -0.5), score("B", 0.0)]
    assert vote([pool("A", "B")], scores, grouped({"A": 0, "B": 1})) == rerank([pool("A", "B")], scores)
    assert vote([pool("A", "B")], scores, grouped({"A": None, "B": None})) == rerank([pool("A", "B")], scores)
    assert vote([pool(question_id=3)], [], []) == [Selection(3, EMPTY_SQL, None, "no candidates")]


def test_equally_heavy_groups_go_to_the_one_seen_first() -> None:
    scores = [score("B", 0.5), score("A", 0.5)]
    assert vote([pool("B", "A")], scores, grouped({"B": 0, "A": 1}))[0].sql == "B"


def test_a_missing_group_is_named() -> None:
    with pytest.raises(DataError, match="question 0: no result group of candidate 'B'"):
        vote([pool("A", "B")], [score("A", 1.0), score("B", 1.0)], grouped({"A": 0}))


@pytest.mark.parametrize(("planner", "files", "chosen"), [("rerank", 1, "A"), ("vote", 2, "B"), ("greedy", 0, "C")])
def test_a_pools_selections_are_written(tmp_path: Path, planner: str, files: int, chosen: str) -> None:
    """A planner is given the files that it needs, and none where it needs none."""
    paths = {name: str(tmp_path / f"{name}.jsonl") for name in ("candidates", "scores", "groups", "selections")}
    write_jsonl(paths["candidates"], [pool("C", "B", "A")])
    write_jsonl(paths["scores"], [score("A", 0.6), score("B", 0.5), score("C", 0.4)])
    write_jsonl(paths["groups"], grouped({"A": 2, "B": 0, "C": 0}))
    plan_pool(
        candidates=paths["candidates"],
        scores=[paths["scores"]][:files],
        groups=[paths["groups"]][: files - 1] if files else [],
        selections=paths["selections"],
        planner=planner,
    )
    assert [selection.sql for selection in read_jsonl(paths["selections"], Selection)] == [chosen]
