"""A question of which a request got no answer is left out of every stage, counted, and never scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import (
    EMPTY_SQL,
    UNANSWERED,
    Candidate,
    CandidateSet,
    Execution,
    Judgment,
    Question,
    ResultGroup,
    Score,
    Selection,
    read_jsonl,
    write_jsonl,
)
from sqljudge.data.pool import label_candidates
from sqljudge.metrics.end_to_end import evaluate_selections
from sqljudge.metrics.intrinsic import intrinsic_metrics
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    Heartbeat,
    silent,
)
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.session import Session
from sqljudge.sql.official.schema import load_schemas
from sqljudge.stages.generate import Decoding, generate_candidates
from sqljudge.stages.judge import METHODS, judge
from sqljudge.stages.plan import PLANNERS, rerank
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.stages.score import score_judgments

DATA = Path(__file__).parents[1] / "data" / "evaluator"
SQL = "SELECT name FROM animal;"
QUESTIONS = [Question(i, "zoo", f"q{i}", "SELECT name FROM animal", "", "easy") for i in range(3)]
POOL = [CandidateSet(i, (Candidate("a;", label=1), Candidate("b;", label=0))) for i in range(3)]


class Flaky:
    """A scripted backend that gives no answer where the prompt holds a mark."""

    def __init__(self, inner: ScriptedBackend, mark: str) -> None:
        self.inner = inner
        self.mark = mark

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion | Failure]]:
        for i, answer in self.inner.generate(requests):
            fails = self.mark in requests[i].prompt.text and requests[i].sample == 0
            yield i, Failure("lost") if fails else answer

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice | Failure]]:
        for i, answer in self.inner.choose(requests):
            yield i, Failure("lost") if self.mark in requests[i].prompt.text else answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def session(scripted: Callable[..., ScriptedBackend]) -> Callable[[str], Session]:
    inner = scripted({"match": "", "response": ' {"correct": true}', "probabilities": {"Yes": 0.75}})
    return lambda mark: Session(Flaky(inner, mark), None, "job", tolerated=0.9)


def test_a_question_with_a_failed_sample_has_no_candidates(session: Callable[[str], Session], tmp_path: Path) -> None:
    sets = generate_candidates(
        session("q1"),
        QUESTIONS,
        template=PromptTemplate("${question}", "SELECT"),
        framing=Framing("raw"),
        extraction="continuation",
        decoding=Decoding(3, 0.5, 50),
        seed=0,
    )
    assert [(len(group.candidates), group.unanswered) for group in sets] == [(1, False), (0, True), (1, False)]
    write_jsonl(tmp_path / "sets.jsonl", sets)
    assert read_jsonl(tmp_path / "sets.jsonl", CandidateSet) == sets
    for plan in PLANNERS.values():
        scores = [Score(i, sets[i].candidates[0].sql, 0.5, True, failure=False) for i in (0, 2)]
        groups = [ResultGroup(score.question_id, score.sql, 0) for score in scores]
        assert [choice.reason == UNANSWERED for choice in plan(sets, scores, groups)] == [False, True, False]
    executions = [Execution(i, sets[i].candidates[0].sql, "ok", "", (), 1, 1, 0.1, True) for i in (0, 2)]
    assert [group.question_id for group in label_candidates(sets, executions)] == [0, 2]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_question_with_a_failed_judgment_is_left_out(
    session: Callable[[str], Session], tmp_path: Path, method: str
) -> None:
    pairs = [(QUESTIONS[group.question_id], each.sql) for group in POOL for each in group.candidates]
    template = PromptTemplate("${question}|${sql}", "A:")
    judgments = judge(session("q1|b"), pairs, method=method, template=template, framing=Framing("raw"), budget=99)
    assert [judgment.finish_reason == UNANSWERED for judgment in judgments] == [False] * 3 + [True] + [False] * 2
    assert judgments[3] == Judgment(1, "b;", finish_reason=UNANSWERED)
    write_judgments(tmp_path / "j.parquet", judgments)
    kept = read_judgments(tmp_path / "j.parquet")
    scores = score_judgments(POOL, kept, budget=99, scoring="hard", mode="naive", executable=None)
    assert [(score.answered, score.failure) for score in scores] == [(i != 3, False) for i in range(6)]
    found = intrinsic_metrics(POOL, scores, seed=0, resamples=20)
    assert (found["questions"], found["left_out"], found["candidates"]) == (2, 1, 4)
    assert [row["question_id"] for row in found["per_question"]] == [0, 2]
    assert found["metrics"]["failure_rate"]["value"] == 0
    assert rerank(POOL, scores)[1] == Selection(1, EMPTY_SQL, None, UNANSWERED)


def test_the_check_does_not_ask_what_was_not_answered() -> None:
    judgments = [Judgment(0, "a;", p_yes=0.75), Judgment(0, "b;", finish_reason=UNANSWERED)]
    runs = {(0, "a;"): True, (0, "b;"): False}
    scores = score_judgments(POOL[:1], judgments, budget=9, scoring="soft", mode="check", executable=runs)
    assert all(score.answered for score in scores)


def test_a_choice_without_an_answer_is_not_wrong() -> None:
    chosen = [
        Selection(0, SQL, 1.0, "x"),
        Selection(1, EMPTY_SQL, None, UNANSWERED),
        Selection(2, EMPTY_SQL, None, "x"),
    ]
    executions = [Execution(0, SQL, "ok", "", (), 1, 1, 0.1, True)]
    found = evaluate_selections(QUESTIONS, chosen, executions, load_schemas(DATA / "tables.json"))
    assert (found["questions"], found["left_out"]) == (2, 1)
    assert found["metrics"]["all"]["ex"] == {"value": 0.5, "n": 2}
    assert [row["question_id"] for row in found["per_question"]] == [0, 2]
