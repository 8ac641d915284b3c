"""A model behind a server: what is asked, and what is made of its answers, good and bad, over real HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from completions_server import TOKEN_LOGPROB, Server, failure, model, one, request, status
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.records import Judgment
from sqljudge.models.engines import tokenizer
from sqljudge.models.engines.answers import UnusableAnswer, read_choice, read_completion
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    Prompt,
    request_seed,
)
from sqljudge.models.session import Session
from sqljudge.stages.score import read_verdict


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
    assert "authorization" not in server.headers[0]


def test_a_stop_mark_that_the_server_takes_off(server: Server) -> None:
    answer = one(model(server), stop=("{",))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason, answer.token_ends[-1]) == (" hi", "stop", 3)
    assert len(answer.token_ends) == len(answer.logprobs) == len(answer.token_ids)


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
        ("choices/0/logprobs/tokens", ["a"], "1 tokens but 8 log-probabilities"),
        ("choices/0/logprobs/token_logprobs", [-1.0, None] * 4, "no log-probability"),
        ("choices/0/logprobs/tokens", ["a", None] * 4, "no text"),
        ("choices/0/text", None, "the answer holds no text"),
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


def test_spellings_are_refused(server: Server) -> None:
    with pytest.raises(ModelError, match="is behind a server, which does not tell how it splits a verdict"):
        list(model(server).choose([ChoiceRequest(Prompt("a"), WORDS, (("Yes",), ("No",)))]))
    assert server.asked == []


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


def listed(
    top: int = 5, prompt: str = "A:", words: tuple[str, ...] = WORDS, alone: bool = False, **logprobs: float
) -> tuple[float, ...]:
    tokens = {name.replace("_", " "): math.log(value) for name, value in logprobs.items()}
    answer = {"choices": [{"logprobs": {"top_logprobs": [tokens]}}], "usage": {"prompt_tokens": 1}}
    return read_choice(answer, ChoiceRequest(Prompt(prompt), words, alone=alone), top).probabilities


def test_an_unlisted_word_has_the_most_that_it_may_have() -> None:
    assert listed(_Yes=0.9995, b=0.0001) == pytest.approx((0.9995, 0.0004))
    assert listed(_Yes=0.5, b=0.3, c=0.0005, top=3) == pytest.approx((0.5, 0.0005))
    with pytest.raises(UnusableAnswer, match=r"up to 0\.100"):
        listed(_Yes=0.7, b=0.2)


def test_the_drawn_token_is_no_bound_for_the_unlisted() -> None:
    with pytest.raises(UnusableAnswer, match=r"up to 0\.200"):
        listed(_Yes=0.6, b=0.2, drawn=0.0001, top=2)


def test_a_word_listed_without_its_space_is_not_taken_for_unlikely() -> None:
    with pytest.raises(UnusableAnswer, match=r"' Yes' is not among .* up to 0\.9"):
        listed(Yes=0.9, No=0.0999)
    assert listed(Yes=0.75, No=0.25, prompt="A:\n") == pytest.approx((0.75, 0.25))
    assert listed(ĠYes=0.75, ĠNo=0.25) == listed(**{"▁Yes": 0.75, "▁No": 0.25}) == pytest.approx((0.75, 0.25))


def test_a_word_alone_is_listed_as_the_tokenizer_begins_words() -> None:
    assert listed(alone=True, Yes=0.75, No=0.2, ĠYes=0.05) == pytest.approx((0.75, 0.2))
    assert listed(alone=True, **{"▁Yes": 0.75, "▁No": 0.2, "Yes": 0.05}) == pytest.approx((0.75, 0.2))


def test_choices_without_log_probabilities_of_a_likely_token(server: Server) -> None:
    server.change = edited("choices/0/logprobs", {"top_logprobs": [{" Yes": None}]})
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
    with pytest.raises(ConfigError, match="name one in the column 'tokenizer' of the models table, or use the prompt"):
        model(Server(url="http://h/v1")).render_chat("hi", "")
