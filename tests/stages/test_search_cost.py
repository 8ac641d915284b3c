"""Costs: what re-ranking is booked, and what a score of a model costs by each scoring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import Candidate, CandidateSet, Cost, Judgment, Score, read_jsonl, write_json, write_jsonl
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
    assert of_judging(judgment, score, "forced") == (2, 24, 4)
    assert of_judging(judgment, replace(score, tokens=0), "forced") == (1, 10, 0)
    assert of_judging(silent, replace(score, tokens=0), "forced") == (1, 10, 0)
    assert of_judging(judgment, score, "hard") == (1, 10, 4)
