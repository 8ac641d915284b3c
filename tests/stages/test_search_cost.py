"""Costs: what re-ranking is booked, and what a score of a model costs by each scoring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.files import write_json
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import Candidate, CandidateSet, Cost, Judgment, Score, read_jsonl, write_jsonl
from sqljudge.metrics.planner import tokens
from sqljudge.stages.score import score_judgments
from sqljudge.stages.search.cost import cost_pool, of_choosing, of_judging

SETS = [CandidateSet(i, (Candidate("SELECT a;"), Candidate("SELECT a FROM u;"))) for i in range(3)]
RUN: dict[str, Any] = {"requests": 6, "prompt_tokens": 120, "new_tokens": 75}
SHARE = (2, 40, 25)
ENDS = tuple(range(1, 20))


@pytest.fixture
def judgments() -> list[Judgment]:
    response = ' {"correct": false}'
    return [
        Judgment(each.question_id, one.sql, None, response, (1,) * 19, (-0.1,) * 19, ENDS, "stop", 40, 15)
        for each in SETS
        for one in each.candidates
    ]


@pytest.fixture
def scores(judgments: list[Judgment]) -> list[Score]:
    executable = {(each.question_id, one.sql): one.sql == "SELECT a;" for each in SETS for one in each.candidates}
    return score_judgments(SETS, judgments, budget=7, scoring="soft", mode="check", executable=executable)


def test_re_ranking_is_booked_what_its_search_would_be(judgments: list[Judgment], scores: list[Score]) -> None:
    """Judgments cut at the budget, candidates kept from the model, and a share of the generator's job."""
    assert of_choosing(SETS, RUN, scores, judgments, "soft") == [Cost(i, *SHARE, 1, 15, 7, 2) for i in range(3)]
    assert of_choosing(SETS, RUN) == [Cost(i, *SHARE, queries=2) for i in range(3)]


def test_a_pools_costs_are_written(tmp_path: Path, judgments: list[Judgment], scores: list[Score]) -> None:
    """Where no model was asked for a score there are no files of scores and judgments."""
    paths = {name: str(tmp_path / name) for name in ("candidates", "run", "scores", "judgments", "costs")}
    write_jsonl(paths["candidates"], SETS)
    write_json(paths["run"], RUN)
    write_jsonl(paths["scores"], scores)
    write_judgments(paths["judgments"], judgments)
    asked = {name: [paths.pop(name)] for name in ("scores", "judgments")}
    cost_pool(**paths, **asked, scoring="soft")
    assert read_jsonl(paths["costs"], Cost) == of_choosing(SETS, RUN, scores, judgments, "soft")
    cost_pool(**paths, scores=[], judgments=[], scoring="soft")
    assert read_jsonl(paths["costs"], Cost) == of_choosing(SETS, RUN)


def test_a_forced_verdict_reads_the_thought_once_more() -> None:
    judgment, silent = Judgment(0, "a;", prompt_tokens=10), Judgment(0, "a;", p_yes=0.5, prompt_tokens=10)
    score = Score(0, "a;", 0.5, None, failure=False, tokens=4)
    assert of_judging(judgment, score, "forced") == (2, 24, 4, 0)
    assert of_judging(judgment, replace(score, tokens=0), "forced") == (1, 10, 0, 0)
    assert of_judging(silent, replace(score, tokens=0), "forced") == (1, 10, 0, 0)
    assert of_judging(judgment, score, "hard") == (1, 10, 4, 0)


@pytest.mark.parametrize(
    ("routed", "verdict", "own", "forced"),
    [
        ((), 0, 0, 0),  # the small model alone
        ((), 18, 0, 18),  # the large one gave the forced verdict alone, and read everything for it
        ((1, 3), 0, 13, 13),  # it gave tokens of the thought, the last at position 3
        ((1, 3), 18, 13, 13 + 18),  # and the verdict, for which the thought is read once more
        ((1, 3, 9), 0, 13, 13),  # what it gave beyond the budget costs nothing
    ],
)
def test_what_the_large_of_two_models_read_is_booked(
    routed: tuple[int, ...], verdict: int, own: int, forced: int
) -> None:
    judgment = Judgment(0, "a;", prompt_tokens=10, routed=routed)
    score = Score(0, "a;", 0.5, None, failure=False, tokens=4, prompt_tokens=10, large_tokens=own)
    assert judgment.large_tokens(4) == own
    assert of_judging(judgment, score, "soft") == (1, 10, 4, own)
    read_on = replace(score, large_tokens=max(own, verdict))  # as a forced verdict says it
    assert of_judging(judgment, read_on, "forced") == (2, 24, 4, forced)


def test_a_pools_share_of_what_two_models_read_is_booked() -> None:
    (first, *_) = found = of_choosing(SETS, {**RUN, "large_tokens": 90})
    assert (first.generator_large, first.discriminator_large) == (30, 0)
    judgment = Judgment(0, "SELECT a;", p_yes=0.5, prompt_tokens=10, routed=(0,))
    score = Score(0, "SELECT a;", 0.5, True, failure=False, prompt_tokens=10, large_tokens=judgment.large_tokens(0))
    (first, *_) = of_choosing(SETS, RUN, [score], [judgment], "soft")
    assert (first.generator_large, first.discriminator_large) == (0, 10)
    assert tokens(found[0]) == sum(SHARE[1:]) + 30
    assert tokens(first) == sum(SHARE[1:]) + 10 + 10
