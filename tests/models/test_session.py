"""Requests go through the journal: each asked once, finished ones never again, the same answers either way."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import tiny_model
from sqljudge.core.errors import ModelError
from sqljudge.models import session as inference
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
    Prompt,
    silent,
)
from sqljudge.models.engines.batching import Decoder
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.engines.tokenizer import Detokenizer
from sqljudge.models.journal import JournalError, JournalWriter, request_key
from sqljudge.models.session import Session, Usage, model_session, model_sessions, no_report, open_session

Rules = Callable[..., ScriptedBackend]


class Counted:
    """A backend that remembers what it was asked."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.asked: list[Any] = []

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        for i, completion in reversed(list(self.inner.generate(requests))):
            self.asked.append(requests[i])
            yield i, completion

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice]]:
        for i, choice in self.inner.choose(requests):
            self.asked.append(requests[i])
            yield i, choice

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def session(backend: Any, journal: Path | None = None, writer: str = "job") -> Session:
    return Session(backend, journal, writer)


def request(text: str = "a", budget: int = 10, **more: Any) -> GenerationRequest:
    return GenerationRequest(Prompt(text), budget, **more)


@pytest.fixture
def backend(scripted: Rules) -> Counted:
    return Counted(
        scripted(
            {"match": "^a", "response": "abcdefghijklmnop", "probabilities": {"Yes": 0.75, "No": 0.125}},
            {"match": "^s", "response": ["one", "two", "three"]},
            {"match": "", "response": "xyz", "probabilities": {"Yes": 0.25}},
        )
    )


def texts(completions: Sequence[Completion]) -> list[str]:
    return [completion.text for completion in completions]


@pytest.mark.parametrize("journalled", [False, True])
def test_identical_requests_are_asked_once(backend: Counted, tmp_path: Path, journalled: bool) -> None:
    made = session(backend, tmp_path if journalled else None)
    answers = made.complete([request("a", 4), request("b", 4), request("a", 4), request("b", 2), request("a", 9)])
    assert texts(answers) == ["abcd", "xyz", "abcd", "xy", "abcdefghi"]
    assert [answer.finish_reason for answer in answers] == ["length", "stop", "length", "length", "length"]
    assert sorted((r.prompt.text, r.max_new_tokens) for r in backend.asked) == [("a", 9), ("b", 4)]
    assert (made.usage.requests, made.usage.distinct, made.usage.from_journal) == (5, 2, 0)
    assert made.usage.new_tokens == 9 + 3
    assert made.usage.prompt_tokens == 2


def test_journalled_answers_are_not_asked_again(backend: Counted, tmp_path: Path) -> None:
    first = session(backend, tmp_path).complete([request("a"), request("b")])
    backend.asked.clear()
    again = session(backend, tmp_path, "another job")
    assert again.complete([request("b"), request("c"), request("a")]) == [
        first[1],
        *again.complete([request("c")]),
        first[0],
    ]
    assert [r.prompt.text for r in backend.asked] == ["c"]
    assert again.usage.from_journal == 3


def test_without_a_journal_everything_is_asked_anew(backend: Counted, tmp_path: Path) -> None:
    for _ in range(2):
        session(backend).complete([request("a")])
    assert len(backend.asked) == 2
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_longer_response_serves_a_smaller_budget(backend: Counted, tmp_path: Path) -> None:
    session(backend, tmp_path).complete([request("a", 8)])
    backend.asked.clear()
    (short,) = session(backend, tmp_path).complete([request("a", 3)])
    assert backend.asked == []
    (direct,) = session(backend).complete([request("a", 3)])
    assert short == direct
    assert (short.text, short.finish_reason, short.token_ends) == ("abc", "length", (1, 2, 3))


def test_a_shorter_unfinished_response_does_not_serve(backend: Counted, tmp_path: Path) -> None:
    session(backend, tmp_path).complete([request("a", 3)])
    (longer,) = session(backend, tmp_path).complete([request("a", 8)])
    assert longer.text == "abcdefgh"
    assert len(backend.asked) == 2
    (third,) = session(backend, tmp_path).complete([request("a", 8)])
    assert third == longer
    assert len(backend.asked) == 2, "of two journalled responses, the longer one is taken"


def test_a_shorter_finished_response_serves_every_budget(backend: Counted, tmp_path: Path) -> None:
    session(backend, tmp_path).complete([request("b", 5)])
    (answer,) = session(backend, tmp_path).complete([request("b", 500)])
    assert (answer.text, answer.finish_reason) == ("xyz", "stop")
    assert len(backend.asked) == 1


@pytest.mark.parametrize("change", [{"seed": 1}, {"sample": 2}, {"temperature": 0}])
def test_greedy_answers_know_no_seed_or_sample(backend: Counted, tmp_path: Path, change: dict[str, int]) -> None:
    session(backend, tmp_path).complete([request("a"), replace(request("a"), **change)])
    assert len(backend.asked) == 1


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"sample": 2}, {"temperature": 0.5}, {"stop": ("x",)}, {"prompt": Prompt("s", special=True)}],
)
def test_sampled_answers_know_all_of_it(backend: Counted, tmp_path: Path, change: dict[str, Any]) -> None:
    one = request("s", temperature=1.0)
    session(backend, tmp_path).complete([one, replace(one, **change)])
    assert len(backend.asked) == 2


def test_samples_keep_their_places(backend: Counted, tmp_path: Path) -> None:
    wanted = [request("s", temperature=1.0, sample=i) for i in (2, 0, 1, 0)]
    assert texts(session(backend, tmp_path).complete(wanted)) == ["three", "one", "two", "one"]
    assert texts(session(backend, tmp_path).complete(wanted)) == ["three", "one", "two", "one"]
    assert len(backend.asked) == 3


def test_another_model_has_other_answers(scripted: Rules, tmp_path: Path) -> None:
    one = scripted({"match": "", "response": "one"})
    two = scripted({"match": "", "response": "two"})
    assert texts(session(one, tmp_path).complete([request()])) == ["one"]
    assert texts(session(two, tmp_path).complete([request()])) == ["two"]


def test_choices(backend: Counted, tmp_path: Path) -> None:
    wanted = [ChoiceRequest(Prompt(text), ("Yes", "No")) for text in ("b", "a", "b")]
    expected = [Choice((0.25, 0.0), 1), Choice((0.75, 0.125), 1), Choice((0.25, 0.0), 1)]
    for _ in range(2):
        assert session(backend, tmp_path).choose(wanted) == expected
    assert len(backend.asked) == 2
    session(backend, tmp_path).choose([ChoiceRequest(Prompt("a"), ("No", "Yes"))])
    session(backend, tmp_path).complete([request("a")])
    assert len(backend.asked) == 4, "a choice of other words, and a completion, are other requests"


def test_nothing_to_ask(backend: Counted, tmp_path: Path) -> None:
    made = session(backend, tmp_path)
    assert made.complete([]) == []
    assert made.choose([]) == []
    assert made.report()["requests"] == 0


def decode(ids: Sequence[int]) -> str:
    """Two tokens to a letter, so that budgets cut letters."""
    return bytes(b for i in ids for b in ([0xC3] if i % 2 else [0xA0 + i % 16])).decode("utf-8", "replace")


class Tiny:
    """A real, tiny model as a backend that computes three requests at a time."""

    batch = 3

    def __init__(self, slots: int) -> None:
        self.decoder = Decoder(
            tiny_model("qwen2"),
            end_ids=frozenset({3, 5}),
            pad_id=0,
            slots=slots,
            new_detokenizer=lambda _: Detokenizer(decode),
        )

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        return self.decoder.run(requests, [[ord(letter) % 61 for letter in r.prompt.text] for r in requests])

    def identity(self) -> dict[str, str]:
        return {"model": "tiny"}


def several(budget: int) -> list[GenerationRequest]:
    greedy = [request(text, budget) for text in ("hello", "hi", "good morning", "hello")]
    return greedy + [request("hello", budget, temperature=0.9, seed=4, sample=i) for i in range(4)]


def plain(completions: Sequence[Completion]) -> list[tuple[Any, ...]]:
    return [(c.text, c.token_ids, c.token_ends, c.finish_reason, c.prompt_tokens) for c in completions]


def test_results_are_equal_with_and_without_the_journal(tmp_path: Path) -> None:
    """At every budget, answered from a longer run, from a shorter one and from none."""
    bare = {budget: session(Tiny(3)).complete(several(budget)) for budget in (1, 2, 5, 8, 12)}
    for order in ((12, 8, 5, 2, 1), (1, 2, 5, 8, 12)):
        journal = tmp_path / str(order)
        for budget in order:
            kept = session(Tiny(2), journal).complete(several(budget))
            assert plain(kept) == plain(bare[budget])
            for one, other in zip(kept, bare[budget], strict=True):
                assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


class KilledError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("after", [0, 1, 3, 4, 6])
def test_a_killed_job_goes_on_where_it_was(tmp_path: Path, after: int) -> None:
    """To the last digit of the log-probabilities: what is asked after the resume is batched as it would have been."""

    class Mortal(Tiny):
        said = 0

        def generate(
            self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
        ) -> Iterator[tuple[int, Completion]]:
            for answer in super().generate(requests):
                if self.said == after:
                    raise KilledError
                self.said += 1
                yield answer

    with pytest.raises(KilledError):
        session(Mortal(2), tmp_path).complete(several(8))
    resumed = session(Tiny(2), tmp_path)
    assert resumed.complete(several(8)) == session(Tiny(2)).complete(several(8))
    assert resumed.usage.from_journal == after // 3 * 3


def test_what_is_computed_together_is_journalled_together(tmp_path: Path) -> None:
    session(Tiny(3), tmp_path).complete(several(4))
    left = [json.loads(line)["left"] for line in (tmp_path / "job.jsonl").read_text().splitlines()]
    assert left == [2, 1, 0, 2, 1, 0, 0]


def test_prompts_that_begin_alike_are_asked_together(backend: Counted, tmp_path: Path) -> None:
    texts = ["b two", "a one", "b one", "a two", "x" * 600]
    session(backend, tmp_path).complete([request(text) for text in texts])
    asked = [r.prompt.text for r in reversed(backend.asked)]
    assert asked == ["x" * 600, "a one", "a two", "b one", "b two"]


def test_choices_are_asked_in_the_order_of_their_texts(backend: Counted, tmp_path: Path) -> None:
    texts = ["a", "x" * 600, "a" + "b" * 600, "ab"]
    session(backend, tmp_path).choose([ChoiceRequest(Prompt(text), ("Yes",)) for text in texts])
    assert [r.prompt.text for r in backend.asked] == ["a", "ab", "a" + "b" * 600, "x" * 600]


def test_spellings_and_words_alone_are_part_of_a_request_and_without_them_its_key_is_as_it_was(
    backend: Counted, tmp_path: Path
) -> None:
    plain = {"kind": "choose", "prompt": {"text": "a", "special": False}, "words": ("Yes",)}
    session(backend, tmp_path).choose([ChoiceRequest(Prompt("a"), ("Yes",))])
    session(backend, tmp_path).choose([ChoiceRequest(Prompt("a"), ("Yes",), (("yes", "Yes"),))])
    session(backend, tmp_path).choose([ChoiceRequest(Prompt("a"), ("Yes",), alone=True)])
    keys = [json.loads(line)["key"] for line in (tmp_path / "job.jsonl").read_text().splitlines()]
    assert keys[0] == request_key({"model": backend.identity(), **plain})
    assert len(set(keys)) == 3


def test_a_model_error_leaves_what_was_finished(scripted: Rules, tmp_path: Path) -> None:
    few = scripted({"match": "^a", "response": "fine"})
    with pytest.raises(ModelError, match="no scripted response"):
        session(few, tmp_path).complete([request("a"), request("b")])
    assert len((tmp_path / "job.jsonl").read_text().splitlines()) == 1
    with JournalWriter(tmp_path, "job"):
        pass  # the file was let go


def test_a_job_whose_journal_is_held_is_refused(backend: Counted, tmp_path: Path) -> None:
    with JournalWriter(tmp_path, "job"), pytest.raises(JournalError, match="another job is writing it"):
        session(backend, tmp_path).complete([request()])
    assert backend.asked == []


def test_the_report_of_a_job(backend: Counted, tmp_path: Path) -> None:
    made = session(backend, tmp_path)
    made.complete([request("a", 4), request("a", 4)])
    report = made.report()
    counts = {key: report[key] for key in ("requests", "distinct", "from_journal", "prompt_tokens", "new_tokens")}
    assert counts == {"requests": 2, "distinct": 1, "from_journal": 0, "prompt_tokens": 1, "new_tokens": 4}
    assert report["seconds"] >= 0
    assert report["peak_memory_mib"] > 10
    assert report["model"] == backend.identity()
    assert report["engine"] == backend.describe()


def test_a_resumed_job_reports_the_whole_cost(
    backend: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [50.0]

    def tick() -> float:
        now[0] += 0.25
        return now[0]

    monkeypatch.setattr(inference.time, "monotonic", tick)
    first = session(backend, tmp_path)
    first.complete([request("a", 4), request("b")])
    first.choose([ChoiceRequest(Prompt("a"), ("Yes",))])
    again = session(backend, tmp_path)
    again.complete([request("a", 4), request("b")])
    again.choose([ChoiceRequest(Prompt("a"), ("Yes",))])
    assert again.usage.from_journal == 3
    assert (again.usage.prompt_tokens, again.usage.new_tokens) == (3, 7)
    assert again.usage.seconds == pytest.approx(first.usage.seconds)
    assert first.usage.seconds > 0


def test_answers_without_a_cost_are_taken(backend: Counted, tmp_path: Path) -> None:
    made = session(backend, tmp_path)
    (answer,) = made.complete([request("b")])
    path = tmp_path / "job.jsonl"
    entry = json.loads(path.read_text())
    del entry["answer"][inference.SECONDS]
    path.write_text(json.dumps(entry) + "\n")
    again = session(backend, tmp_path)
    assert again.complete([request("b")]) == [answer]
    assert again.usage.seconds == 0


def test_a_job_shows_its_progress(backend: Counted, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sqljudge")
    session(backend, tmp_path).complete([request("a"), request("b")])
    begun, done = caplog.messages
    assert begun == "job: 2 requests; loading the model"
    assert re.fullmatch(r"job: 2 of 2 requests, \d+ tokens/s, 00:00 left", done)
    session(backend, tmp_path).complete([request("a"), request("c")])
    assert "job: 1 of 2 answers are in the journal" in caplog.messages


@pytest.mark.parametrize("journal", ["", "kept"])
def test_a_session_is_opened_with_a_journal_of_its_model(tmp_path: Path, journal: str) -> None:
    script = tmp_path / "script.json"
    script.write_text('[{"match": "", "response": "x"}]')
    folder = str(tmp_path / journal) if journal else ""
    made = open_session(ModelSpec("m", str(script), backend="scripted"), device="cpu", journal=folder, writer="job")
    made.complete([request()])
    assert made.journal == (tmp_path / "kept" / "m" if journal else None)
    assert (tmp_path / "kept" / "m" / "job.jsonl").is_file() == bool(journal)


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    """A row of the models table."""
    script = tmp_path / "script.json"
    script.write_text('[{"match": "", "response": "x"}]', encoding="utf-8")
    return asdict(ModelSpec("m", str(script), backend="scripted"))


def test_equal_models_are_loaded_once(row: dict[str, Any], tmp_path: Path) -> None:
    roles = ("generator", "discriminator", "other")
    with model_sessions(
        {"generator": row, "discriminator": dict(row), "other": {**row, "name": "another"}},
        dict.fromkeys(roles, ()),
        gpu=0,
        journal=str(tmp_path),
        labels={role: f"w.{role}" for role in roles},
        failures_tolerated=0.5,
    ) as made:
        assert made["generator"].backend is made["discriminator"].backend
        assert made["other"].backend is not made["generator"].backend
        assert [made[role].journal for role in roles] == [tmp_path / "m", tmp_path / "m", tmp_path / "another"]
        assert [made[role].writer for role in roles] == ["w.generator", "w.discriminator", "w.other"]
        assert {session.tolerated for session in made.values()} == {0.5}
        made["generator"].complete([request()])
        made["discriminator"].complete([request()])
        assert (made["generator"].usage.requests, made["discriminator"].usage.from_journal) == (1, 1)


def test_the_session_of_one_model_reads_weights_where_they_were_unpacked(row: dict[str, Any], tmp_path: Path) -> None:
    """The row names the packed file, `weights` the folder that holds what was in it."""
    packed = {**row, "source": "package:not_installed/model.gguf"}
    how: dict[str, Any] = {"gpu": 0, "journal": "", "label": "job.1-of-2", "failures_tolerated": 0.25}
    with model_session(packed, [row["source"]], **how) as made:
        assert texts(made.complete([request()])) == ["x"]
        assert (made.writer, made.tolerated, made.journal) == ("job.1-of-2", 0.25, None)
    with pytest.raises(ModelError, match="model 'm'"), model_session(packed, [], **how):
        pass


def test_a_job_is_on_its_own_device_until_it_ends(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    @contextmanager
    def device(gpus: int) -> Iterator[str]:
        yield f"device of {gpus}"
        seen.append("given back")

    def load(spec: ModelSpec, *, device: str) -> Any:
        seen.append(device)
        return None

    monkeypatch.setattr(inference, "own_device", device)
    monkeypatch.setattr(inference, "load_backend", load)
    with model_session(row, [], gpu=2, journal="", label="job", failures_tolerated=0.0):
        assert seen == ["device of 2"]
    assert seen == ["device of 2", "given back"]


def test_what_asks_no_model_reports_as_one_that_was_asked_nothing(backend: Counted) -> None:
    report, empty = session(backend).report(), no_report("oracle")
    assert empty.keys() == report.keys()
    assert {key: empty[key] for key in asdict(Usage())} == asdict(Usage())
    assert (empty["model"], empty["engine"]["device"]) == ({"model": "oracle"}, "none")


def test_what_no_batch_takes_in_does_not_shift_the_batches_after_a_resume(tmp_path: Path, scripted: Rules) -> None:
    class Batched(Counted):
        batch = 3

        def __init__(self, inner: Any) -> None:
            super().__init__(inner)
            self.batches: list[list[str]] = []

        def refused(self, requests: Sequence[GenerationRequest]) -> dict[int, Failure]:
            return {i: Failure("long", own=True) for i, one in enumerate(requests) if len(one.prompt.text) > 40}

        def generate(
            self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
        ) -> Iterator[tuple[int, Completion]]:
            self.batches.append([one.prompt.text for one in requests])
            yield from super().generate(requests)

    inner = scripted({"match": "say", "response": "hi"})
    requests = [GenerationRequest(Prompt(f"say {i:02}" + " " * (50 if i in (1, 2, 7) else 0)), 9) for i in range(12)]
    whole, cut = Batched(inner), Batched(inner)
    made = Session(whole, None, "job", tolerated=1.0)
    answers = made.complete(requests)
    assert [i for i, answer in enumerate(answers) if isinstance(answer, Failure)] == [1, 2, 7]
    assert [*map(len, whole.batches)] == [3, 3, 3]
    first = [request for request in requests if request.prompt.text in whole.batches[0]]
    Session(cut, tmp_path, "job").complete(first)
    assert Session(cut, tmp_path, "job", tolerated=1.0).complete(requests) == answers
    assert cut.batches == whole.batches
