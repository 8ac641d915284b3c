"""A server's tokens are found in its text, however it shows the broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.models.engines.alignment import token_ends


@pytest.mark.parametrize(
    ("text", "tokens", "ends"),
    [
        ("", [], ()),
        ("", [""], (0,)),
        ("a bc", ["a", " b", "c"], (1, 3, 4)),
        ("a", ["a", ""], (1, 1)),
        ("so é!", ["so", " ", "bytes:\\xc3", "bytes:\\xa9", "!"], (2, 3, 3, 4, 5)),
        ("so é!", ["so", " \ufffd", "\ufffd", "!"], (2, 3, 4, 5)),
        ("so é", ["so", " \ufffd", "\ufffd"], (2, 3, 4)),
        ("€€ true", ["\ufffd", "\ufffd\ufffd", "\ufffd", " true"], (0, 0, 2, 7)),
        ("€ true", ["\ufffd", "\ufffd", "true"], (0, 1, 6)),
        ("x\ufffdy", ["x", "\ufffd", "y"], (1, 2, 3)),
        ("bytes:\\x41", ["bytes:\\x41"], (10,)),
        (" SELECT name", ["SELECT", "name"], (7, 12)),
        ("a  b", ["a", "", "b"], (1, 1, 4)),
        ("a b", ["a", " b", "</s>"], (1, 3, 3)),
        ("a b", ["a", " b", ";", "\n\n"], (1, 3, 3, 3)),
        ("a b", ["a", " b);"], (1, 3)),
        ("a ", ["a"], (2,)),
    ],
)
def test_ends(text: str, tokens: list[str], ends: tuple[int, ...]) -> None:
    assert token_ends(text, tokens) == ends


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("abc", ["a", "c"]), ("abc", ["a", "b"]), ("abc", []), ("ab", ["Ġa", "b"]), ("aéb", ["a", "b"]), ("a", ["b"])],
)
def test_tokens_that_do_not_spell_the_text(text: str, tokens: list[str]) -> None:
    assert token_ends(text, tokens) is None


@given(st.lists(st.text(alphabet='ab \n{}":é€', max_size=4), max_size=8))
def test_whole_tokens_end_where_they_do(tokens: list[str]) -> None:
    expected = [len("".join(tokens[: i + 1])) for i in range(len(tokens))]
    assert token_ends("".join(tokens), tokens) == tuple(expected)


def torn(text: str, sizes: list[int]) -> tuple[list[str], list[int]]:
    """A text as tokens of so many bytes each, shown one by one, and the byte at which each ends."""
    raw, tokens, bounds = text.encode(), [], []
    for size in [*sizes, *[1] * len(raw)]:
        start = bounds[-1] if bounds else 0
        if start < len(raw):
            tokens.append(raw[start : start + size].decode("utf-8", "replace"))
            bounds.append(min(start + size, len(raw)))
    return tokens, bounds


SIZES = st.lists(st.integers(1, 3), max_size=40)


@given(st.text(alphabet="ab é€😀{", max_size=12), SIZES)
def test_torn_tokens_spell_the_text(text: str, sizes: list[int]) -> None:
    tokens, _ = torn(text, sizes)
    ends = token_ends(text, tokens)
    assert ends is not None
    assert len(ends) == len(tokens)
    assert [0, *ends] == sorted([0, *ends])
    assert ends[-1:] == ((len(text),) if text else ())


@given(st.lists(st.sampled_from(["", "é", "€€", "😀é"]), min_size=5, max_size=5), SIZES)
def test_a_whole_token_among_torn_ones_ends_where_it_does(between: list[str], sizes: list[int]) -> None:
    text = "".join(letter + more for letter, more in zip("abcde", between, strict=True))
    tokens, bounds = torn(text, sizes)
    ends = token_ends(text, tokens)
    assert ends is not None
    for end, bound, token in zip(ends, bounds, tokens, strict=True):
        if token.isascii():
            assert len(text[:end].encode()) == bound
