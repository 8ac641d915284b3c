"""Every way in which a server can fail, over real HTTP: what is tried again, what fails, what stops the job."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from completions_server import Server, failure, model, one, request, serving, slow, status, text
from sqljudge.core.errors import ModelError
from sqljudge.models.engines import openai as module
from sqljudge.models.engines.base import ChoiceRequest, Completion, Failure, Prompt
from sqljudge.models.engines.openai import OpenAIBackend
from sqljudge.models.session import MOST_FAILURES, Session

KEY = "sk-very-secret-0123456789"


def refused(backend: OpenAIBackend) -> str:
    with pytest.raises(ModelError) as error:
        list(backend.generate([request(), request("say ho")]))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_more_requests_at_once_than_allowed(server: Server) -> None:
    server.faults = [status(503, after=0.03)] * 12
    found = dict(model(server, "concurrency=3").generate([request(f"say {i}") for i in range(12)]))
    assert all(isinstance(answer, Completion) for answer in found.values())
    assert server.most_at_once == 3


FAULTS = {
    "500": status(500),
    "503": status(503),
    "408": status(408),
    "409": status(409),
    "429": status(429),
    "not JSON": text(b"{ not JSON"),
    "not UTF-8": text(b"\xff\xfe"),
    "a list": text(b"[]"),
    "no choices": text(b'{"choices": []}'),
    "cut short": text(b'{"choices": [{"text": "a', 5000),
    "hung up": lambda handler: setattr(handler, "close_connection", True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_passes_is_tried_again(server: Server, fault: Callable[[Any], None]) -> None:
    server.faults = [fault, fault]
    assert isinstance(one(model(server)), Completion)
    assert len(server.asked) == 3
    assert server.asked[0] == server.asked[2]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("500", "status 500, 3 times"),
        ("429", "status 429, 3 times"),
        ("not JSON", "the answer is not JSON, 3 times"),
        ("no choices", "the answer holds no choices, 3 times"),
        ("cut short", "connection failed"),
        ("hung up", "connection failed"),
    ],
)
def test_what_does_not_pass_is_a_failure_of_that_request_alone(server: Server, fault: str, said: str) -> None:
    server.faults = [FAULTS[fault]] * 3
    found = dict(model(server, "tries=3&concurrency=1").generate([request("say a"), request("say b")]))
    assert isinstance(found[0], Failure)
    assert said in found[0].reason
    assert isinstance(found[1], Completion)
    assert len(server.asked) == 4


def test_a_silent_server(server: Server) -> None:
    server.faults = [slow(1.3)]
    assert isinstance(one(model(server, "timeout=1&tries=9")), Completion)
    server.faults = [slow(1.3)]
    assert failure(model(server, "timeout=1&tries=1")) == "no answer within 1 s"


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.005)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "connection failed" in failure(model(Server(url=f"http://127.0.0.1:{port}/v1"), "tries=2"))


def test_all_wait_as_long_as_the_server_asks(server: Server) -> None:
    server.faults = [status(429, {"Retry-After": "1"})]
    found = dict(model(server, "concurrency=1").generate([request(), request("say ho")]))
    assert all(isinstance(answer, Completion) for answer in found.values())
    assert server.times[1] - server.times[0] >= 0.95


def test_a_pause_that_is_too_long_is_not_waited_for(server: Server) -> None:
    server.faults = [status(429, {"Retry-After": "86400"})]
    assert failure(model(server)) == "the server asks to wait 86400 s"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        (None, 0, 0),
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("soon", 0, 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0),
    ],
)
def test_retry_after(header: str | None, low: float, high: float) -> None:
    assert low <= module.seconds_asked(header) <= high


def test_retry_after_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 50 <= module.seconds_asked(format_datetime(later, usegmt=True)) <= 101


@pytest.mark.parametrize("fault", ["503", "hung up", "not JSON"])
def test_waits_double(server: Server, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Whether the client library asks again or, where it has an answer that cannot be used, we do."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.1)
    monkeypatch.setattr(module, "FIRST_WAIT", 0.1)
    server.faults = [FAULTS[fault]] * 3
    assert isinstance(one(model(server)), Completion)
    waits = [after - before for before, after in pairwise(server.times)]
    assert all(wait >= 0.75 * 0.1 * 2**i for i, wait in enumerate(waits))
    assert sum(waits) < 3


def test_tries_are_counted_whatever_went_wrong(server: Server) -> None:
    server.faults = [status(500), FAULTS["not JSON"], FAULTS["hung up"], FAULTS["no choices"], status(429), None]
    assert failure(model(server, "tries=4")) == "the answer holds no choices, 4 times"
    assert len(server.asked) == 4
    assert isinstance(one(model(server, "tries=2")), Completion)


def test_a_pause_holds_back_all_requests(server: Server) -> None:
    """The client library waits for the request alone that was answered so."""
    server.faults = [status(429, {"Retry-After": "1"}), status(503, after=0.1)]
    found = dict(model(server, "concurrency=2").generate([request(f"say {i}") for i in range(4)]))
    assert all(isinstance(answer, Completion) for answer in found.values())
    assert server.times[2] - server.times[0] >= 0.95


def test_a_server_may_forbid_to_ask_again(server: Server) -> None:
    server.faults = [status(429, {"x-should-retry": "false"})]
    assert failure(model(server)) == "status 429"
    assert len(server.asked) == 1


def test_a_redirection_is_not_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as other:
        server.faults = [status(307, {"Location": f"{other.url}/completions"})]
        assert "answers with status 307" in refused(model(server, "concurrency=1"))
    assert other.asked == []


def test_what_is_under_way_is_given_up_with_the_iterator(server: Server) -> None:
    server.faults = [None, slow(60)]
    answers = model(server, "concurrency=2").generate([request(), request("say ho")])
    started = time.monotonic()
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 50


@pytest.mark.parametrize(("key", "given"), [(KEY, "sk-other"), (KEY, "")])
def test_a_wrong_key_stops_at_once(server: Server, monkeypatch: pytest.MonkeyPatch, key: str, given: str) -> None:
    server.key = key
    monkeypatch.setenv("OPENAI_API_KEY", given)
    said = refused(model(server, "concurrency=1"))
    assert "refuses access (status 401); set the environment variable OPENAI_API_KEY" in said
    assert ("which is not set" in said) == (given == "")
    assert "sk-" not in said
    assert len(server.asked) == 1


def test_a_model_that_the_server_does_not_have(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = refused(model(server, "concurrency=1", name="other"))
    assert "status 404: no model 'other' for Bearer ***" in said
    assert "serve the model 'other'" in said
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [400, 413, 422, 301])
def test_a_refused_request_stops_at_once(server: Server, code: int) -> None:
    server.faults = [status(code, message="too\nlong " + "x" * 500)]
    said = refused(model(server, "concurrency=1"))
    assert f"status {code}: too long xxx" in said
    assert len(said) < 500


def test_the_key_is_sent_and_goes_nowhere_else(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.key = KEY
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    backend = model(server, "tries=2&concurrency=1")
    server.faults = [status(500, message=KEY)] * 2
    session = Session(backend, tmp_path, "job", tolerated=0.5)
    session.complete([request("say a"), request("say b")])
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert len(session.failures) == 1
    server.faults = [status(400, message=f"bad {KEY}")]
    said = refused(backend)
    seen = [said, str(backend.identity()), str(backend.describe()), repr(vars(backend)), str(session.report())]
    seen += [*capsys.readouterr(), caplog.text, *(path.read_text() for path in tmp_path.rglob("*.jsonl"))]
    assert not any(KEY in each for each in seen)


@pytest.mark.parametrize("key", ["sk-ü", "sk a", "sk\nb"])
def test_a_key_that_is_none(server: Server, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    said = refused(model(server))
    assert "OPENAI_API_KEY holds characters that no key has" in said
    assert key not in said


def test_failures_stop_the_job_after_all_others_have_their_answers(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = [None, status(500), status(502)]
    wanted = [request(f"say {i}") for i in range(6)]
    made = Session(model(server, "tries=1&concurrency=1"), tmp_path, "job")
    with pytest.raises(ModelError) as error:
        made.complete(wanted)
    assert "2 of 6 requests got no answer (status 500; status 502); failures_tolerated allows a share of 0;" in str(
        error.value
    )
    assert len((tmp_path / "job.jsonl").read_text().splitlines()) == 4
    assert "job: no answer: status 500; to: ...'say 1'" in caplog.messages
    again = Session(model(server), tmp_path, "job")
    assert len(again.complete(wanted)) == 6
    assert again.usage.from_journal == 4
    assert len(server.asked) == 6 + 2


@pytest.mark.parametrize(("share", "fails"), [(0.5, False), (0.49, True)])
def test_a_share_of_failures_may_be_tolerated(server: Server, share: float, fails: bool) -> None:
    server.faults = [status(500), None, status(500)]
    made = Session(model(server, "tries=1&concurrency=1"), None, "job", tolerated=share)
    wanted = [request(f"say {i}") for i in range(4)]
    if fails:
        with pytest.raises(ModelError, match="2 of 4 requests"):
            made.complete(wanted)
        return
    found = made.complete(wanted)
    assert [isinstance(answer, Failure) for answer in found] == [True, False, True, False]
    assert made.report()["failures"] == [
        {"reason": "status 500", "prompt_end": "say 0"},
        {"reason": "status 500", "prompt_end": "say 2"},
    ]


def test_a_server_that_has_gone_is_not_asked_for_all_the_rest(server: Server) -> None:
    server.faults = [None, *[status(500)] * 500]
    made = Session(model(server, "tries=1&concurrency=4"), None, "job", tolerated=1.0)
    with pytest.raises(ModelError, match=f"{MOST_FAILURES} requests in a row got no answer, last: status 500"):
        made.complete([request(f"say {i}") for i in range(200)])
    assert len(server.asked) < MOST_FAILURES + 10


def test_an_answer_between_failures_gives_hope(server: Server) -> None:
    server.faults = [*[status(500)] * (MOST_FAILURES - 1), None, *[status(500)] * (MOST_FAILURES - 1)]
    made = Session(model(server, "tries=1&concurrency=1"), None, "job", tolerated=1.0)
    found = made.complete([request(f"say {i}") for i in range(2 * MOST_FAILURES)])
    assert sum(isinstance(answer, Failure) for answer in found) == 2 * MOST_FAILURES - 2


@pytest.mark.parametrize("kind", ["generate", "choose"])
def test_a_request_is_made_when_its_turn_comes(server: Server, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = model(server, "concurrency=3")
    body, made = backend._body, 0

    def counted(*given: Any, **more: Any) -> Any:
        nonlocal made
        made += 1
        return body(*given, **more)

    monkeypatch.setattr(backend, "_body", counted)
    texts = [f"say {i}" for i in range(20)]
    asked = [request(text) if kind == "generate" else ChoiceRequest(Prompt(text), ("1",)) for text in texts]
    done = 0
    for _ in getattr(backend, kind)(asked):
        done += 1
        assert made <= done + 2 * 3, "those under way, and those that were done at the same moment"
    assert done == made == 20
