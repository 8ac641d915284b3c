"""What a model has said elsewhere is found by question and SQL, cut to the budget, and never taken for another's."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import UNANSWERED, Candidate, CandidateSet, Question
from sqljudge.data.pool import read_pool
from sqljudge.models.engines import check_prompt_format, check_spec, load_backend
from sqljudge.models.engines.base import ChoiceRequest, Completion, Failure, GenerationRequest, ModelSpec, Prompt
from sqljudge.models.session import Session
from sqljudge.stages.generate import Decoding, generate_candidates
from sqljudge.stages.judge import judge, judged_pairs
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.stages.score import score_judgments

TEMPLATE = PromptTemplate("${question} ${sql}", "")
QUESTIONS = [Question(id, "d", "The same words?", "SELECT 1", "", "easy") for id in (3, 5)]
SETS = [CandidateSet(3, (Candidate("SELECT a;"), Candidate("SELECT b;"))), CandidateSet(5, (Candidate("SELECT a;"),))]
PAIRS = judged_pairs(QUESTIONS, SETS)


def spec(folder: Path, *lines: Any) -> ModelSpec:
    path = folder / "records.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return ModelSpec("said", str(path), "-", "recorded", "-", "-")


def session(folder: Path, *lines: Any, tolerated: float = 0.0) -> Session:
    return Session(load_backend(spec(folder, *lines), device="cpu"), folder / "journal", "job", tolerated=tolerated)


def text(question_id: int, said: str, sql: str = "", **more: Any) -> dict[str, Any]:
    return {"question_id": question_id, "text": said, **({"sql": sql} if sql else {}), **more}


def test_completions_of_questions_with_the_same_words(tmp_path: Path) -> None:
    lines = [text(5, "SELECT 5"), text(3, "SELECT 3"), "", text(3, "SELECT 3;"), text(3, "SELECT 4"), text(5, "")]
    for samples, temperature, found in (
        (2, 0.5, [[("SELECT 3;", 2)], [("SELECT 5;", 1), (";", 1)]]),
        (1, 0, [[("SELECT 3;", 1)], [("SELECT 5;", 1)]]),
    ):
        sets = generate_candidates(
            session(tmp_path, *lines),
            QUESTIONS,
            template=TEMPLATE,
            framing=Framing("chat"),
            extraction="continuation",
            decoding=Decoding(samples, temperature, 9),
            seed=1,
        )
        assert [[(one.sql, one.count) for one in group.candidates] for group in sets] == found


def test_responses_are_read_as_any_others(tmp_path: Path) -> None:
    tokens = ['{"correct": ', "true", "}"]
    lines = [
        text(3, "".join(tokens), "select  a", tokens=tokens, logprobs=[0, math.log(0.75), 0]),
        text(3, '{"correct": false}', "SELECT b;"),
        text(5, "no idea", "SELECT a"),
    ]
    asking = session(tmp_path, *lines)
    judgments = judge(asking, PAIRS, method="reasoning", template=TEMPLATE, framing=Framing("raw"), budget=3)
    for budget, scores in ((3, [0.75, 0.0, -0.5]), (2, [-0.5, 0.0, -0.5])):
        found = score_judgments(SETS, judgments, budget=budget, scoring="soft", mode="naive", executable=None)
        assert [score.score for score in found] == pytest.approx(scores)
    assert asking.usage.distinct == 3, "the same prompt of another question is another request"
    again = session(tmp_path, *lines)
    assert judge(again, PAIRS, method="reasoning", template=TEMPLATE, framing=Framing("raw"), budget=3) == judgments
    assert again.usage.from_journal == 3


def test_scores_stand_for_the_probability_of_yes(tmp_path: Path) -> None:
    lines = [{"question_id": 3, "sql": "SELECT a;", "score": 0.9}, {"question_id": 5, "sql": "SELECT a;", "score": 0}]
    asking = session(tmp_path, *lines, tolerated=0.5)
    judgments = judge(asking, PAIRS, method="yes_no", template=TEMPLATE, framing=Framing("raw"), budget=0)
    assert [one.p_yes for one in judgments] == [0.9, None, 0]
    assert judgments[1].finish_reason == UNANSWERED
    assert [one["reason"] for one in asking.failures] == ["question 3, 'SELECT b;': no score is recorded"]


def test_what_is_not_recorded(tmp_path: Path) -> None:
    backend = load_backend(spec(tmp_path, text(3, "a")), device="cpu")
    asked = [GenerationRequest(Prompt("x"), 9, 0.5, sample=sample, about=(id, "")) for id, sample in ((3, 1), (4, 0))]
    assert dict(backend.generate(asked)) == {
        0: Failure("question 3: 1 texts are recorded, and number 2 is asked for", own=True),
        1: Failure("question 4: 0 texts are recorded, and number 1 is asked for", own=True),
    }
    with pytest.raises(ModelError, match="model 'said': nothing is recorded of what is asked"):
        list(backend.choose([ChoiceRequest(Prompt("x"), ("true", "false"))]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: .*"),
        ("[]", "line 2: is not a JSON object"),
        ({"text": "a"}, "line 2: the key 'question_id' is missing"),
        ({"question_id": 1}, "line 2: the key 'text' is missing"),
        ({"question_id": "1", "text": "a"}, "line 2: question_id '1' is no integer"),
        ({"question_id": 1, "txt": "a"}, "line 2: unknown key 'txt'"),
        ({"question_id": 1, "text": None}, "line 2: text None is no string"),
        ({"question_id": 1, "score": 1.5}, "line 2: score 1.5 is not between 0 and 1"),
        ({"question_id": 1, "score": "0.5"}, "line 2: score '0.5' is not between 0 and 1"),
        ({"question_id": 1, "score": True}, "line 2: score True is not between 0 and 1"),
        ({"question_id": 1, "score": math.nan}, "line 2: score nan is not between 0 and 1"),
        ({"question_id": 1, "text": "a", "logprobs": [math.nan]}, "line 2: log-probability nan is not a number"),
        ({"question_id": 1, "text": "a", "logprobs": ["-1"]}, "line 2: log-probability '-1' is not a number"),
        ({"question_id": 0, "sql": "SELECT 1", "score": 1}, "line 2: the query has another score above"),
        (text(1, "ab", tokens=["a"]), "line 2: the tokens do not give the text"),
        (text(1, "ab", tokens=["a", "b"], logprobs=[0]), "line 2: the tokens do not give the text"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"model 'said': .*records.jsonl, {message}"):
        load_backend(spec(tmp_path, {"question_id": 0, "sql": "select 1", "score": 0.5}, line), device="cpu")


def test_records_may_begin_with_a_byte_order_mark_and_hold_any_line_break(tmp_path: Path) -> None:
    given = spec(tmp_path)
    line = json.dumps(text(3, "SELECT '\u2028\x85'"), ensure_ascii=False)
    Path(given.source).write_bytes(f"{line}\r\n".encode("utf-8-sig"))
    (answer,) = load_backend(given, device="cpu").records.completions[3, ""]
    assert answer.text == "SELECT '\u2028\x85'"
    Path(given.source).write_text(line, encoding="utf-16")
    with pytest.raises(ModelError, match=r"records\.jsonl: not UTF-8 text but UTF-16 or UTF-32; save"):
        load_backend(given, device="cpu")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="model 'said': not/there: cannot be read"):
        load_backend(ModelSpec("said", "not/there", "-", "recorded", "-", "-"), device="cpu")


def test_other_records_are_another_model(tmp_path: Path) -> None:
    one = load_backend(spec(tmp_path, text(1, "a")), device="cpu").identity()
    assert one["records"] == hashlib.sha256((tmp_path / "records.jsonl").read_bytes()).hexdigest()
    assert one != load_backend(spec(tmp_path, text(1, "b")), device="cpu").identity()


def test_which_rows_are_possible() -> None:
    row = ModelSpec("said", "records.jsonl", "-", "recorded", "-", "-")
    check_spec(row)
    check_prompt_format(row, "chat")
    with pytest.raises(ConfigError, match=r"tokenizer: .*leave the cell empty"):
        check_spec(ModelSpec("said", "records.jsonl", "-", "recorded", "-", "-", tokenizer="a/b"))
    with pytest.raises(ConfigError, match="dtype: 'float32' is not possible"):
        check_spec(ModelSpec("said", "records.jsonl", "-", "recorded", "float32", "-"))


HALF = "\ud83d"


def test_halves_of_surrogate_pairs_in_records_pool_and_schema(tmp_path: Path) -> None:
    """They are read as U+FFFD on every side, so that what is recorded of a query is found."""
    entry = {
        "db_id": "public_library",
        "schema": f"-- Table book: title{HALF}",
        "question": f"How {HALF} many?",
        "sql": "SELECT title FROM book",
        "top_n": [f"SELECT '{HALF}'", "SELECT 'b'"],
        "top_n_label": [1, 0],
    }
    (tmp_path / "pool.json").write_text(json.dumps([entry]), encoding="utf-8")
    tables = json.loads((ROOT / "resources/mini_spider/tables.json").read_text(encoding="utf-8"))
    for table in tables:
        table["table_names"][0] += HALF
    (tmp_path / "tables.json").write_text(json.dumps(tables), encoding="utf-8")
    questions, sets = read_pool(tmp_path / "pool.json", tmp_path / "tables.json")
    pairs = judged_pairs(questions, sets)
    lines = [
        text(0, f"{HALF}true", f"select '{HALF}'", tokens=[HALF, "true"], logprobs=[0, -1]),
        text(0, "😀true", "SELECT 'b'", tokens=[HALF, "\ude00", "true"], logprobs=[0, 0, -1]),
    ]
    template = PromptTemplate("${question} ${schema} ${sql}", "")
    for count in (0, 2):
        asking = session(tmp_path, *lines)
        found = judge(asking, pairs, method="reasoning", template=template, framing=Framing("raw"), budget=5)
        assert [(one.response, one.token_ends) for one in found] == [("\ufffdtrue", (1, 5)), ("😀true", (0, 1, 5))]
        assert asking.usage.from_journal == count
    write_judgments(tmp_path / "j.parquet", found)
    assert read_judgments(tmp_path / "j.parquet")[0].sql == found[0].sql == "SELECT '\ufffd';"


def test_a_line_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    lines = [json.dumps(text(id, f"a{mark}b"), ensure_ascii=False) for id, mark in ((3, "\u2028"), (5, "\x85"))]
    backend = load_backend(spec(tmp_path, *(f"{line}\r" for line in lines)), device="cpu")
    found = dict(backend.generate([GenerationRequest(Prompt("x"), 9, about=(id, "")) for id in (3, 5)]))
    assert [one.text for one in found.values() if isinstance(one, Completion)] == ["a\u2028b", "a\x85b"]
