"""Judgments hold what the discriminator said, raw, in the order of the pairs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import ConfigError, DataError, ModelError
from sqljudge.core.files import read_json
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import Candidate, CandidateSet, Execution, Judgment, Question, write_jsonl
from sqljudge.models.engines import load_backend
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.scripted import TOKEN_PROBABILITY, ScriptedBackend
from sqljudge.models.session import Session
from sqljudge.stages.judge import METHODS, Pair, judge, judge_pool, judged_pairs
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.stages.score import read_verdict

Rules = Callable[..., ScriptedBackend]
TEMPLATE = PromptTemplate("${question}|${sql}", "A:")
PAIRS: list[Pair] = [
    (Question(i, "d", f"q{i}", "SELECT 1", "", "easy"), sql) for i, sql in [(0, "a;"), (0, "b;"), (1, "a;"), (0, "a;")]
]


def judged(backend: ScriptedBackend, method: str, budget: int = 0, **how: Any) -> list[Judgment]:
    session = Session(backend, None, "job")
    return judge(
        session, PAIRS, **{"method": method, "template": TEMPLATE, "framing": Framing("raw"), "budget": budget, **how}
    )


def test_yes_no_judgments(scripted: Rules) -> None:
    backend = scripted(
        {"match": r"^q0\|a;\nA:$", "probabilities": {"Yes": 0.75, "No": 0.2}},
        {"match": "", "probabilities": {"No": 0.9}},
    )
    judgments = judged(backend, "yes_no")
    assert [(j.question_id, j.sql, j.p_yes) for j in judgments] == [
        (0, "a;", 0.75),
        (0, "b;", 0.0),
        (1, "a;", 0.0),
        (0, "a;", 0.75),
    ]
    assert judgments[0] == Judgment(0, "a;", 0.75, prompt_tokens=len("q0|a;\nA:"))


def test_reasoning_judgments(scripted: Rules) -> None:
    text = ' fine. {"correct": true}'
    backend = scripted({"match": "q0", "response": text}, {"match": "", "response": "x" * 99})
    judgments = judged(backend, "reasoning", 40)
    logprob = math.log(TOKEN_PROBABILITY)
    n = len(text)
    assert judgments[1] == Judgment(
        0,
        "b;",
        None,
        text,
        tuple(map(ord, text)),
        (logprob,) * n,
        tuple(range(1, n + 1)),
        "stop",
        40,
        len("q0|b;\nA:"),
    )
    assert (judgments[2].response, judgments[2].finish_reason) == ("x" * 40, "length")
    assert read_verdict(judgments[0], 40).value is True
    assert read_verdict(judgments[2], 40).value is None


def test_prompt_formats_reach_the_model(scripted: Rules) -> None:
    backend = scripted({"match": r"^<user>q\d\|[ab];</user>A:$", "probabilities": {"Yes": 0.5}})
    assert [j.p_yes for j in judged(backend, "yes_no", framing=Framing("chat"))] == [0.5] * 4


def test_extras_reach_the_model(scripted: Rules) -> None:
    template = PromptTemplate("${sql} ${result}", "A:")
    backend = scripted({"match": r"^(a|b); \d/\1;\nA:$", "probabilities": {"Yes": 0.5}})
    shown = judged(backend, "yes_no", template=template, extras=lambda q, sql: {"result": f"{q.id}/{sql}"})
    assert [j.p_yes for j in shown] == [0.5] * 4


def test_each_distinct_pair_is_asked_once(scripted: Rules) -> None:
    session = Session(scripted({"match": "", "response": "x"}), None, "job")
    judge(session, PAIRS, method="reasoning", template=TEMPLATE, framing=Framing("raw"), budget=3)
    assert (session.usage.requests, session.usage.distinct) == (4, 3)


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_below_1(scripted: Rules, budget: int) -> None:
    with pytest.raises(ConfigError, match=f"budget is {budget}; a reasoning discriminator needs at least 1"):
        judged(scripted(), "reasoning", budget)


def test_an_unknown_method(scripted: Rules) -> None:
    with pytest.raises(ConfigError, match=f"method 'yesno' is unknown; known: {', '.join(METHODS)}"):
        judged(scripted(), "yesno")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_no_pairs(scripted: Rules, method: str) -> None:
    session = Session(scripted(), None, "job")
    assert judge(session, [], method=method, template=TEMPLATE, framing=Framing("raw"), budget=1) == []


@pytest.mark.parametrize("script", ["", "{}x", "[1]", '[{"response": "x"}]', '[{"match": "("}]', "5", None])
def test_a_damaged_script(tmp_path: Path, script: str | None) -> None:
    path = tmp_path / "script.json"
    if script is not None:
        path.write_text(script)
    with pytest.raises(ModelError, match="is not a list of scripted answers"):
        load_backend(ModelSpec("m", str(path), backend="scripted"), device="cpu")


def test_a_script_is_its_own_identity(scripted: Rules) -> None:
    one = scripted({"match": "a", "response": "x"})
    identity = one.identity()
    assert json.loads(identity["script"]) == [{"match": "a", "response": "x"}]
    assert scripted({"match": "a", "response": "y"}).identity() != identity
    assert one.describe() == {"device": "script"}


def test_candidates_stand_with_their_questions() -> None:
    questions = [question for question, _ in PAIRS[1:3]]
    sets = [
        CandidateSet(1, (Candidate("b;"), Candidate("a;"))),
        CandidateSet(0, (Candidate("a;"),)),
        CandidateSet(1, ()),
    ]
    assert judged_pairs(questions, sets) == [(questions[1], "b;"), (questions[1], "a;"), (questions[0], "a;")]
    with pytest.raises(DataError, match="candidates name question 7, which is not among the questions"):
        judged_pairs(questions, [CandidateSet(7, ())])


def test_a_pools_judgments_are_written_with_what_they_cost(scripted: Rules, tmp_path: Path) -> None:
    """Of a shard's questions alone, with the extras of the context, through a journal of the job's own."""
    sets = [CandidateSet(1, (Candidate("a;"),)), CandidateSet(0, (Candidate("b;"), Candidate("a;")))]
    runs = [Execution(i, sql, "ok", "", ((i,),), 1, 0, 0.0, None) for i, sql in ((0, "a;"), (0, "b;"), (1, "a;"))]
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("questions", "candidates", "executions")}
    for name, some in zip(files, ([PAIRS[0][0], PAIRS[2][0]], sets, runs), strict=True):
        write_jsonl(files[name], some)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("${question}|${sql}|${result}\n=== answer ===\nA:\n", encoding="utf-8")
    backend = scripted({"match": r"^q(\d)\|[ab];\|1 row:\n\1\nA:$", "probabilities": {"Yes": 0.75}})
    how: dict[str, Any] = {
        **files,
        "prompt": str(prompt),
        "weights": [],
        "model": dataclasses.asdict(backend.spec),
        "method": "yes_no",
        "framing": {"prompt_format": "raw"},
        "budget": 0,
        "extras": {"result": {}},
        "label": "judge.pool",
        "journal": str(tmp_path / "journal"),
        "failures_tolerated": 0.0,
    }
    for shard, asked in (("1-of-3", [0, 0]), ("2-of-3", [1]), ("", [1, 0, 0])):
        made = {name: str(tmp_path / f"{name}{shard}") for name in ("judgments", "run")}
        judge_pool(**how, **made, shard=shard)
        found = read_judgments(made["judgments"])
        assert [(one.question_id, one.p_yes) for one in found] == [(number, 0.75) for number in asked]
        report = read_json(made["run"])
        assert (report["requests"], report["from_journal"]) == (len(asked), 0 if shard else len(asked))
        assert report["model"] == backend.identity()
    assert [one.sql for one in read_judgments(tmp_path / "judgments")] == ["a;", "b;", "a;"]
    journal = tmp_path / "journal" / backend.spec.name
    assert sorted(path.name for path in journal.glob("*.jsonl")) == [f"judge.pool.{n}-of-3.jsonl" for n in (1, 2)]


def test_the_prompt_of_a_pool_must_hold_what_the_context_shows(scripted: Rules, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("${question}|${sql}\n=== answer ===\n", encoding="utf-8")
    for name in ("questions", "executions"):
        write_jsonl(tmp_path / f"{name}.jsonl", [])
    with pytest.raises(ConfigError, match=r"prompt.txt: the field \$\{result\} is missing"):
        judge_pool(
            **{name: str(tmp_path / f"{name}.jsonl") for name in ("questions", "executions")},
            candidates=str(tmp_path / "questions.jsonl"),
            prompt=str(prompt),
            weights=[],
            judgments=str(tmp_path / "judgments"),
            run=str(tmp_path / "run"),
            model=dataclasses.asdict(scripted().spec),
            method="yes_no",
            framing=Framing("raw"),
            budget=0,
            extras={"result": {}},
            label="job",
            journal="",
            failures_tolerated=0.0,
        )
