"""A model behind a server: good answers, and every way in which a server can fail, over real HTTP."""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from completions_server import TOKEN_LOGPROB, Server, serving, slow, status, text
from sqljudge.backends import calls, load_backend, tokenizer
from sqljudge.backends.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    ModelSpec,
    Prompt,
    request_seed,
)
from sqljudge.backends.openai import OpenAIBackend, read_choice, read_completion
from sqljudge.errors import ConfigError, ModelError
from sqljudge.inference import HOPELESS, Session
from sqljudge.records import Judgment
from sqljudge.verdicts import read_verdict

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, waits that are short, and no key or proxy from outside."""
    monkeypatch.setattr(calls, "FIRST_WAIT", 0.005)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def model(server: Server, options: str = "", name: str = "echo", tokenizer: str = "") -> OpenAIBackend:
    spec = ModelSpec("m", f"{server.url}?{options}#{name}", "-", "openai", "-", "-", tokenizer)
    backend = load_backend(spec, device="cpu")
    assert isinstance(backend, OpenAIBackend)
    return backend


def request(prompt: str = "say hi", budget: int = 20, **more: Any) -> GenerationRequest:
    return GenerationRequest(Prompt(prompt), budget, **more)


def one(backend: OpenAIBackend, **more: Any) -> Completion | Failure:
    ((position, answer),) = backend.generate([request(**more)])
    assert position == 0
    return answer


def failure(backend: OpenAIBackend) -> str:
    answer = one(backend)
    assert isinstance(answer, Failure), answer
    return answer.reason


def refused(backend: OpenAIBackend) -> str:
    with pytest.raises(ModelError) as error:
        list(backend.generate([request(), request("say ho")]))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_completions(server: Server) -> None:
    prompts = ["say hi", "say abc", "say a"]
    found = dict(model(server).generate([request(prompt) for prompt in prompts]))
    assert sorted(found) == [0, 1, 2]
    answer = found[1]
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason, answer.prompt_tokens) == (' abc{"correct": true}', "stop", 2)
    assert answer.token_ends == (1, 2, 3, 4, 5, 14, 16, 20, 21)
    assert answer.logprobs == (TOKEN_LOGPROB,) * 9
    assert len(answer.token_ids) == 9
    judgment = Judgment(
        0, "x", None, answer.text, answer.token_ids, answer.logprobs, answer.token_ends, answer.finish_reason, 20
    )
    reading = read_verdict(judgment, 20)
    assert (reading.value, reading.token) == (True, 7)
    assert reading.probability == pytest.approx(0.75)


def test_the_budget_and_a_cut(server: Server) -> None:
    short, long = one(model(server), budget=3), one(model(server), budget=20)
    assert isinstance(long, Completion)
    assert short == long.cut(3)


def test_what_is_sent(server: Server) -> None:
    list(model(server).generate([request(temperature=0.5, seed=3, sample=i, stop=("\n\n", ";")) for i in (0, 1)]))
    one(model(server))
    greedy, first, second = sorted(server.asked, key=lambda body: body.get("seed", -1))
    assert greedy == {
        "model": "echo",
        "prompt": "say hi",
        "max_tokens": 20,
        "temperature": 0.0,
        "top_p": 1.0,
        "logprobs": 1,
    }
    assert first["seed"] != second["seed"]
    assert {first["seed"], second["seed"]} == {request_seed(request(seed=3, sample=i)) for i in (0, 1)}
    assert (first["stop"], first["temperature"]) == (["\n\n", ";"], 0.5)
    assert "Authorization" not in server.headers[0]


def test_a_stop_mark_that_the_server_takes_off(server: Server) -> None:
    answer = one(model(server), stop=("{",))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason, answer.token_ends[-1]) == (" hi", "stop", 3)
    assert len(answer.token_ends) == len(answer.logprobs) == len(answer.token_ids)


def test_no_more_requests_at_once_than_allowed(server: Server) -> None:
    server.faults = [lambda handler: (time.sleep(0.03), status(503)(handler))[1]] * 12  # type: ignore[list-item]
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
    assert isinstance(one(model(server, "timeout=1&tries=2")), Completion)
    server.faults = [slow(1.3)]
    assert failure(model(server, "timeout=1&tries=1")) == "no answer within 1 s"


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT", 0.005)
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
        (format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True), 90, 101),
        (format_datetime(datetime.now(UTC) - timedelta(seconds=100), usegmt=True), 0, 0),
    ],
)
def test_retry_after(header: str | None, low: float, high: float) -> None:
    assert low <= calls.seconds_asked(header) <= high


def test_waits_double_up_to_a_limit() -> None:
    for attempt, most in ((1, 1.0), (2, 2.0), (4, 8.0), (30, calls.LONGEST_WAIT)):
        waits = [calls.backoff(attempt) for _ in range(50)]
        assert most / 2 <= min(waits) < max(waits) <= most


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
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
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


def edited(path: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """A change of a good answer: one part, named with slashes, is set or (with ...) taken out."""

    def change(answer: dict[str, Any]) -> Any:
        *folders, last = path.split("/")
        place: Any = answer
        for folder in folders:
            place = place[int(folder) if folder.isdigit() else folder]
        if value is ...:
            del place[last]
        else:
            place[last] = value
        return answer

    return change


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("choices/0/logprobs", None, "no log-probabilities; the server must give them"),
        ("choices/0/logprobs", ..., "no log-probabilities; the server must give them"),
        ("choices/0/logprobs/tokens", ["a"], "1 tokens but 8 log-probabilities"),
        ("choices/0/logprobs/token_logprobs", [None] * 8, "no text or no log-probability"),
        ("choices/0/logprobs/tokens", [1] * 8, "no text or no log-probability"),
        ("choices/0/text", None, "the answer holds no text"),
        ("choices/0/finish_reason", "content_filter", "finish_reason 'content_filter'"),
        ("choices/0/finish_reason", None, "finish_reason 'None'"),
        ("usage", ..., "how many tokens the prompt had"),
    ],
)
def test_answers_with_missing_parts(server: Server, path: str, value: Any, said: str) -> None:
    server.change = edited(path, value)
    reason = failure(model(server, "tries=2"))
    assert said in reason
    assert reason.endswith(", 2 times")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("choices/0/finish_reason", "length", "stopped after 8 of 20 tokens; is its context long enough?"),
        ("choices/0/text", "something else", "tokens do not spell its text"),
    ],
)
def test_answers_that_will_not_change_are_not_asked_for_again(server: Server, path: str, value: Any, said: str) -> None:
    def change(answer: dict[str, Any]) -> Any:
        del answer["choices"][0]["logprobs"]["text_offset"]
        return edited(path, value)(answer)

    server.change = change
    assert said in failure(model(server))
    assert len(server.asked) == 1


def test_offsets_serve_where_the_tokens_spell_something_else() -> None:
    logprobs = {"tokens": ["Ġa", "Ġb"], "token_logprobs": [-1.0, -2.0], "text_offset": [30, 32]}
    answer = {
        "choices": [{"text": " a b", "finish_reason": "stop", "logprobs": logprobs}],
        "usage": {"prompt_tokens": 5},
    }
    assert read_completion(answer, request()).token_ends == (2, 4)


def test_an_empty_answer() -> None:
    answer = {"choices": [{"text": "", "finish_reason": "stop", "logprobs": None}], "usage": {"prompt_tokens": 5}}
    assert read_completion(answer, request()) == Completion("", (), (), (), "stop", 5)


WORDS = ("Yes", "No")


def choice(server: Server, words: tuple[str, ...] = WORDS, prompt: str = "is it so? A:", options: str = "") -> Any:
    ((_, answer),) = model(server, options).choose([ChoiceRequest(Prompt(prompt), words)])
    return answer


def test_choices(server: Server) -> None:
    assert choice(server) == Choice((pytest.approx(0.625), pytest.approx(0.25)), 4)  # type: ignore[arg-type]
    assert (server.asked[0]["max_tokens"], server.asked[0]["logprobs"], server.asked[0]["temperature"]) == (1, 5, 1.0)
    choice(server, options="top=20")
    assert server.asked[1]["logprobs"] == 20


def test_a_word_that_is_not_listed_is_no_zero(server: Server) -> None:
    answer = choice(server, ("Yes", "Never"))
    assert isinstance(answer, Failure)
    assert "' Never' is not among the 4 tokens listed, and may have a probability of up to 0.031" in answer.reason
    assert "?top=20" in answer.reason
    assert len(server.asked) == 1


def listed(top: int = 5, prompt: str = "A:", words: tuple[str, ...] = WORDS, **logprobs: float) -> tuple[float, ...]:
    tokens = {name.replace("_", " "): math.log(value) for name, value in logprobs.items()}
    answer = {"choices": [{"logprobs": {"top_logprobs": [tokens]}}], "usage": {"prompt_tokens": 1}}
    return read_choice(answer, ChoiceRequest(Prompt(prompt), words), top).probabilities


def test_an_unlisted_word_has_the_most_that_it_may_have() -> None:
    assert listed(_Yes=0.9995, b=0.0001) == pytest.approx((0.9995, 0.0004))
    assert listed(_Yes=0.5, b=0.3, c=0.0005, top=3) == pytest.approx((0.5, 0.0005))
    with pytest.raises(calls.UnusableAnswer, match=r"up to 0\.100"):
        listed(_Yes=0.7, b=0.2)


def test_the_drawn_token_is_no_bound_for_the_unlisted() -> None:
    with pytest.raises(calls.UnusableAnswer, match=r"up to 0\.200"):
        listed(_Yes=0.6, b=0.2, drawn=0.0001, top=2)


def test_a_word_listed_without_its_space_is_not_taken_for_unlikely() -> None:
    with pytest.raises(calls.UnusableAnswer, match=r"' Yes' is not among .* up to 0\.9"):
        listed(Yes=0.9, No=0.0999)
    assert listed(Yes=0.75, No=0.25, prompt="A:\n") == pytest.approx((0.75, 0.25))
    assert listed(ĠYes=0.75, ĠNo=0.25) == listed(**{"▁Yes": 0.75, "▁No": 0.25}) == pytest.approx((0.75, 0.25))


@pytest.mark.parametrize("value", [None, {}, {"top_logprobs": [None]}, {"top_logprobs": [{" Yes": None}]}])
def test_choices_without_likely_tokens(server: Server, value: Any) -> None:
    server.change = edited("choices/0/logprobs", value)
    answer = choice(server, options="tries=2")
    assert isinstance(answer, Failure)
    assert len(server.asked) == 2


def test_a_session_resumes_without_the_server(server: Server, tmp_path: Path) -> None:
    backend = model(server, "tries=1")
    wanted = [request(f"say {i}") for i in range(5)]
    asked = [ChoiceRequest(Prompt(f"so {i}? A:"), WORDS) for i in range(5)]
    first = Session(backend, tmp_path, "job")
    before = first.complete(wanted), first.choose(asked)
    count = len(server.asked)
    server.faults = [status(500)] * 100
    resumed = Session(model(server, "tries=1&concurrency=2"), tmp_path, "again")
    assert (resumed.complete(wanted), resumed.choose(asked)) == before
    assert len(server.asked) == count


def test_failures_stop_the_job_after_all_others_have_their_answers(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    assert "job: no answer: status 500; to: ...'say 1'" in capsys.readouterr().err
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
    with pytest.raises(ModelError, match=f"{HOPELESS} requests in a row got no answer, last: status 500"):
        made.complete([request(f"say {i}") for i in range(200)])
    assert len(server.asked) < HOPELESS + 10


def test_loading_asks_nothing() -> None:
    backend = model(Server(url="http://127.0.0.1:9/v1"))
    assert backend.identity() == {"model": "echo", "server": "http://127.0.0.1:9/v1", "backend": "openai"}
    assert backend.describe()["concurrency"] == 16
    assert list(backend.generate([])) == []


class FakeTokenizer:
    chat_template = "x"
    bos_token = "<s>"
    bos_token_id = 1

    def __init__(self, adds: bool) -> None:
        self.adds = adds

    def apply_chat_template(self, messages: Any, **_: Any) -> str:
        return f"<s>[{messages[0]['content']}]"

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [1] if self.adds and add_special_tokens else []}


@pytest.mark.parametrize(("adds", "rendered"), [(True, "[hi]SELECT"), (False, "<s>[hi]SELECT")])
def test_a_chat_is_rendered_here_with_one_beginning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, adds: bool, rendered: str
) -> None:
    monkeypatch.setattr(tokenizer, "load_tokenizer", lambda spec, weights: FakeTokenizer(adds))
    backend = model(Server(url="http://h/v1"), tokenizer=str(tmp_path))
    assert backend.render_chat("hi", "SELECT") == Prompt(rendered)


def test_a_chat_without_a_tokenizer_says_which_option_to_use() -> None:
    with pytest.raises(ConfigError, match="name one in the column 'tokenizer' of the models table, or use the frame"):
        model(Server(url="http://h/v1")).render_chat("hi", "")
