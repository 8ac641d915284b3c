"""JSON objects in free text: what counts as one, what is repaired, and that the time stays linear."""

from __future__ import annotations

import json

import pytest
from clock import linear
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.stages.jsonish import find_objects, find_plain_objects

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def spans(text: str) -> list[str]:
    return [text[found.start : found.end] for found in find_objects(text)]


@settings(deadline=None)
@given(st.dictionaries(st.text(), values), st.sampled_from([None, 2]), st.booleans())
def test_every_json_object_is_found_whole(value: dict[str, object], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    outer = find_objects(f"so {text} it is")[-1]
    assert (outer.start, outer.end) == (3, 3 + len(text))
    for key, raw in value.items():
        span = outer.values[json.dumps(key, ensure_ascii=ascii_only)[1:-1]]
        if isinstance(raw, dict | list):
            assert span is None
        else:
            assert span is not None
            assert json.loads(f"so {text} it is"[slice(*span)]) == raw


@settings(deadline=None)
@given(st.text(alphabet="{}[]\"':, \\a1\n"))
def test_what_is_found_is_never_accepted_wrongly_by_a_cut(text: str) -> None:
    for found in find_objects(text):
        assert text[found.start] == "{" and text[found.end - 1] == "}"
        assert spans(text[found.start : found.end])[-1] == text[found.start : found.end]
        assert text[found.start : found.end] not in spans(text[found.start : found.end - 1])


@settings(deadline=None)
@given(st.text(alphabet='{}[]":,\\a1 ', max_size=40))
def test_a_strict_parser_agrees_on_what_it_accepts(text: str) -> None:
    start = text.find("{")
    try:
        _, end = json.JSONDecoder().raw_decode(text, start) if start >= 0 else (None, -1)
    except ValueError:
        return
    assert start < 0 or (start, end) in [(found.start, found.end) for found in find_objects(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ["{}"]),
        ('{"a": 1,}', ['{"a": 1,}']),
        ('{"a": [1, 2,],}', ['{"a": [1, 2,],}']),
        ("{'a': True}", ["{'a': True}"]),
        ("{'a': 'it\\'s'}", ["{'a': 'it\\'s'}"]),
        ('{"a": "}{", "b": 1}', ['{"a": "}{", "b": 1}']),
        ('{"a": {"b": 1}}', ['{"b": 1}', '{"a": {"b": 1}}']),
        ('{"a": [{"b": 1}]}', ['{"b": 1}', '{"a": [{"b": 1}]}']),
        ('{the set {"b": 1}', ['{"b": 1}']),
        ('{{"b": 1}}', ['{"b": 1}']),
        ('{"a": "{\'b\': 1}"}', ['{"a": "{\'b\': 1}"}']),
        ("{,}", []),
        ('{"a": 1,,}', []),
        ('{"a" 1}', []),
        ('{"a": 1 "b": 2}', []),
        ('{"a": true/false}', []),
        ('{"a": yes}', []),
        ("{a: 1}", []),
        ('{"a": "one\ntwo"}', []),
        ('{"a": 1', []),
        ('{"a": [1}', []),
    ],
)
def test_what_counts(text: str, expected: list[str]) -> None:
    assert spans(text) == expected


def test_of_a_repeated_key_the_last_value_counts() -> None:
    (found,) = find_objects('{"a": 1, "a": 2}')
    assert found.values == {"a": (14, 15)}


@settings(deadline=None)
@given(st.text(alphabet="{}[]\"':, \\a1\n"))
def test_a_plain_object_is_an_object_with_the_same_values(text: str) -> None:
    """Where it is nested in another, or stands in a string of another, the other reading sees that one."""
    for found in find_plain_objects(text):
        (alone,) = [one for one in find_objects(text[found.start : found.end]) if one.start == 0]
        shifted = {key: span and (span[0] + found.start, span[1] + found.start) for key, span in alone.values.items()}
        assert (found.end - found.start, found.values) == (alone.end, shifted)


@pytest.mark.parametrize(
    "unit",
    [
        "{",
        "[",
        ",",
        '{"a":',
        '{"a":[',
        '{"',
        "{'",
        '{"a":1,',
        "{'\"",
        '{"a":"{',
        "\\",
        '"\\',
        "1,",
        " ",
        '{"a" ',
        "{}",
        "{,",
    ],
)
def test_the_time_is_linear(unit: str) -> None:
    text = unit * 100_000
    with linear():
        find_objects(text)
        find_plain_objects(text)
