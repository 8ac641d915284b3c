"""Questions fall into shards by their id, and what the shards make is what one job would have made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import tiny_model
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import Candidate, CandidateSet, ForcedVerdict, Judgment, Question, write_jsonl
from sqljudge.models.engines.base import Completion, GenerationRequest, Heartbeat, Prompt, silent
from sqljudge.models.engines.batching import Decoder
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.engines.tokenizer import Detokenizer
from sqljudge.models.session import Session
from sqljudge.stages.generate import Decoding, generate_candidates
from sqljudge.stages.judge import METHODS, judge
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.stages.shards import in_shard, merge_files, merge_shards, sum_runs

QUESTIONS = [Question(i, "d", f"q{i}", "SELECT 1", "", "easy") for i in (5, 3, 11, 0, 7, 8, 2)]
TEMPLATE = PromptTemplate("${question}", "SELECT")
SCRIPT = [{"match": rf"^q{q.id}\b", "response": [f" {q.id}", f" {q.id} + 1", f" {q.id}"]} for q in QUESTIONS]


def names(shards: int) -> list[str]:
    return [f"{number}-of-{shards}" for number in range(1, shards + 1)] if shards > 1 else [""]


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_a_question_falls_into_exactly_one_shard(question: int, shards: int) -> None:
    assert sum(in_shard(question, f"{number}-of-{shards}") for number in range(1, shards + 1)) == 1


def test_without_shards_every_question_is_in_the_one_job() -> None:
    assert all(in_shard(question, "") for question in range(20))


def test_shards_are_of_about_equal_size() -> None:
    for shards in (2, 3, 8):
        sizes = [sum(in_shard(question, name) for question in range(4000)) for name in names(shards)]
        assert max(sizes) < 1.2 * 4000 / shards, sizes


def test_a_questions_shard_does_not_depend_on_the_other_questions() -> None:
    """A journal of one sample serves a larger one only if its questions stay in their shards."""
    assert [number for number in range(12) if in_shard(number, "1-of-3")] == [0, 6, 8, 9, 10]


def shared(shards: int, make: Callable[[list[Question]], list[Any]], expected: list[int]) -> list[Any]:
    return merge_shards(expected, [make([q for q in QUESTIONS if in_shard(q.id, name)]) for name in names(shards)])


@pytest.mark.parametrize("journalled", [False, True])
def test_candidates_do_not_depend_on_the_number_of_shards(
    scripted: Callable[..., ScriptedBackend], tmp_path: Path, journalled: bool
) -> None:
    def written(shards: int) -> bytes:
        session = Session(scripted(*SCRIPT), tmp_path / f"{shards}" if journalled else None, "job")
        settings: dict[str, Any] = {
            "template": TEMPLATE,
            "framing": Framing("raw"),
            "extraction": "continuation",
            "seed": 1,
        }
        decoding = Decoding(3, 0.5, 40)
        sets = shared(
            shards,
            lambda mine: generate_candidates(session, mine, decoding=decoding, **settings),
            [question.id for question in QUESTIONS],
        )
        write_jsonl(tmp_path / "sets.jsonl", sets)
        return (tmp_path / "sets.jsonl").read_bytes()

    assert written(1) == written(2) == written(3) == written(9)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_judgments_do_not_depend_on_the_number_of_shards(
    scripted: Callable[..., ScriptedBackend], tmp_path: Path, method: str
) -> None:
    rules = [{**rule, "probabilities": {"Yes": 0.1 * i}} for i, rule in enumerate(SCRIPT)]
    pairs = [(question, sql) for question in QUESTIONS for sql in ("b;", "a;", "c;")[: question.id % 4]]

    def written(shards: int) -> bytes:
        session = Session(scripted(*rules), None, "job")
        made = shared(
            shards,
            lambda mine: judge(
                session,
                [pair for pair in pairs if pair[0] in mine],
                method=method,
                template=PromptTemplate("${question} ${sql}", ""),
                framing=Framing("raw"),
                budget=30,
            ),
            [question.id for question, _ in pairs],
        )
        assert [(j.question_id, j.sql) for j in made] == [(question.id, sql) for question, sql in pairs]
        write_judgments(tmp_path / "all.parquet", made)
        assert len(read_judgments(tmp_path / "all.parquet")) == len(pairs)
        return (tmp_path / "all.parquet").read_bytes()

    assert written(1) == written(2) == written(3)


class Tiny:
    """A real, tiny model as a backend."""

    batch = 4

    decoder = Decoder(
        tiny_model("qwen2"),
        end_ids=frozenset({3, 5}),
        pad_id=0,
        slots=4,
        new_detokenizer=lambda _: Detokenizer(lambda ids: "".join(chr(0x4E00 + i) for i in ids)),
    )

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        return self.decoder.run(requests, [[ord(letter) % 61 for letter in r.prompt.text] for r in requests])

    def render_chat(self, user: str, opening: str) -> Prompt:
        return Prompt(user + opening)

    def identity(self) -> dict[str, str]:
        return {"model": "tiny"}


def test_a_real_models_tokens_do_not_depend_on_the_number_of_shards() -> None:
    pairs = [(question, sql) for question in QUESTIONS for sql in ("SELECT a;", "SELECT bb, c;")]

    def made(shards: int) -> list[Judgment]:
        return shared(
            shards,
            lambda mine: judge(
                Session(Tiny(), None, "job"),
                [pair for pair in pairs if pair[0] in mine],
                method="reasoning",
                template=PromptTemplate("${question} ${sql}", ""),
                framing=Framing("raw"),
                budget=20,
            ),
            [question.id for question, _ in pairs],
        )

    one = made(1)
    assert len({judgment.response for judgment in one}) > 3, "the model says varied things"
    for shards in (2, 3):
        for judgment, alone in zip(made(shards), one, strict=True):
            assert replace(judgment, logprobs=()) == replace(alone, logprobs=())
            assert judgment.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_a_shard_without_questions_asks_nothing(scripted: Callable[..., ScriptedBackend]) -> None:
    session = Session(scripted(), None, "job")
    template = PromptTemplate("${question} ${sql}", "")
    assert judge(session, [], method="reasoning", template=template, framing=Framing("raw"), budget=3) == []
    assert session.usage.requests == 0


@pytest.mark.parametrize(
    ("expected", "said"),
    [([1, 2], "question 2: the shards hold 2 records, but 1 are due"), ([1, 2, 2, 4], "question 4: ")],
)
def test_shards_of_other_questions_are_refused(expected: list[int], said: str) -> None:
    with pytest.raises(DataError, match=said):
        merge_shards(expected, [[Judgment(1, "a")], [Judgment(2, "a"), Judgment(2, "b")]])


def run_of(requests: int, memory: float, device: str) -> dict[str, Any]:
    counts = {"requests": requests, "distinct": requests - 1, "from_journal": 1}
    cost = {
        "prompt_tokens": 10 * requests,
        "new_tokens": 5,
        "large_tokens": 3 * requests,
        "routed_tokens": requests,
        "seconds": 0.5,
    }
    return {**counts, **cost, "peak_memory_mib": memory, "model": {"model": "m"}, "engine": {"device": device, "x": 1}}


def test_costs_add_up() -> None:
    lost = {"failures": [{"reason": "gone", "prompt_end": "?"}]}
    whole = sum_runs([run_of(2, 80.0, "B"), {**run_of(3, 90.5, "A"), **lost}, run_of(1, 70.0, "B")])
    assert whole == {
        **run_of(6, 90.5, "A, B"),
        "distinct": 3,
        "from_journal": 3,
        "new_tokens": 15,
        "seconds": 1.5,
        "shards": 3,
        **lost,
    }


SETS = [CandidateSet(q.id, tuple(map(Candidate, ("b;", "a;", "c;")[: q.id % 4]))) for q in QUESTIONS]
CANDIDATES = [(each.question_id, one.sql) for each in SETS for one in each.candidates]


@pytest.mark.parametrize(
    ("kind", "order", "times", "whole"),
    [
        ("candidates", QUESTIONS, 1, SETS),
        ("judgments", SETS, 1, [Judgment(*key, p_yes=0.5) for key in CANDIDATES]),
        ("forced", SETS, 2, [ForcedVerdict(*key, budget, budget, 0.5) for key in CANDIDATES for budget in (0, 8)]),
    ],
)
def test_the_files_of_shards_are_merged_into_what_one_job_would_have_written(
    tmp_path: Path, kind: str, order: list[Any], times: int, whole: list[Any]
) -> None:
    write: Any = write_judgments if kind == "judgments" else write_jsonl
    runs = [run_of(number, 80.0, "A") for number in (2, 3, 4)]
    for name, run in zip(names(3), runs, strict=True):
        write(tmp_path / name, [one for one in whole if in_shard(one.question_id, name)])
        write_json(tmp_path / f"{name}.run", run)
    write_jsonl(tmp_path / "order", order)
    write(tmp_path / "alone", whole)
    given: dict[str, Any] = {name: str(tmp_path / name) for name in ("order", "merged", "run")}
    given |= {"shards": [str(tmp_path / name) for name in names(3)]}
    given |= {"runs": [str(tmp_path / f"{name}.run") for name in names(3)]}
    merge_files(kind=kind, times=times, **given)
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "alone").read_bytes()
    assert read_json(tmp_path / "run") == sum_runs(runs)
    if times > 1:
        with pytest.raises(DataError, match=r"the shards hold \d records, but \d are due; delete results/shards"):
            merge_files(kind=kind, **given)
