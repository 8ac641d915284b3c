"""Judgments hold what the discriminator said, raw, in the order of the pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.records import Judgment, Question
from sqljudge.models.engines import load_backend
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.scripted import TOKEN_PROBABILITY, ScriptedBackend
from sqljudge.models.session import Session
from sqljudge.stages.judge import Pair, judge
from sqljudge.stages.prompts import PromptTemplate
from sqljudge.stages.score import read_verdict

Rules = Callable[..., ScriptedBackend]
TEMPLATE = PromptTemplate("${question}|${sql}", "A:")
PAIRS: list[Pair] = [
    (Question(i, "d", f"q{i}", "SELECT 1", "", "easy"), sql) for i, sql in [(0, "a;"), (0, "b;"), (1, "a;"), (0, "a;")]
]


def judged(backend: ScriptedBackend, kind: str, budget: int = 0, **how: Any) -> list[Judgment]:
    session = Session(backend, None, "job")
    return judge(session, PAIRS, **{"kind": kind, "template": TEMPLATE, "prompt_format": "raw", "budget": budget, **how})


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


def test_frames_reach_the_model(scripted: Rules) -> None:
    backend = scripted({"match": r"^<user>q\d\|[ab];</user>A:$", "probabilities": {"Yes": 0.5}})
    assert [j.p_yes for j in judged(backend, "yes_no", prompt_format="chat")] == [0.5] * 4


def test_evidence_reaches_the_model(scripted: Rules) -> None:
    template = PromptTemplate("${sql} ${result}", "A:")
    backend = scripted({"match": r"^(a|b); \d/\1;\nA:$", "probabilities": {"Yes": 0.5}})
    shown = judged(backend, "yes_no", template=template, extras=lambda q, sql: {"result": f"{q.id}/{sql}"})
    assert [j.p_yes for j in shown] == [0.5] * 4


def test_each_distinct_pair_is_asked_once(scripted: Rules) -> None:
    session = Session(scripted({"match": "", "response": "x"}), None, "job")
    judge(session, PAIRS, method="reasoning", template=TEMPLATE, prompt_format="raw", budget=3)
    assert (session.usage.requests, session.usage.distinct) == (4, 3)


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_below_1(scripted: Rules, budget: int) -> None:
    with pytest.raises(ConfigError, match=f"budget is {budget}; a reasoning discriminator needs at least 1"):
        judged(scripted(), "reasoning", budget)


def test_an_unknown_kind(scripted: Rules) -> None:
    with pytest.raises(ConfigError, match=f"kind 'yesno' is unknown; known: {', '.join(KINDS)}"):
        judged(scripted(), "yesno")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_pairs(scripted: Rules, kind: str) -> None:
    session = Session(scripted(), None, "job")
    assert judge(session, [], kind=kind, template=TEMPLATE, prompt_format="raw", budget=1) == []


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
