"""The answers of known servers are read, each in its own form, and what cannot be had is said before it is paid for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from completions_server import (
    COMPLETIONS_ONLY,
    NOT_READ,
    READ,
    Server,
    as_chat,
    as_chat_tokens,
    as_it_is,
    model,
    one,
    request,
    status,
    text,
    with_choice,
    with_logprobs,
)
from sqljudge.core.errors import ModelError
from sqljudge.models.engines.answers import LENGTH, PASSING, STOP, NotOffered, UnusableAnswer, read_choice
from sqljudge.models.engines.answers import read_completion as read
from sqljudge.models.engines.base import Choice, ChoiceRequest, Completion, Failure, Prompt
from sqljudge.models.session import Session

PAGE = (Path(__file__).parents[2] / "docs/running.md").read_text(encoding="utf-8")
ASKED = ChoiceRequest(Prompt("is it so? A:"), ("Yes", "No"))

Change = Callable[[dict[str, Any]], Any]


def reason_of(answer: Completion | Choice | Failure) -> str:
    assert isinstance(answer, Failure), answer
    return answer.reason


def test_the_page_lists_the_servers_and_the_finish_reasons() -> None:
    table = PAGE[PAGE.index("| server |") :].partition("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in row.split("|")[1].strip().split(", ")]
    assert sorted(names) == sorted([*READ, *COMPLETIONS_ONLY, *NOT_READ])
    listed = PAGE[PAGE.index("**Why an answer ended**") :].partition("\n\n**")[0]
    ended, cut, passing = (re.findall(r"`([a-z_]+)`", part) for part in listed.split("\n- ")[1:4])
    assert (set(ended), set(cut), set(passing)) == (STOP, LENGTH, PASSING)


@pytest.mark.parametrize("change", [*READ.values(), *COMPLETIONS_ONLY.values()], ids=[*READ, *COMPLETIONS_ONLY])
def test_completions_of_all_servers_are_the_same(server: Server, change: Change) -> None:
    expected = one(model(server), prompt="say abc")
    server.change = change
    assert one(model(server), prompt="say abc") == expected
    assert isinstance(expected, Completion)
    assert (len(expected.logprobs), expected.token_ends[-3:]) == (9, (16, 20, 21))


@pytest.mark.parametrize("change", READ.values(), ids=READ)
def test_choices_of_all_servers_are_the_same(server: Server, change: Change) -> None:
    server.change = change
    ((_, answer),) = model(server).choose([ASKED])
    assert answer == Choice((pytest.approx(0.625), pytest.approx(0.25)), 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", NOT_READ.values(), ids=NOT_READ)
@pytest.mark.parametrize("kind", ["generate", "choose"])
def test_what_a_server_never_gives_ends_the_job_at_its_first_answer(server: Server, change: Change, kind: str) -> None:
    server.change = change
    backend = model(server, "concurrency=3")
    asked = [request(f"say {i}") for i in range(50)] if kind == "generate" else [ASKED] * 50
    with pytest.raises(
        ModelError, match=r"^model 'm': http.*/v1/completions: .*; .* \(docs/running.md lists servers\)$"
    ):
        list(getattr(backend, kind)(asked))
    assert len(server.asked) <= 6


@pytest.mark.parametrize(
    "change",
    [
        *COMPLETIONS_ONLY.values(),
        with_logprobs(top_logprobs=lambda count: []),
        with_logprobs(top_logprobs=lambda count: [{}] * count),
        with_logprobs(top_logprobs=lambda count: [[]] * count),
        with_logprobs(top_logprobs=lambda count: [None] * count),
    ],
)
def test_likely_tokens_that_a_server_never_lists(server: Server, change: Change) -> None:
    server.change = change
    backend = model(server)
    assert isinstance(one(backend), Completion)
    with pytest.raises(ModelError, match="lists no likely tokens; take a server that gives log-probabilities of sev"):
        list(backend.choose([ASKED]))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "logprobs",
    [None, {}, [], {"content": []}, {"content": None}, {"tokens": ["a"]}, {"tokens": ["a"], "token_logprobs": [None]}],
)
def test_log_probabilities_that_are_missing_once_are_asked_for_again(server: Server, logprobs: Any) -> None:
    """A server that has given them may have had another machine answer."""
    backend = model(server, "tries=2")
    assert isinstance(one(backend), Completion)
    server.change = with_choice(logprobs=logprobs)
    assert reason_of(one(backend)).startswith("the answer holds no log-probabilities; ")
    assert len(server.asked) == 3


def test_an_empty_answer_shows_nothing_of_a_server(server: Server) -> None:
    backend = model(server)
    server.change = with_choice(text="", logprobs=None)
    assert one(backend) == Completion("", (), (), (), "stop", 2)
    server.change = NOT_READ["TGI"]
    with pytest.raises(ModelError, match="no log-probabilities"):
        one(backend)


def test_a_server_that_takes_thoughts_out() -> None:
    message = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    with pytest.raises(NotOffered, match="start it without a reasoning parser"):
        read({"choices": [{"message": message, "finish_reason": "stop"}]}, request())


def spelt(text: str, tokens: list[Any], reason: Any = "stop", budget: int = 20, **more: Any) -> Completion:
    """What is read of an answer whose log-probabilities are -1, -2, ..."""
    logprobs = {"tokens": tokens, "token_logprobs": [-1.0 - i for i in range(len(tokens))], **more}
    choice = {"text": text, "finish_reason": reason, "logprobs": logprobs}
    return read({"choices": [choice], "usage": {"prompt_tokens": 5}}, request(prompt="Q: x", budget=budget))


@pytest.mark.parametrize(
    "parts",
    [
        [("\\xe2", [0xE2]), ("\\x82", [0x82]), ("\\xac", [0xAC])],
        [("", []), ("", []), ("€", [0xE2, 0x82, 0xAC])],
        [("\ufffd", [0xEF, 0xBF, 0xBD]), ("\ufffd", [0xEF, 0xBF, 0xBD]), ("\ufffd", None)],
        [("\\xe2\\x82", [0xE2, 0x82]), ("\\xac", [0xAC]), ("", None)],
    ],
    ids=["OpenAI", "llama.cpp", "vLLM", "uneven"],
)
def test_parts_of_a_character_are_told_by_their_bytes(parts: list[tuple[str, Any]]) -> None:
    content = [{"token": token, "bytes": raw, "logprob": -1.0} for token, raw in (("a", None), *parts, ("b", [98]))]
    found = spelt("a€b", [], content=content)
    assert (found.token_ends[0], found.token_ends[-2:]) == (1, (2, 3))


def test_offsets_that_say_nothing_are_not_used() -> None:
    for offsets in ([-1, -1], [0, 0], [7], None):
        with pytest.raises(UnusableAnswer, match="do not spell"):
            spelt(" a b", ["Ġa", "Ġb"], text_offset=offsets)
    assert spelt(" a b", ["Ġa", "Ġb"], text_offset=[4, 6]).token_ends == (2, 4)
    assert spelt(" a", ["Ġa"], text_offset=[0]).token_ends == (2,)
    assert spelt(" é b", ["ĠÃ", "©", "Ġb"], text_offset=[9, 11, 11]).token_ends == (2, 2, 4)


def test_a_prompt_that_is_repeated_is_taken_off() -> None:
    tokens = ["Q", ":", " x", " a", " b"]
    found = spelt("Q: x a b", tokens, token_logprobs=[None, -1.0, -2.0, -3.0, -4.0])
    assert (found.text, found.logprobs, found.token_ends) == (" a b", (-3.0, -4.0), (2, 4))
    for whole, first in (("R: x a b", "R"), ("Q: xa b", "Q")):
        with pytest.raises(UnusableAnswer, match="repeats its prompt"):
            spelt(whole, [first, ":", whole[2:6], " b"], token_logprobs=[None, -1.0, -2.0, -3.0])


def test_of_tokens_that_look_alike_the_likelier_is_the_word() -> None:
    likely = [{"token": name, "logprob": math.log(p)} for name, p in ((" Yes", 0.5), (" No", 0.3), (" Yes", 0.1))]
    answer = {"choices": [{"logprobs": {"content": [{"top_logprobs": likely}]}}], "usage": {"prompt_tokens": 1}}
    assert read_choice(answer, ASKED, 3).probabilities == pytest.approx((0.5, 0.3))


@pytest.mark.parametrize("reason", sorted(STOP | {"EOS", "STOP"}))
def test_an_answer_that_ended_by_itself_is_an_answer(reason: str) -> None:
    assert spelt("a b", ["a", " b"], reason).finish_reason == "stop"


@pytest.mark.parametrize("reason", [*sorted(LENGTH), "MAX_TOKENS", None, ""])
def test_an_answer_that_was_cut_is_as_long_as_its_budget(reason: str | None) -> None:
    """One that does not say why it ended is known to have been cut where it fills its budget."""
    assert spelt("a b", ["a", " b"], reason, budget=2).finish_reason == "length"
    with pytest.raises(UnusableAnswer, match="context long enough" if reason else "does not say why it ended") as error:
        spelt("a b", ["a", " b"], reason)
    assert error.value.again is not bool(reason)


@pytest.mark.parametrize(
    ("reason", "tries"),
    [
        *((reason, 3) for reason in sorted(PASSING)),
        *(
            (reason, 1)
            for reason in ("content_filter", "SAFETY", "refusal", "tool_calls", "repetition", "never_heard_of")
        ),
    ],
)
@pytest.mark.parametrize("kind", ["generate", "choose"])
def test_what_is_broken_off_is_tried_again_and_what_is_refused_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch, reason: str, tries: int, kind: str
) -> None:
    monkeypatch.setattr("sqljudge.models.engines.openai.FIRST_WAIT", 0.001)
    server.change = with_choice(finish_reason=reason, logprobs=None)
    backend = model(server, "tries=3")
    ((_, answer),) = getattr(backend, kind)([request() if kind == "generate" else ASKED])
    said = f"the answer ended with finish_reason {reason!r}, neither by itself nor at its budget"
    assert reason_of(answer) == (f"{said}, 3 times" if tries > 1 else said)
    assert len(server.asked) == tries


HALF = "\ud83d"


def in_tokens(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with half of a surrogate pair in its text, in the tokens, and in the likely ones."""
    choice = answer["choices"][0]
    choice["text"] += HALF
    for name, part in (("tokens", HALF), ("token_logprobs", -1.0), ("top_logprobs", {HALF: -9.0, " Yes": -0.1})):
        choice["logprobs"][name].append(part)
    del choice["logprobs"]["text_offset"]
    return answer


@pytest.mark.parametrize("change", [as_it_is, as_chat_tokens, as_chat])
def test_half_a_surrogate_pair_from_a_server(server: Server, tmp_path: Path, change: Change) -> None:
    server.change = lambda answer: change(in_tokens(answer))
    wanted = [request(f"say {HALF}"), request("say b")]
    found = Session(model(server), tmp_path, "job").complete(wanted)
    texts = [answer.text for answer in found if isinstance(answer, Completion)]
    assert texts == [' \ufffd{"correct": true}\ufffd', ' b{"correct": true}\ufffd']
    assert sorted(body["prompt"] for body in server.asked) == ["say b", "say \ufffd"]
    assert Session(model(server), tmp_path, "again").complete(wanted) == found
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("spelling", "tokens", "read_as", "ends"),
    [
        (rb"a\ud83d\ude00b", [b"a", rb"\uD83D", rb"\ude00", b"b"], "a😀b", (1, 1, 2, 3)),
        (rb"\uDE00 ", [rb"\ude00", b" "], "\ufffd ", (1, 2)),
        (b"\xed\xa0\xbd", [b"\xed\xa0\xbd"], "\ufffd", (1,)),
        (rb"\\ud83d", [rb"\\ud83d"], r"\ud83d", (6,)),
    ],
    ids=["a pair in two tokens", "a second half", "a half as bytes", "a backslash"],
)
def test_spellings_of_halves(
    server: Server, spelling: bytes, tokens: list[bytes], read_as: str, ends: tuple[int, ...]
) -> None:
    names, values = b", ".join(b'"%s"' % token for token in tokens), b", ".join([b"-1"] * len(tokens))
    logprobs = b'{"tokens": [%s], "token_logprobs": [%s]}' % (names, values)
    choice = b'{"text": "%s", "finish_reason": "stop", "logprobs": %s}' % (spelling, logprobs)
    server.faults = [text(b'{"choices": [%s], "usage": {"prompt_tokens": 1}}' % choice)]
    answer = one(model(server))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.token_ends) == (read_as, ends)


def test_halves_in_what_a_server_says_of_a_refusal(server: Server) -> None:
    server.faults = [status(400, message=f"too {HALF} long")]
    with pytest.raises(ModelError, match="status 400: too \ufffd long"):
        one(model(server))
