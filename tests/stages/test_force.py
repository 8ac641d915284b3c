"""A verdict is forced from a thought that is cut: where it is cut, what is asked, and what the answer means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from sqljudge.core.errors import ConfigError, DataError, ModelError
from sqljudge.core.files import read_json
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import (
    UNANSWERED,
    Candidate,
    CandidateSet,
    Execution,
    ForcedVerdict,
    Judgment,
    Question,
    Score,
    read_jsonl,
    write_jsonl,
)
from sqljudge.models.engines import tokenizer
from sqljudge.models.engines.base import ChoiceRequest, Failure, Prompt
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.session import Session
from sqljudge.stages.force import SPELLINGS, WORDS, Thought, force, force_pool, read_closing
from sqljudge.stages.judge import METHODS, Pair, judge
from sqljudge.stages.prompts import Framing, PromptTemplate, read_template
from sqljudge.stages.score import read_verdict, score_forced

Rules = Callable[..., ScriptedBackend]
CLOSING = PromptTemplate("\n</think>\n", '{"correct":')
CLOSED = '\n</think>\n\n{"correct":'
TEMPLATE = PromptTemplate("${question}|${sql}", "<think>")
QUESTIONS = [Question(i, "d", f"q{i}", "SELECT 1", "", "easy") for i in (0, 1)]
SETS = [CandidateSet(0, (Candidate("a;"), Candidate("b;"))), CandidateSet(1, (Candidate("a;"),))]
PAIRS: list[Pair] = [(QUESTIONS[0], "a;"), (QUESTIONS[0], "b;"), (QUESTIONS[1], "a;")]


def judgment(*tokens: str, question_id: int = 0, sql: str = "a;", finish: str = "stop") -> Judgment:
    ends = tuple(len("".join(tokens[: i + 1])) for i in range(len(tokens)))
    ids = tuple(range(len(tokens)))
    return Judgment(question_id, sql, None, "".join(tokens), ids, (-0.1,) * len(ids), ends, finish, len(ids))


def forced(tokens: tuple[str, ...], budget: int, prompt: str = "Q <think>\nOkay,") -> tuple[str, int]:
    text, kept = Thought(Prompt(prompt), judgment(*tokens), CLOSED, "</think>").forced(budget)
    return text.text, kept


@pytest.mark.parametrize(
    ("budget", "thought", "kept"),
    [(0, "", 0), (1, " one", 1), (2, " one two", 2), (3, " one two.", 3), (4, " one two.", 4), (99, " one two.", 4)],
)
def test_a_thought_is_cut_at_the_budget_or_where_it_ends(budget: int, thought: str, kept: int) -> None:
    tokens = (" one", " two", ".", "\n</think>", '\n{"correct": true}')
    assert forced(tokens, budget) == ("Q <think>\nOkay," + thought + CLOSED, kept)


def test_a_marker_in_a_token_of_its_own_is_no_part_of_the_thought() -> None:
    assert forced((" one", "\n\n", "</think>", "x"), 4) == ("Q <think>\nOkay, one" + CLOSED, 2)
    assert forced((" one", "</th", "ink>", "x"), 2) == ("Q <think>\nOkay, one" + CLOSED, 1), "nor is its beginning"
    assert forced(("</think>", "x"), 2) == ("Q <think>\nOkay," + CLOSED, 0)


def test_a_response_without_a_marker_is_all_thought() -> None:
    assert forced((" a", " b"), 9) == ("Q <think>\nOkay, a b" + CLOSED, 2)


@pytest.mark.parametrize("prompt", ["Q <think>\n</think>", "Q <think>\n\n</think>\n\n"])
def test_a_prompt_that_closes_the_thought_leaves_none(prompt: str) -> None:
    assert forced((" a", " b"), 2, prompt) == ("Q <think>" + CLOSED, 0)


def test_a_special_prompt_stays_one() -> None:
    thought = Thought(Prompt("Q", special=False), judgment("a"), CLOSED, "</think>")
    assert thought.forced(0)[0].special is False


def verdicts(
    backend: ScriptedBackend, budgets: list[int], method: str = "reasoning", **how: Any
) -> list[ForcedVerdict]:
    session = Session(backend, None, "job")
    judgments = judge(session, PAIRS, method=method, template=TEMPLATE, framing=Framing("raw"), budget=8)
    settings = {"template": TEMPLATE, "closing": CLOSING, "framing": Framing("raw"), "budgets": budgets, **how}
    return force(session, PAIRS, judgments, method=method, **settings)


RULES: list[dict[str, Any]] = [
    {"match": "^q", "response": " I think so."},
    {"match": r"^q0\|a;\n<think>\n</think>\n\n\{\"correct\":$", "probabilities": {"true": 0.3, "false": 0.1}},
    {"match": r"^q0\|a;\n<think> I t\n</think>\n\n\{\"correct\":$", "probabilities": {"true": 0.1, "false": 0.4}},
    {"match": r"q0\|b;", "probabilities": {"other": 1.0}},
    {"match": "", "probabilities": {"false": 0.5}},
]


def test_verdicts_come_pair_by_pair_and_budget_by_budget(scripted: Rules) -> None:
    found = verdicts(scripted(*RULES), [0, 4])
    assert [(v.question_id, v.sql, v.budget, v.tokens) for v in found] == [
        (question.id, sql, budget, budget) for question, sql in PAIRS for budget in (0, 4)
    ]
    assert [v.probability for v in found] == pytest.approx([0.75, 0.2, 0.5, 0.5, 0, 0])
    assert [v.mass for v in found] == pytest.approx([0.4, 0.5, 0, 0, 0.5, 0.5])


def test_extras_are_in_the_prompt_whose_thought_is_cut(scripted: Rules) -> None:
    """The judgments answer a prompt with extras; the forced verdict's begins with the same."""
    shown = {
        "template": PromptTemplate("${sql} ${result}", "<think>"),
        "extras": lambda q, sql: {"result": f"r{q.id}"},
    }
    backend = scripted(
        {"match": r"^[ab]; r[01]\n<think>$", "response": "x"},
        {"match": r"^[ab]; r[01]\n<think>x\n</think>\n\n\{\"correct\":$", "probabilities": {"true": 0.5}},
    )
    session = Session(backend, None, "job")
    judgments = judge(session, PAIRS, method="reasoning", framing=Framing("raw"), budget=8, **shown)
    how: dict[str, Any] = {
        "method": "reasoning",
        "closing": CLOSING,
        "framing": Framing("raw"),
        "budgets": [3],
        **shown,
    }
    assert [verdict.probability for verdict in force(session, PAIRS, judgments, **how)] == [1.0] * 3


def test_a_thought_that_ended_is_asked_about_once(scripted: Rules) -> None:
    session = Session(scripted({"match": "", "response": "x</think>y", "probabilities": {"true": 1}}), None, "job")
    judgments = judge(session, PAIRS, method="reasoning", template=TEMPLATE, framing=Framing("raw"), budget=20)
    before = session.usage.distinct
    how: dict[str, Any] = {"method": "reasoning", "template": TEMPLATE, "closing": CLOSING, "framing": Framing("raw")}
    force(session, PAIRS, judgments, **how, budgets=[1, 5, 9])
    assert session.usage.distinct - before == 3


def test_a_yes_no_discriminator_keeps_its_own_verdict(scripted: Rules) -> None:
    backend = scripted({"match": "", "probabilities": {"Yes": 0.25}})
    found = verdicts(backend, [0, 7], "yes_no")
    assert {(v.probability, v.tokens, v.mass) for v in found} == {(0.25, 0, None)}
    assert len(found) == 6


def test_requests_that_failed_have_no_verdict(scripted: Rules) -> None:
    class Failing(ScriptedBackend):
        def choose(self, requests: Any) -> Any:
            for i, request in enumerate(requests):
                yield i, Failure("gone") if "q1" in request.prompt.text else next(super().choose([request]))[1]

    inner = scripted(*RULES)
    session = Session(Failing(inner.spec, inner.rules), None, "job", tolerated=0.5)
    judgments = [judgment("x"), Judgment(0, "b;", finish_reason=UNANSWERED), judgment("x", question_id=1)]
    how: dict[str, Any] = {"method": "reasoning", "template": TEMPLATE, "closing": CLOSING, "framing": Framing("raw")}
    found = force(session, PAIRS, judgments, **how, budgets=[0])
    assert [(v.probability is None, v.tokens) for v in found] == [(False, 0), (True, 0), (True, 0)]


def test_what_cannot_be_forced(scripted: Rules) -> None:
    session = Session(scripted(), None, "job")
    how: dict[str, Any] = {"template": TEMPLATE, "closing": CLOSING, "framing": Framing("raw")}
    with pytest.raises(ConfigError, match=f"method 'x' is unknown; known: {', '.join(METHODS)}"):
        force(session, PAIRS, [], method="x", budgets=[0], **how)
    with pytest.raises(DataError, match="question 0: no judgment of candidate 'a;'"):
        force(session, PAIRS, [], method="reasoning", budgets=[0], **how)
    with pytest.raises(DataError, match="cut at 1 tokens, 2 asked for"):
        force(session, PAIRS[:1], [judgment("x", finish="length")], method="reasoning", budgets=[2], **how)


def test_a_pools_forced_verdicts_are_written_with_what_they_cost(scripted: Rules, tmp_path: Path) -> None:
    """Of a shard's questions alone, after the prompt that the judgments answer, extras and all."""
    files = {name: str(tmp_path / name) for name in ("questions", "candidates", "judgments", "executions")}
    write_jsonl(files["questions"], QUESTIONS)
    write_jsonl(files["candidates"], SETS)
    write_jsonl(files["executions"], [Execution(q.id, sql, "ok", "", (), 0, 0, 0.0, None) for q, sql in PAIRS])
    write_judgments(files["judgments"], [judgment(" I", " think", question_id=q.id, sql=sql) for q, sql in PAIRS])
    shown = "${question}|${sql}|${result}\n=== answer ===\n<think>"
    for name, text in (("prompt", shown), ("closing", "</think>\n=== answer ===\n{")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    said = r"^q0\|[ab];\|It runs and gives no rows.\n<think>( I)?</think>\n\{$"
    backend = scripted({"match": said, "probabilities": {"true": 0.3, "false": 0.1}})
    made = {name: str(tmp_path / name) for name in ("prompt", "closing", "forced", "run")}
    force_pool(
        **files,
        **made,
        weights=[],
        model=asdict(backend.spec),
        method="reasoning",
        framing={"prompt_format": "raw"},
        budgets=[0, 1],
        extras={"result": {}},
        label="forced.pool",
        shard="1-of-2",
        journal=str(tmp_path / "journal"),
        failures_tolerated=0.0,
    )
    found = read_jsonl(made["forced"], ForcedVerdict)
    assert [(v.question_id, v.sql, v.budget, v.tokens) for v in found] == [
        (0, sql, budget, budget) for sql in ("a;", "b;") for budget in (0, 1)
    ]
    assert [v.probability for v in found] == pytest.approx([0.75] * 4)
    assert read_json(made["run"])["requests"] == 4
    assert (tmp_path / "journal" / backend.spec.name / "forced.pool.1-of-2.jsonl").is_file()


@pytest.mark.parametrize("text", ["\n=== answer ===\n{", "</think>\n=== answer ===\n"])
def test_a_closing_needs_both_parts(tmp_path: Path, text: str) -> None:
    (tmp_path / "forced.txt").write_text(text)
    with pytest.raises(ConfigError, match="needs what closes a thought before the divider"):
        read_closing(tmp_path / "forced.txt")


FORCED = [ForcedVerdict(0, "a;", 4, 4, 0.75), ForcedVerdict(0, "b;", 4, 2, 0.5), ForcedVerdict(1, "a;", 4, 3)]


def test_scores_are_the_probability_of_true_and_none_is_a_failure() -> None:
    assert score_forced(SETS, FORCED, mode="naive", executable=None) == [
        Score(0, "a;", 0.75, True, failure=False, tokens=4),
        Score(0, "b;", 0.5, False, failure=False, tokens=2),
        Score(1, "a;", 0.0, None, failure=False, answered=False),
    ]
    checked = score_forced(SETS, FORCED, mode="check", executable={(0, "a;"): False, (0, "b;"): True, (1, "a;"): True})
    assert checked[0] == Score(0, "a;", -1.0, None, failure=False, asked=False)


def test_a_missing_verdict_is_said() -> None:
    with pytest.raises(DataError, match="question 1: no forced verdict of candidate 'a;'"):
        score_forced(SETS, FORCED[:2], mode="naive", executable=None)
    for wrong in (math.nan, math.inf, -0.5, 1.5, True, "0.5"):
        with pytest.raises(DataError, match=r"question 0, 'a;': probability is .*; it must be"):
            score_forced(SETS, [replace(FORCED[0], probability=wrong), *FORCED[1:]], mode="naive", executable=None)
    with pytest.raises(DataError, match="question 0, 'a;': two forced verdicts that differ"):
        score_forced(SETS, [*FORCED, replace(FORCED[0], probability=0.125)], mode="naive", executable=None)


def softmax(backend: Any, text: str) -> torch.Tensor:
    """Of a plain forward pass over a text."""
    ids = backend.tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        probabilities: torch.Tensor = backend.model(torch.tensor([ids])).logits[0, -1].softmax(-1)
    return probabilities


def share_of_true(backend: Any, text: str) -> float:
    """By separate code: the tokens that the spellings begin with after the text, each once."""
    ids = backend.tokenizer(text, add_special_tokens=False)["input_ids"]
    probabilities, sums = softmax(backend, text), []
    for word in ("true", "false"):
        first = set()
        for cased in (word, word.title(), word.upper()):
            for before in ("", " "):
                split = backend.tokenizer(text + before + cased, add_special_tokens=False)["input_ids"]
                assert split[: len(ids)] == ids
                first.add(split[len(ids)])
        sums.append(float(probabilities[sorted(first)].sum()))
    return sums[0] / sum(sums)


def test_a_forced_probability_is_that_of_a_plain_pass_over_the_text(embedded: Any) -> None:
    template = read_template(ROOT / "config/prompts/reasoning.txt", required=("question", "sql"))
    closing = read_closing(ROOT / "config/prompts/forced.txt")
    question = Question(0, "d", "How many zoos are there?", "", "", "easy")
    pairs: list[Pair] = [(question, "SELECT count(*) FROM zoo ;"), (question, "SELECT name FROM zoo ;")]
    session = Session(embedded, None, "job")
    judgments = judge(session, pairs, method="reasoning", template=template, framing=Framing("chat"), budget=12)
    how: dict[str, Any] = {"method": "reasoning", "template": template, "closing": closing, "framing": Framing("chat")}
    found = force(session, pairs, judgments, **how, budgets=[0, 5, 12])
    by_hand = []
    for (_, sql), said in zip(pairs, judgments, strict=True):
        user = template.user.replace("${question}", question.question).replace("${sql}", sql)
        chat = embedded.render_chat(user, "<think>\nOkay,").text
        for budget in (0, 5, 12):
            thought = embedded.decode(said.token_ids[:budget])
            by_hand.append(share_of_true(embedded, (chat + thought).rstrip() + '\n</think>\n\n{"correct":'))
    assert [verdict.probability for verdict in found] == pytest.approx(by_hand, rel=1e-3)
    assert len({round(p, 6) for p in by_hand}) == 6, "each cut says something else"
    assert all(0 < (verdict.mass or 0) <= 1 for verdict in found)


class Split:
    """A tokenizer that knows a few words, the longest first, and letters."""

    all_special_tokens: tuple[str, ...] = ()

    def __init__(self, *words: str) -> None:
        self.words = sorted(words, key=len, reverse=True)

    def split(self, text: str) -> list[str]:
        if not text:
            return []
        first = next((word for word in self.words if text.startswith(word)), text[0])
        return [first, *self.split(text[len(first) :])]

    def number(self, piece: str) -> int:
        return 1000 + self.words.index(piece) if piece in self.words else ord(piece)

    def __call__(self, texts: Any, add_special_tokens: bool) -> dict[str, Any]:
        many = [texts] if isinstance(texts, str) else texts
        ids = [[self.number(piece) for piece in self.split(text)] for text in many]
        return {"input_ids": ids[0] if isinstance(texts, str) else ids}

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(self.words[i - 1000] if i >= 1000 else chr(i) for i in ids)


def begun(split: Split, prompt: str = "Q:") -> list[set[str]]:
    found = tokenizer.choice_tokens(split, "m", ChoiceRequest(Prompt(prompt), WORDS, SPELLINGS))
    return [{split.decode([token]) for token in tokens} for tokens in found]


def test_each_first_token_counts_once() -> None:
    assert begun(Split(" true", "true", " false", "false", "True")) == [
        {" true", "true", "T", "True"},
        {" false", "false", "F"},
    ]


def test_quotes_and_spaces_say_neither_and_shared_tokens_are_left_out() -> None:
    assert begun(Split("true", "false", ' "t')) == [{"true", "T", ' "t'}, {"false", "F"}]
    quoted = ['"t', '"T', "'t", "'T"]
    assert begun(Split("true", "false", *quoted)) == [{"true", "T", *quoted}, {"false", "F"}], "no quote alone"
    with pytest.raises(ModelError, match="model 'm': no token begins 'true' alone after the prompt; change the prompt"):
        tokenizer.choice_tokens(Split(), "m", ChoiceRequest(Prompt("Q"), ("true", "tried"), (("true",), ("tried",))))


def test_a_spelling_that_splits_the_prompt_differently_does_not_follow_it() -> None:
    assert begun(Split(":true"))[0] == {"T"}


def test_words_without_spellings_are_one_token() -> None:
    request = ChoiceRequest(Prompt("Q:"), ("Yes", "No"))
    assert [len(group) for group in tokenizer.choice_tokens(Split(" Yes", " No"), "m", request)] == [1, 1]


def test_the_prompt_without_a_thought_lets_the_answer_be_read() -> None:
    template = read_template(ROOT / "config/prompts/no_thinking.txt", required=("question", "sql"))
    assert template.opening == "<think>\n</think>"
    said = judgment("\n\n", '{"correct": ', "false", "}")
    assert read_verdict(said, 4).value is False
