"""Records survive their files; files are whole or not there; a damaged line is named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.core.files import parse_json, read_json, read_text, write_json, write_text
from sqljudge.core.records import (
    Candidate,
    CandidateSet,
    Execution,
    ForcedVerdict,
    Question,
    Score,
    Selection,
    check_values,
    iter_jsonl,
    read_jsonl,
    to_json,
    write_jsonl,
)

RECORDS: list[Any] = [
    Question(3, "shop", "Wie viele «Stück»?\n", 'SELECT "é"', "-- Table t: a", "hard"),
    CandidateSet(1, (Candidate("a;", 2, 1, -0.5), Candidate("b;"))),
    CandidateSet(2, ()),
    Execution(1, "a;", "ok", "", ((1, "é", None, 1.5), ()), 2, 7, 0.25, True),
    Execution(1, "b;", "error", "no such column: x", (), 0, 0, 0.0, None),
    Execution(1, "c;", "ok", "", ((1,),), 1, 7, 0.25, True, ("count(*)",)),
    Score(1, "a;", -0.5, None, failure=True),
    Score(1, "b;", -1.0, None, failure=False, asked=False),
    Selection(1, ";", None, "no candidates"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_survive_their_files(tmp_path: Path, record: Any) -> None:
    path = tmp_path / "deep" / "x.jsonl"
    write_jsonl(path, [record, record])
    assert read_jsonl(path, type(record)) == [record, record]
    assert list(iter_jsonl(path, type(record))) == [record, record]
    assert path.read_text(encoding="utf-8").count("\n") == 2


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_stays_on_one_line(text: str) -> None:
    line = to_json(Selection(1, text, 0.5, text))
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["sql"] == text


def test_odd_line_breaks_do_not_split_a_record(tmp_path: Path) -> None:
    record = Selection(1, "a\u2028b\u0085c\x0cd", None, "")
    write_jsonl(tmp_path / "x.jsonl", [record])
    assert read_jsonl(tmp_path / "x.jsonl", Selection) == [record]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        "5",
        "{}",
        '{"question_id": 1}',
        '{"question_id": 1, "candidates": 5}',
        '{"question_id": 1, "candidates": [{"sqll": "a"}]}',
        '{"question_id": 1, "candidates": [], "more": 1}',
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(to_json(RECORDS[1]) + "\n" + line + "\n")
    with pytest.raises(DataError) as error:
        read_jsonl(path, CandidateSet)
    assert f"{path}, line 2: not a CandidateSet" in str(error.value)
    assert "delete the file and re-run" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(to_json(RECORDS[0]).encode("latin-1") + b"\n")
    with pytest.raises(DataError, match=r"line 1: not a Question .*utf-8") as error:
        read_jsonl(path, Question)
    assert str(path) in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .* re-run the rule that makes it"):
        read_jsonl(tmp_path / "none.jsonl", Question)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises(TypeError):
        write_text(path, 1)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
    write_text(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_line_breaks_are_written_as_they_are(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "a\nb\r\n")
    assert (tmp_path / "x").read_bytes() == b"a\nb\r\n"


def test_json(tmp_path: Path) -> None:
    value = {"a": [1, None, "é"]}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "é" in (tmp_path / "x.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", float("nan"))
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b'"\xe9"', "not UTF-8 text .byte 1."), (b"{", "not JSON")]
)
def test_json_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_json(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        (r'"a\ud83db"', "a\ufffdb"),
        (r'"\uDE00\uD83D"', "\ufffd\ufffd"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'{"a": [{"\ud83d": ["\udfff", 1, null, true]}]}', {"a": [{"\ufffd": ["\ufffd", 1, None, True]}]}),
        ('"\ud83d"', "\ufffd"),
        (b'"\xed\xa0\xbd"', "\ufffd"),
        (b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"a": "é"}),
    ],
)
def test_half_a_surrogate_pair_in_json_is_a_replacement_character(spelling: str | bytes, value: object) -> None:
    assert parse_json(spelling) == value


@pytest.mark.parametrize("spelling", ["{", "", b"\xff\xfe", b'"\xc3"'])
def test_what_is_not_json(spelling: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(spelling)


def test_halves_do_not_reach_a_file(tmp_path: Path) -> None:
    path, question = tmp_path / "x", dataclasses.replace(RECORDS[0], question="how \ud83d many?")
    whole = dataclasses.replace(RECORDS[0], question="how \ufffd many?")
    path.write_text(json.dumps(dataclasses.asdict(question)), encoding="utf-8")
    assert read_jsonl(path, Question) == [whole]
    assert read_json(path)["question"] == whole.question
    write_jsonl(path, [question, question])
    assert read_jsonl(path, Question) == [whole] * 2
    write_json(path, {"\udfff": 1})
    assert read_json(path) == {"\ufffd": 1}


ENCODED = '{"é": "\u2028"}\r\n2\r3\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_users_text_is_utf8_with_or_without_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t").write_bytes(ENCODED.encode(encoding))
    assert read_text(tmp_path / "t") == '{"é": "\u2028"}\n2\n3\n'
    (tmp_path / "t").write_bytes("\ufeff\ufeff".encode())
    assert read_text(tmp_path / "t") == "\ufeff", "one mark, at the start"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_other_unicode_encodings_are_named_in_one_line(tmp_path: Path, encoding: str, errors: str) -> None:
    (tmp_path / "t").write_bytes(ENCODED.encode(encoding))
    with pytest.raises(DataError) as error:
        read_text(tmp_path / "t", errors)
    assert str(error.value) == f"{tmp_path / 't'}: not UTF-8 text but UTF-16 or UTF-32; save the file as UTF-8"


def test_records_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path, record = tmp_path / "x.jsonl", Selection(1, "é", 0.5, "")
    path.write_text(f"{to_json(record)}\n{to_json(record)}\n", encoding="utf-8-sig")
    assert read_jsonl(path, Selection) == [record, record]
    path.write_text(f"{to_json(record)}\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"x\.jsonl, line 1: not a Selection \(not UTF-8 text but UTF-16 or UTF-32"):
        read_jsonl(path, Selection)


GOOD_SCORE = '{"question_id": 1, "sql": "a;", "score": VALUE, "verdict": null, "failure": false}'
GOOD_VERDICT = '{"question_id": 1, "sql": "a;", "budget": 5, "tokens": 2, "probability": VALUE, "mass": 0.5}'
GOOD_SET = '{"question_id": 1, "candidates": [{"sql": "a;", "count": 1, "label": VALUE}]}'


@pytest.mark.parametrize(
    ("kind", "line", "values"),
    [
        (Score, GOOD_SCORE, ["0", "1", "0.5", "-0.5", "-1.0", "-1e-6", "1.0000000002"]),
        (ForcedVerdict, GOOD_VERDICT, ["0", "1.0", "0.25", "null"]),
        (CandidateSet, GOOD_SET, ["0", "1", "null"]),
    ],
)
def test_values_that_a_record_can_hold(tmp_path: Path, kind: Any, line: str, values: list[str]) -> None:
    for value in values:
        (tmp_path / "x.jsonl").write_text(line.replace("VALUE", value))
        assert len(read_jsonl(tmp_path / "x.jsonl", kind)) == 1


@pytest.mark.parametrize(
    ("kind", "line", "values"),
    [
        (Score, GOOD_SCORE, ["NaN", "Infinity", "-Infinity", "1.5", "-0.2", "-2", "true", '"0.5"', "null", "[0.5]"]),
        (ForcedVerdict, GOOD_VERDICT, ["NaN", "Infinity", "1.5", "-0.5", "true", '"0.5"', "[]"]),
        (ForcedVerdict, GOOD_VERDICT.replace("VALUE", "0.25").replace("0.5", "VALUE"), ["NaN", "2", '"1"', "true"]),
        (CandidateSet, GOOD_SET, ["2", "-1", "true", "0.5", '"1"', "NaN", "1.0"]),
        (CandidateSet, GOOD_SET.replace('1, "label": VALUE', 'VALUE, "label": 1'), ['"1"', "NaN", "1.5", "true"]),
        (CandidateSet, GOOD_SET.replace('"label"', '"mean_logprob"'), ["NaN", "-Infinity", '"-1"', "false"]),
        (Score, GOOD_SCORE.replace("VALUE", "0.5").replace('_id": 1', '_id": VALUE'), ['"1"', "1.5", "true", "null"]),
        (Score, GOOD_SCORE.replace("VALUE", "0.5").replace("null", "VALUE"), ['"true"', "1"]),
    ],
)
def test_values_that_a_record_cannot_hold_are_named(tmp_path: Path, kind: Any, line: str, values: list[str]) -> None:
    for value in values:
        (tmp_path / "x.jsonl").write_text(f"{line.replace('VALUE', value)}\n")
        with pytest.raises(DataError, match=rf"x\.jsonl, line 1: not a {kind.__name__} \(") as error:
            read_jsonl(tmp_path / "x.jsonl", kind)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("label", ["0", "1", "null"])
def test_a_query_stands_once_among_the_candidates_of_a_question(tmp_path: Path, label: str) -> None:
    one = '{"sql": "a;", "count": 1, "label": 1}'
    other = one.replace('"label": 1', f'"label": {label}')
    (tmp_path / "x.jsonl").write_text(f'{{"question_id": 7, "candidates": [{one}, {other}]}}\n')
    with pytest.raises(DataError, match="question 7: 'a;' is listed twice; keep one"):
        read_jsonl(tmp_path / "x.jsonl", CandidateSet)


def test_numbers_of_numpy_are_numbers() -> None:
    check_values(Score(1, "a;", np.float32(0.5), None, failure=False))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="question 1, 'a;': score is nan; it must be a number"):
        check_values(Score(1, "a;", float("nan"), None, failure=False))
