"""Templates are read in two parts and filled; what is wrong with one is said in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import ConfigError
from sqljudge.core.records import Question
from sqljudge.models.engines.base import Prompt
from sqljudge.stages.extras import EXTRAS
from sqljudge.stages.prompts import FIELDS, Framing, PromptTemplate, fill, read_template

FURTHER = (*EXTRAS, "answer")
QUESTION = Question(0, "shop", "How much is $5 & ${sql}?", "SELECT 1", "-- Table item: id", "easy")


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "prompt.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def chat(user: str, opening: str) -> Prompt:
    return Prompt(f"<{user}>{opening}", special=False)


def filled(template: PromptTemplate, prompt_format: str = "raw", sql: str = "") -> Prompt:
    return fill(template, QUESTION, sql=sql, framing=Framing(prompt_format), chat=chat)


@pytest.mark.parametrize(
    ("text", "user", "opening"),
    [
        ("Ask ${question}\n=== answer ===\nSELECT\n", "Ask ${question}", "SELECT"),
        ("Ask\n\n=== answer ===\n<think>\nOkay,\n", "Ask\n", "<think>\nOkay,"),
        ("Ask\n=== answer ===\n", "Ask", ""),
        ("Ask\n=== answer ===", "Ask", ""),
        ("Ask\r\n=== answer ===\r\nA:\r\n", "Ask", "A:"),
        ("\ufeffAsk\n=== answer ===\nA:", "Ask", "A:"),
        ("\ufeff=== answer ===\nA:", "", "A:"),
        ("=== answer ===\nA:", "", "A:"),
        ("Write '=== answer ===' here\n=== answer ===\nA:", "Write '=== answer ===' here", "A:"),
    ],
)
def test_the_two_parts(tmp_path: Path, text: str, user: str, opening: str) -> None:
    assert read_template(write(tmp_path, text), required=()) == PromptTemplate(user, opening)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ask ${question}", "needs a line '=== answer ==='"),
        ("Ask === answer === A", "needs a line '=== answer ==='"),
        ("Ask ${qestion}\n=== answer ===\n", "unknown field ${qestion}; did you mean ${question}?"),
        ("Ask\n=== answer ===\n${zzz}", "unknown field ${zzz}; did you mean"),
        ("It costs $ 5\n=== answer ===\n", "write a lone dollar sign as $$"),
        ("Ask ${schema}\n=== answer ===\n", "the field ${question} is missing"),
        (b"\xff\n=== answer ===\n", "not UTF-8 text"),
        ("Ask\n=== answer ===\n".encode("utf-16"), "not UTF-8 text but UTF-16 or UTF-32; save the file as UTF-8"),
        ("Ask\n=== answer ===\n".encode("utf-16-le"), "not UTF-8 text but UTF-16"),
    ],
)
def test_malformed_templates(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_template(path, required=("question",))
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_template(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_template(tmp_path / "none.txt", required=())


def test_a_required_field_may_stand_in_the_opening(tmp_path: Path) -> None:
    template = read_template(write(tmp_path, "Ask\n=== answer ===\n${question}"), required=("question",))
    assert filled(template).text == f"Ask\n{QUESTION.question}"


def test_all_fields_are_filled_once() -> None:
    """What a question holds is never taken for a field."""
    template = PromptTemplate("${db_id}|${schema}|${question}|$sql", "$$${sql}")
    assert filled(template, sql="SELECT ${db_id}").text == (
        "shop|-- Table item: id|How much is $5 & ${sql}?|SELECT ${db_id}\n$SELECT ${db_id}"
    )


def test_extras_fill_further_fields(tmp_path: Path) -> None:
    template = read_template(write(tmp_path, "${sql}: ${result}\n=== answer ===\n"), required=(), further=("result",))
    assert template.fields == {"sql", "result"}
    shown = fill(
        template,
        QUESTION,
        sql="s",
        framing=Framing("raw"),
        chat=chat,
        extras=lambda question, sql: {"result": f"{question.id} {sql} ${{sql}}"},
    )
    assert shown.text == "s: 0 s ${sql}", "what is shown is never taken for a field"


def test_an_unknown_further_field(tmp_path: Path) -> None:
    path = write(tmp_path, "${sql} ${reslt}\n=== answer ===\n")
    with pytest.raises(ConfigError, match=r"unknown field \$\{reslt\}; did you mean \$\{result\}\?"):
        read_template(path, required=(), further=("result",))


@pytest.mark.parametrize(
    ("prompt_format", "opening", "expected"),
    [
        ("raw", "SELECT", Prompt("Ask\nSELECT")),
        ("raw", "", Prompt("Ask")),
        ("inst", "SELECT", Prompt("[INST] Ask [/INST] SELECT")),
        ("inst", "", Prompt("[INST] Ask [/INST]")),
        ("chat", "SELECT", Prompt("<Ask>SELECT", special=False)),
        ("chat", "", Prompt("<Ask>", special=False)),
    ],
)
def test_prompt_formats(prompt_format: str, opening: str, expected: Prompt) -> None:
    assert filled(PromptTemplate("Ask", opening), prompt_format) == expected


@pytest.mark.parametrize("prompt_format", ["raw", "inst"])
def test_special_tokens_stand_before_a_prompt_if_it_says_so(prompt_format: str) -> None:
    asked = PromptTemplate("Ask", "")
    for special in (False, True):
        shown = fill(asked, QUESTION, framing=Framing(prompt_format, special_tokens=special), chat=chat)
        assert shown.special == special
    assert not fill(asked, QUESTION, framing=Framing("chat", special_tokens=True), chat=chat).special


def test_an_unknown_prompt_format() -> None:
    with pytest.raises(ConfigError, match="prompt_format 'chats' is unknown; known: raw, inst, chat"):
        filled(PromptTemplate("Ask", ""), "chats")


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "prompts").glob("*.txt")), ids=lambda path: path.stem)
def test_shipped_prompts(path: Path) -> None:
    wanted = {"generator": ("question", "schema"), "forced": ()}
    required = wanted.get(path.stem.partition("_")[0], ("question", "sql"))
    template = read_template(path, required=required, further=FURTHER)
    assert template.opening or path.stem.startswith("yes_no")
    asked = Question(0, "d", "q", "s", "t", "easy")
    text = fill(
        template, asked, sql="s", framing=Framing("inst"), chat=chat, extras=lambda *_: dict.fromkeys(FURTHER, "")
    ).text
    assert "$" not in text


def test_reasoning_prompts_open_the_thought() -> None:
    """Paper, sections 3 and 4."""
    for path in (ROOT / "config" / "prompts").glob("*reasoning*.txt"):
        assert read_template(path, required=(), further=FURTHER).opening == "<think>\nOkay,"


@given(st.text(alphabet="a$#{} =\n", max_size=30), st.text(max_size=30))
def test_escaped_text_comes_through(user: str, sql: str) -> None:
    template = PromptTemplate(user.replace("$", "$$") + "${sql}", "")
    assert filled(template, sql=sql).text == user + sql
    assert set(FIELDS) == {"question", "schema", "db_id", "sql", "knowledge"}
