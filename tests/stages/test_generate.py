"""SQL is found in completions by named rules, normalised, and counted in first-seen order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.files import read_json
from sqljudge.core.records import EMPTY_SQL, Candidate, CandidateSet, Question, read_jsonl, write_jsonl
from sqljudge.models.engines.base import Completion
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.session import Session
from sqljudge.stages.generate import (
    EXTRACTIONS,
    Decoding,
    collect,
    extract_sql,
    generate_candidates,
    generate_pool,
)
from sqljudge.stages.prompts import Framing, PromptTemplate

TEMPLATE = PromptTemplate("${question}", "SELECT")
QUESTIONS = [Question(i, "d", f"q{i}", "SELECT 1", "", "easy") for i in range(3)]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        (" name FROM t", "SELECT name FROM t;"),
        (" Name\nFROM T ;", "SELECT name FROM t;"),
        (" name FROM t\n\nThis query lists", "SELECT name FROM t;"),
        (" name FROM t\n\n\n x\n\n y", "SELECT name FROM t;"),
        (" name FROM t\n \nWHERE a", "SELECT name FROM t WHERE a;"),
        (" 1; SELECT 2", "SELECT 1; SELECT 2;"),
        ("", "SELECT;"),
        ("\n\n name", "SELECT;"),
        (" 'It''s \"X\"'", "SELECT 'It''s \"X\"';"),
    ],
)
def test_a_continuation_ends_at_the_first_blank_line(text: str, sql: str) -> None:
    assert extract_sql("continuation", "SELECT", text) == sql


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        (" name FROM t; It lists", "SELECT name FROM t;"),
        (" name FROM t\n```\nIt", "SELECT name FROM t;"),
        (" name FROM t\n \nIt", "SELECT name FROM t;"),
        (" name\nFROM t\n\nIt; is", "SELECT name FROM t;"),
        (" name FROM t", "SELECT name FROM t;"),
        (" a FROM t WHERE n = 'x; y'; It", "SELECT a FROM t WHERE n = 'x; y';"),
        (" a FROM t WHERE n = 'it''s; y'; It", "SELECT a FROM t WHERE n = 'it''s; y';"),
        (' a FROM t WHERE n = "x; y"; It', "SELECT a FROM t WHERE n = 'x; y';"),
        (' a FROM t WHERE n = "x ""; y"; It', "SELECT a FROM t WHERE n = 'x \"; y';"),
        (" `a;b` FROM t; It", "SELECT `a;b` FROM t;"),
        (" [a;b] FROM t; It", "SELECT [a;b] FROM t;"),
        (" a -- one; two\nFROM t; It", "SELECT a FROM t;"),
        (" a /* one;\ntwo */ FROM t; It's", "SELECT a FROM t;"),
        (" a -- it's; so\nFROM t; It", "SELECT a FROM t;"),
        (" a /* never closed; FROM t", "SELECT a;"),
        (" a FROM t WHERE n = 'x; never closed", "SELECT a FROM t WHERE n = 'x; never closed;"),
        (" a FROM t WHERE n = '\\'; It's", "SELECT a FROM t WHERE n = '\\';"),
        (" a FROM t WHERE n = 'é;😀;'; It", "SELECT a FROM t WHERE n = 'é;😀;';"),
        (" a FROM t;; It", "SELECT a FROM t;"),
    ],
)
def test_a_statement_ends_at_a_semicolon_or_fence_too(text: str, sql: str) -> None:
    assert extract_sql("statement", "SELECT", text) == sql


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("so\n```sql\nSELECT a\nFROM t\n```\nDone", "SELECT a FROM t;"),
        ("```SQL\nSELECT 1;\n```\n```sql\nSELECT 2\n```", "SELECT 1;"),
        ("```sql SELECT 1 ```", "SELECT 1;"),
        ("```sql   \n\n SELECT 1\n```", "SELECT 1;"),
        ("cut off ```sql\nSELECT a FROM", EMPTY_SQL),
        ("```sql\nSELECT a\n``", EMPTY_SQL),
        ("```python\nprint()\n```\n```sql\nSELECT 3\n```", "SELECT 3;"),
        ("```sqlite\nSELECT 1\n```", EMPTY_SQL),
        ("```\nSELECT 1\n```", EMPTY_SQL),
        ("SELECT 1", EMPTY_SQL),
        ("```sql\n```", EMPTY_SQL),
        ("", EMPTY_SQL),
    ],
)
def test_the_first_fenced_block(text: str, sql: str) -> None:
    assert extract_sql("fenced", "<think>\nOkay,", text) == sql
    if sql != EMPTY_SQL:
        assert extract_sql("open_fence", "<think>\nOkay,", text) == sql


@pytest.mark.parametrize("text", ["so ```sql\nSELECT a FROM", "```sql SELECT a FROM\n"])
def test_a_block_that_is_cut_counts_if_the_extraction_says_so(text: str) -> None:
    assert extract_sql("open_fence", "<think>\nOkay,", text) == "SELECT a FROM;"
    assert extract_sql("fenced", "<think>\nOkay,", text) == EMPTY_SQL


def test_a_string_may_be_open_where_the_answer_begins() -> None:
    assert extract_sql("statement", "SELECT a FROM t WHERE n = 'x", "; y'; It") == "SELECT a FROM t WHERE n = 'x; y';"
    assert extract_sql("statement", "SELECT a -- so", "; it\nFROM t; It") == "SELECT a FROM t;"


def test_no_model_is_stopped_inside_a_string() -> None:
    assert not [mark for way in EXTRACTIONS.values() for mark in way.stop if mark in "SELECT 'x; y' -- so; it"]


def test_an_unknown_extraction() -> None:
    with pytest.raises(ConfigError, match="known: continuation, statement, fenced, open_fence"):
        extract_sql("fence", "", "")


@given(st.sampled_from(sorted(EXTRACTIONS)), st.text(alphabet="SELECT a;`\n 'sql", max_size=60))
def test_stopping_early_loses_nothing(extraction: str, text: str) -> None:
    """What a generator is stopped at lies behind the SQL that is read."""
    stops = EXTRACTIONS[extraction].stop
    ends = [text.index(mark) + len(mark) for mark in stops if mark in text]
    assert extract_sql(extraction, "SELECT", text[: min(ends, default=None)]) == extract_sql(extraction, "SELECT", text)


def completion(*logprobs: float) -> Completion:
    return Completion("x", (1,) * len(logprobs), logprobs, (1,) * len(logprobs), "stop", 1)


def test_candidates_are_distinct_counted_and_in_first_seen_order() -> None:
    found = collect(
        ["b;", "a;", "b;", "c;", "a;", "b;"],
        [completion(*p) for p in [(-2.0,), (-1.0, -3.0), (-1.0, -0.5), (), (-4.0,), (-9.0,)]],
    )
    assert found == (
        Candidate("b;", 3, mean_logprob=-0.75),
        Candidate("a;", 2, mean_logprob=-2.0),
        Candidate("c;", 1, mean_logprob=0.0),
    )
    assert collect([], []) == ()


def generated(session: Session, **changes: Any) -> list[CandidateSet]:
    settings: dict[str, Any] = {
        "template": TEMPLATE,
        "framing": Framing("raw"),
        "extraction": "continuation",
        "decoding": Decoding(samples=4, temperature=0.7, max_new_tokens=50),
        "seed": 1,
    }
    return generate_candidates(session, QUESTIONS, **{**settings, **changes})


@pytest.fixture
def backend(scripted: Callable[..., ScriptedBackend]) -> ScriptedBackend:
    return scripted(
        {"match": "^q0\nSELECT$", "response": [" a FROM t", " A  from t ;", " b FROM t\n\nwhy", " a FROM t"]},
        {"match": "q1", "response": " 1"},
        {"match": "q2", "response": ["\n\n", " 2"]},
    )


def test_generation(backend: ScriptedBackend) -> None:
    session = Session(backend, None, "job")
    sets = generated(session)
    assert [[(c.sql, c.count) for c in group.candidates] for group in sets] == [
        [("SELECT a FROM t;", 3), ("SELECT b FROM t;", 1)],
        [("SELECT 1;", 4)],
        [("SELECT;", 2), ("SELECT 2;", 2)],
    ]
    assert [group.question_id for group in sets] == [0, 1, 2]
    assert session.usage.requests == 12, "one queue of requests"


def test_greedy_generation_asks_once(backend: ScriptedBackend) -> None:
    session = Session(backend, None, "job")
    sets = generated(session, decoding=Decoding(1, 0, 50))
    assert [[c.sql for c in group.candidates] for group in sets] == [["SELECT a FROM t;"], ["SELECT 1;"], ["SELECT;"]]
    generated(session, decoding=Decoding(3, 0, 50))
    assert session.usage.distinct == 6


def test_the_budget_and_the_prompt_format_reach_the_model(scripted: Callable[..., ScriptedBackend]) -> None:
    backend = scripted({"match": r"^\[INST\] q\d \[/INST\] SELECT$", "response": " abcdefgh"})
    sets = generated(Session(backend, None, "job"), framing=Framing("inst"), decoding=Decoding(1, 0, 4))
    assert [group.candidates[0].sql for group in sets] == ["SELECT abc;"] * 3
    chat = scripted({"match": r"^<user>q\d</user>SELECT$", "response": " 1"})
    assert len(generated(Session(chat, None, "job"), framing=Framing("chat"))) == 3


def test_requests_carry_seed_sample_temperature_and_stops(
    backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    session = Session(backend, None, "job")

    def watched(requests: Any) -> Any:
        seen.extend(requests)
        return Session.complete(session, requests)

    wrapper = type("Watched", (), {"backend": backend, "complete": staticmethod(watched)})()
    generated(wrapper, seed=9, extraction="statement")
    assert {(r.seed, r.temperature, r.max_new_tokens, r.stop) for r in seen} == {(9, 0.7, 50, ("\n\n", "```"))}
    assert [r.sample for r in seen] == [0, 1, 2, 3] * 3


def test_an_unknown_extraction_asks_nothing(backend: ScriptedBackend) -> None:
    session = Session(backend, None, "job")
    with pytest.raises(ConfigError, match="unknown"):
        generated(session, extraction="none")
    assert session.usage.requests == 0


def test_a_script_without_an_answer(scripted: Callable[..., ScriptedBackend]) -> None:
    with pytest.raises(ModelError, match="no scripted response matches a prompt"):
        generated(Session(scripted({"match": "q0", "response": "x"}), None, "job"))


def test_no_questions(backend: ScriptedBackend) -> None:
    decoding = Decoding(5, 0.2, 10)
    assert (
        generate_candidates(
            Session(backend, None, "job"),
            [],
            template=TEMPLATE,
            framing=Framing("raw"),
            extraction="fenced",
            decoding=decoding,
            seed=0,
        )
        == []
    )


def test_a_pools_candidates_are_written_with_what_they_cost(backend: ScriptedBackend, tmp_path: Path) -> None:
    """Of a shard's questions alone, through a journal of the job's own."""
    write_jsonl(tmp_path / "questions", QUESTIONS[::-1])
    (tmp_path / "prompt").write_text("${question}${schema}\n=== answer ===\nSELECT\n", encoding="utf-8")
    how: dict[str, Any] = {
        "framing": {"prompt_format": "raw"},
        "extraction": "continuation",
        "decoding": {"samples": 4, "temperature": 0.7, "max_new_tokens": 50},
        "quoted_names": False,
        "seed": 1,
        "label": "writer.sample",
        "journal": str(tmp_path / "journal"),
        "failures_tolerated": 0.0,
    }
    whole = {group.question_id: group for group in generated(Session(backend, None, "job"))}
    for shard, asked in (("1-of-3", [0]), ("2-of-3", [2, 1]), ("3-of-3", []), ("", [2, 1, 0])):
        files = {name: str(tmp_path / name) for name in ("questions", "prompt", "candidates", "run")}
        generate_pool(**files, weights=[], model=asdict(backend.spec), shard=shard, **how)
        assert read_jsonl(files["candidates"], CandidateSet) == [whole[number] for number in asked]
        report = read_json(files["run"])
        assert (report["requests"], report["model"]) == (4 * len(asked), backend.identity())
    folder = tmp_path / "journal" / backend.spec.name
    assert sorted(path.name for path in folder.iterdir()) == [f"writer.sample.{n}-of-3.jsonl" for n in (1, 2)]


def test_a_generators_prompt_must_hold_question_and_schema(backend: ScriptedBackend, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "questions", [])
    (tmp_path / "prompt").write_text("${question}\n=== answer ===\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the field \$\{schema\} is missing"):
        generate_pool(
            **{name: str(tmp_path / name) for name in ("questions", "prompt", "candidates", "run")},
            weights=[],
            model=asdict(backend.spec),
            framing=Framing("raw"),
            extraction="fenced",
            decoding={"samples": 1, "temperature": 0, "max_new_tokens": 5},
            quoted_names=False,
            seed=1,
            label="job",
            journal="",
            failures_tolerated=0.0,
        )
