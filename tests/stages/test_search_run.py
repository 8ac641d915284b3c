"""What a search asks of models: the right prompts, each request once, every call booked, failures passed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import ConfigError
from sqljudge.core.records import UNANSWERED, CandidateSet, Cost, Execution, Judgment, Question, Score
from sqljudge.models.engines.base import ChoiceRequest, Failure, GenerationRequest
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.session import Session, open_sessions
from sqljudge.stages.generate import Decoding, generate_candidates
from sqljudge.stages.prompts import PromptTemplate
from sqljudge.stages.score import score_judgments
from sqljudge.stages.search.cost import Ledger, of_choosing, of_judging
from sqljudge.stages.search.driver import Step
from sqljudge.stages.search.run import (
    KINDS,
    Reader,
    Writer,
    proposing,
    search_questions,
    valuing,
    valuing_without_model,
)

PLAIN, CORRECT = PromptTemplate("Ask ${question}", "SELECT"), PromptTemplate("Fix ${sql} for ${question}", "SELECT")
QUESTIONS = [Question(i, "d", f"q{i}", "SELECT 1", "", "easy") for i in range(3)]
BY_ID = {question.id: question for question in QUESTIONS}
RULES = (
    {"match": "Fix SELECT a; for q", "response": " b;"},
    {"match": "Fix SELECT s;", "response": [" x;", " y;", " z;"]},
    {"match": r"Ask q\d+</user>SELECT a$", "response": " FROM t;"},
    {"match": "Ask q", "response": [" a;", " a FROM u;"]},
    {"match": r'\{"correct":$', "probabilities": {"true": 0.2, "false": 0.6}},
    {"match": "Judge SELECT b;", "response": ' {"correct": true}', "probabilities": {"Yes": 0.75}},
    {"match": "Judge", "response": ' {"correct": false}', "probabilities": {"Yes": 0.25}},
)


@pytest.fixture
def session(scripted: Callable[..., ScriptedBackend]) -> Session:
    return Session(scripted(*RULES), None, "job", tolerated=0.9)


def writer(session: Session, kind: str = "correction", samples: int = 2) -> Writer:
    def ask(start: str) -> Any:
        return KINDS[kind].ask(PLAIN, CORRECT, start)

    return Writer(session, ask, "chat", "statement", Decoding(samples, 0.5, 40), seed=3)


def reader(session: Session, kind: str = "yes_no", scoring: str = "soft", budget: int = 30) -> Reader:
    closing = PromptTemplate("</think>", '{"correct":')
    return Reader(session, kind, PromptTemplate("Judge ${sql} for ${question}", ""), closing, "raw", budget, scoring)


def ran(sets: Sequence[CandidateSet]) -> list[Execution]:
    """What executes has no `FROM`; what is right has a `b`."""
    return [
        Execution(each.question_id, one.sql, "error" if "FROM" in one.sql else "ok", "", (), 0, 0, 0.0, "b" in one.sql)
        for each in sets
        for one in each.candidates
    ]


def test_a_step_is_answered_from_what_it_starts_from(session: Session) -> None:
    ledger = Ledger(BY_ID)
    found = proposing(writer(session), BY_ID, ledger)([(0, Step("", 2)), (1, Step("SELECT a;", 3, 2))])
    assert found == [["SELECT a;", "SELECT a FROM u;"], ["SELECT b;"] * 3]
    (later,) = proposing(writer(session), BY_ID, ledger)([(2, Step("SELECT s;", 2, 1))])
    assert later == ["SELECT y;", "SELECT z;"], "samples are counted on"
    (tree,) = proposing(writer(session, "tree"), BY_ID, ledger)([(2, Step("SELECT a", 1))])
    assert tree == ["SELECT a FROM t;"]
    costs = ledger.costs([CandidateSet(i, ()) for i in range(3)])
    assert [cost.generator_calls for cost in costs] == [2, 3, 3]
    assert costs[0].generator_read == 2 * len("<user>Ask q0</user>SELECT")
    assert (costs[0].generator_written, costs[2].generator_written) == (
        len(" a;") + len(" a FROM u;"),
        len(" y;") + len(" z;") + len(" FROM t;"),
    )


def test_the_question_alone_is_asked_as_the_generate_stage_asks_it(session: Session, tmp_path: Path) -> None:
    """So a search's first samples come from the journal, and are those that are re-ranked."""
    session.journal = tmp_path
    sets = generate_candidates(
        session,
        QUESTIONS,
        template=PLAIN,
        prompt_format="chat",
        extraction="statement",
        decoding=Decoding(2, 0.5, 40),
        seed=3,
    )
    before = session.usage.distinct
    found = proposing(writer(session), BY_ID, Ledger(BY_ID))([(each.id, Step("", 2)) for each in QUESTIONS])
    assert session.usage.from_journal == session.usage.distinct - before == 6
    assert found == [[candidate.sql for candidate in each.candidates] for each in sets]


def test_scores_are_those_of_re_ranking_and_the_check_keeps_what_does_not_execute(session: Session) -> None:
    pairs = [(0, "SELECT b;"), (1, "SELECT a FROM u;")]
    for mode, expected, calls in (("naive", [0.75, 0.25], [1, 1]), ("check", [0.75, -1.0], [1, 0])):
        ledger = Ledger(BY_ID)
        assert valuing(reader(session), BY_ID, ledger, mode=mode, execute=ran)(pairs) == expected
        costs = ledger.costs([CandidateSet(i, ()) for i in (0, 1)])
        assert [cost.discriminator_calls for cost in costs] == calls
        assert costs[0].discriminator_read == len("Judge SELECT b; for q0")


@pytest.mark.parametrize(("scoring", "score", "calls"), [("soft", 0.9, 1), ("hard", 1.0, 1), ("forced", 0.25, 2)])
def test_a_reasoning_discriminator_is_read_by_any_scoring(
    session: Session, scoring: str, score: float, calls: int
) -> None:
    ledger = Ledger(BY_ID)
    value = valuing(reader(session, "reasoning", scoring), BY_ID, ledger, mode="naive", execute=ran)
    assert value([(0, "SELECT b;")]) == [pytest.approx(score)]
    (cost,) = ledger.costs([CandidateSet(0, ())])
    assert (cost.discriminator_calls, cost.discriminator_written) == (calls, len(' {"correct": true}'))


def test_an_unknown_scoring_is_refused(session: Session) -> None:
    with pytest.raises(ConfigError, match="scoring 'loud' in mode 'naive' is unknown"):
        valuing(reader(session, scoring="loud"), BY_ID, Ledger(BY_ID), mode="naive", execute=ran)


@pytest.mark.parametrize(
    ("name", "mode", "scores"),
    [("oracle:1", "naive", [1.0, 0.0]), ("oracle:0", "check", [0.0, -1.0]), ("executable", "naive", [1.0, 0.0])],
)
def test_a_discriminator_without_a_model_values_new_queries(name: str, mode: str, scores: list[float]) -> None:
    value = valuing_without_model(name, mode=mode, seed=1, execute=ran)
    assert value([(0, "SELECT b;"), (1, "SELECT a FROM u;")]) == scores


class Flaky(ScriptedBackend):
    """Gives no completion about the second question, and no score about the third."""

    def choose(self, requests: Sequence[ChoiceRequest]) -> Any:
        for i, answer in super().choose(requests):
            yield i, Failure("lost") if "Judge SELECT b; for q2" in requests[i].prompt.text else answer

    def generate(self, requests: Sequence[GenerationRequest], heartbeat: Any = None) -> Any:
        for i, answer in super().generate(requests):
            yield i, Failure("lost") if "Fix SELECT a; for q1" in requests[i].prompt.text else answer


def planned(session: Session, kind: str) -> Any:
    settings = {"correction": {"prompt": "p", "rounds": 3}, "tree": {"expansions": 4}}[kind]
    return search_questions(
        QUESTIONS,
        writer(session, kind),
        lambda known, ledger: valuing(reader(session), known, ledger, mode="check", execute=ran),
        planner={"kind": kind, "completions": 2, **settings},
    )


def test_a_failed_request_leaves_its_question_out_and_no_other(scripted: Callable[..., ScriptedBackend]) -> None:
    backend = scripted(*RULES)
    found = planned(Session(Flaky(backend.spec, backend.rules), None, "job", tolerated=0.9), "correction")
    assert [each.sql for each in found.selections] == ["SELECT b;", ";", ";"]
    assert [each.reason == UNANSWERED for each in found.selections] == [False, True, True]
    assert [each.unanswered for each in found.tried] == [False, True, True]


@pytest.mark.parametrize("kind", ["correction", "tree"])
def test_costs_are_those_of_the_planner_alone_also_from_the_journal(
    session: Session, tmp_path: Path, kind: str
) -> None:
    session.journal = tmp_path
    first = planned(session, kind)
    spent = replace(session.usage)
    again = planned(Session(session.backend, tmp_path, "job"), kind)
    assert again == first
    total = [sum(getattr(cost, name) for cost in first.costs) for name in ("generator_read", "discriminator_read")]
    assert sum(total) == spent.prompt_tokens
    assert spent.from_journal == 0
    assert all(cost.queries == len(each.candidates) for cost, each in zip(first.costs, first.tried, strict=True))


def test_a_part_of_the_journal_gives_the_same_search(session: Session, tmp_path: Path) -> None:
    session.journal = tmp_path
    whole = planned(session, "correction")
    (file,) = tmp_path.glob("*.jsonl")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    resumed = Session(session.backend, tmp_path, "job")
    assert planned(resumed, "correction") == whole
    assert 0 < resumed.usage.from_journal < resumed.usage.distinct


def test_equal_models_are_loaded_once(scripted: Callable[..., ScriptedBackend], tmp_path: Path) -> None:
    spec = scripted(*RULES).spec
    roles = {"generator": spec, "discriminator": spec, "other": replace(spec, name="another")}
    made = open_sessions(roles, device="cpu", journal=str(tmp_path), writer="w", tolerated=0.5)
    assert made["generator"].backend is made["discriminator"].backend
    assert made["other"].backend is not made["generator"].backend
    assert made["discriminator"].journal == tmp_path / spec.name
    assert [session.writer for session in made.values()] == ["w.generator", "w.discriminator", "w.other"]
    assert {session.tolerated for session in made.values()} == {0.5}


ENDS = tuple(range(1, 20))


def test_re_ranking_is_booked_what_its_search_would_be(session: Session) -> None:
    """Judgments cut at the budget, candidates kept from the model, and a share of the generator's job."""
    sets = generate_candidates(
        session,
        QUESTIONS,
        template=PLAIN,
        prompt_format="chat",
        extraction="statement",
        decoding=Decoding(2, 0.5, 40),
        seed=3,
    )
    run = session.report()
    response = ' {"correct": false}'
    judgments = [
        Judgment(each.question_id, one.sql, None, response, (1,) * 19, (-0.1,) * 19, ENDS, "stop", 40, 15)
        for each in sets
        for one in each.candidates
    ]
    executable = {(each.question_id, one.sql): one.sql == "SELECT a;" for each in sets for one in each.candidates}
    scores = score_judgments(sets, judgments, budget=7, scoring="soft", mode="check", executable=executable)
    costs = of_choosing(sets, run, scores, judgments, "soft")
    share = (run["requests"] / 3, run["prompt_tokens"] / 3, run["new_tokens"] / 3)
    assert costs == [Cost(i, *share, 1, 15, 7, 2) for i in range(3)]
    assert of_choosing(sets, run) == [Cost(i, *share, queries=2) for i in range(3)]


def test_a_forced_verdict_reads_the_thought_once_more() -> None:
    judgment, silent = Judgment(0, "a;", prompt_tokens=10), Judgment(0, "a;", p_yes=0.5, prompt_tokens=10)
    score = Score(0, "a;", 0.5, None, failure=False, tokens=4)
    assert of_judging(judgment, score, "forced") == (2, 24, 4)
    assert of_judging(judgment, replace(score, tokens=0), "forced") == (1, 10, 0)
    assert of_judging(silent, replace(score, tokens=0), "forced") == (1, 10, 0)
    assert of_judging(judgment, score, "hard") == (1, 10, 4)
