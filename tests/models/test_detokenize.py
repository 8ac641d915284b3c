"""Text grows token by token, never shows half a character, and ends as the whole decode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.models.engines.tokenizer import CONTEXT, REPLACEMENT, Detokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

HARD = "Ünïcödé 😀😃👩‍👩‍👧 你好，世界 नमस्ते\n\tnaïve café — “ok”  two  spaces"
TEXTS = st.text(st.sampled_from(HARD + "SELECT name; 'x'") | st.characters(codec="utf-8"), max_size=40)
Decode = Callable[[Sequence[int]], str]


def run(decode: Decode, ids: Sequence[int], context: Sequence[int] = ()) -> Detokenizer:
    detokenizer = Detokenizer(decode, context)
    for token in ids:
        detokenizer.add(token)
    return detokenizer


def flat(parts: Sequence[list[int]]) -> list[int]:
    return [token for part in parts for token in part]


def check(decode: Decode, ids: Sequence[int], *, runs: bool = False) -> None:
    """Each end is the length of the text so far, which is the whole decode without a broken tail.

    `runs`: the decoder breaks a whole run of byte tokens when the last character of it is not whole.
    """
    detokenizer = Detokenizer(decode)
    for count, token in enumerate(ids, 1):
        detokenizer.add(token)
        so_far = decode(ids[:count])
        if not (runs and so_far.endswith(REPLACEMENT)):
            assert detokenizer.text == so_far.rstrip(REPLACEMENT)
        assert detokenizer.ends[-1] == len(detokenizer.text)
    detokenizer.finish()
    assert detokenizer.text == decode(ids)
    assert detokenizer.ends == sorted(detokenizer.ends)
    assert len(detokenizer.ends) == len(ids)
    assert not ids or detokenizer.ends[-1] == len(detokenizer.text)


def byte_decode(ids: Sequence[int]) -> str:
    """A tokenizer of single bytes."""
    return bytes(ids).decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["", "a", "é", "😀", "你好", "a😀b你c", "👩‍👩‍👧👩‍👩‍👧", HARD * 3])
def test_bytes(text: str) -> None:
    check(byte_decode, list(text.encode()))


@given(st.lists(st.integers(0, 255), max_size=60))
def test_any_bytes_even_those_that_are_no_text(ids: list[int]) -> None:
    text = byte_decode(ids)
    detokenizer = run(byte_decode, ids)
    assert text.startswith(detokenizer.text)
    detokenizer.finish()
    assert detokenizer.text == text
    assert detokenizer.ends == sorted(detokenizer.ends)


def test_a_character_belongs_to_the_token_that_completes_it() -> None:
    detokenizer = run(byte_decode, list("a é😀".encode()))
    assert detokenizer.ends == [1, 2, 2, 3, 3, 3, 3, 4]


def test_what_a_token_holds_before_a_broken_character_is_shown_at_once() -> None:
    pieces = [b" a\xf0\x9f", b"\x98\x80!"]
    detokenizer = run(lambda ids: b"".join(pieces[i] for i in ids).decode("utf-8", "replace"), [0, 1])
    assert detokenizer.ends == [2, 4]
    assert detokenizer.text == " a😀!"


def test_finish_shows_a_broken_tail_once() -> None:
    detokenizer = run(byte_decode, [*b"ab", 0xF0, 0x9F])
    assert (detokenizer.text, detokenizer.ends) == ("ab", [1, 2, 2, 2])
    detokenizer.finish()
    detokenizer.finish()
    assert (detokenizer.text, detokenizer.ends) == ("ab" + REPLACEMENT, [1, 2, 2, 3])


def test_a_token_without_text_stays_where_the_text_ends() -> None:
    detokenizer = run(byte_decode, list(b"ab"))
    detokenizer.stay()
    assert detokenizer.ends == [1, 2, 2]
    detokenizer.finish()
    assert detokenizer.ends == [1, 2, 2]


def test_a_token_of_the_replacement_character_itself_is_not_lost() -> None:
    detokenizer = run(byte_decode, list("a\ufffdb".encode()))
    assert detokenizer.text == "a\ufffdb"


def sentencepiece(words: Sequence[str]) -> Tokenizer:
    """A tokenizer in the manner of Llama: a mark for spaces, single bytes for rare characters, no leading space."""
    vocabulary = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    made = Tokenizer(
        models.BPE({word: i for i, word in enumerate(vocabulary)}, [], unk_token="<unk>", byte_fallback=True)
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


LLAMA = sentencepiece(["▁", "▁SELECT", "▁name", "▁a", "a", "b", "▁FROM", "é"])
WORD = {word: LLAMA.token_to_id(word) for word in ("▁", "▁SELECT", "▁name", "▁a", "a", "b", "▁FROM", "é")}


def llama_bytes(text: str) -> list[int]:
    return [1 + byte for byte in text.encode()]


PIECES = st.one_of(
    st.sampled_from(sorted(WORD.values())).map(lambda i: [i]),
    st.sampled_from("😀你éñ𝄞").map(llama_bytes),
)


@given(st.lists(PIECES, max_size=20).map(flat))
def test_a_tokenizer_that_drops_the_leading_space(ids: list[int]) -> None:
    check(LLAMA.decode, ids, runs=True)


def test_after_its_prompt_an_answer_keeps_its_first_space() -> None:
    prompt, answer = [WORD["▁a"], WORD["▁SELECT"]], [WORD["▁name"], WORD["▁FROM"]]
    assert LLAMA.decode(answer) == "name FROM"
    assert run(LLAMA.decode, answer, prompt).text == " name FROM"


@given(st.lists(PIECES, min_size=1, max_size=12), st.lists(PIECES, max_size=12))
def test_text_after_a_context_is_the_rest_of_the_whole(prompt: list[list[int]], answer: list[list[int]]) -> None:
    before, after = [WORD["a"], *flat(prompt)], flat(answer)
    before = before[:CONTEXT] if REPLACEMENT not in LLAMA.decode(before[:CONTEXT]) else [WORD["a"]]
    detokenizer = run(LLAMA.decode, after, before)
    assert LLAMA.decode(before) + detokenizer.text == LLAMA.decode(before + after)


def test_only_the_end_of_a_long_context_is_decoded() -> None:
    seen: list[int] = []

    def decode(ids: Sequence[int]) -> str:
        seen.append(len(ids))
        return byte_decode(ids)

    assert run(decode, list(b"xyz"), [97] * 10_000).text == "xyz"
    assert max(seen) <= CONTEXT + 1


def test_tokens_without_text_are_no_context() -> None:
    """Special tokens in the middle must not make the next word look like the first."""

    def decode(ids: Sequence[int]) -> str:
        return "".join(["", " a", " b"][i] for i in ids).removeprefix(" ")

    assert run(decode, [1, 0, 0, 0, 2, 0, 1]).text == "a b a"


@pytest.mark.model
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_the_embedded_tokenizer(embedded: Any, text: str) -> None:
    check(embedded.decode, embedded.tokenizer(text, add_special_tokens=False)["input_ids"])
