"""What decides a request's draws, and which requests no context holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqljudge.models.engines.base import (
    ChoiceRequest,
    Failure,
    GenerationRequest,
    Prompt,
    beyond_context,
    request_seed,
)
from sqljudge.models.session import MOST_FAILURES, Session

REQUEST = GenerationRequest(Prompt("SELECT"), 20, temperature=2.0, seed=3, sample=1)


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, seed=4),
        replace(REQUEST, sample=0),
        replace(REQUEST, prompt=Prompt("SELECT ")),
        replace(REQUEST, seed=31, sample=1),
    ],
)
def test_seed_sample_and_prompt_decide_the_seed(other: GenerationRequest) -> None:
    assert request_seed(other) != request_seed(REQUEST)


@pytest.mark.parametrize(
    "other",
    [replace(REQUEST, max_new_tokens=5), replace(REQUEST, stop=(";",)), replace(REQUEST, about=(1, "SELECT 1"))],
)
def test_nothing_else_decides_the_seed(other: GenerationRequest) -> None:
    assert request_seed(other) == request_seed(REQUEST)
    assert 0 <= request_seed(other) < 2**31


def test_seeds_of_questions_differ() -> None:
    seeds = {request_seed(replace(REQUEST, prompt=Prompt(f"question {i}"), sample=0)) for i in range(2000)}
    assert len(seeds) == 2000


@pytest.mark.parametrize(
    ("tokens", "budget", "context", "fits"),
    [
        (10, 6, 16, True),
        (10, 7, 16, False),
        (16, 1, 16, False),
        (1, 16, 16, False),
        (10, 10**6, None, True),
    ],
)
def test_prompt_and_budget_together_fit_the_context(tokens: int, budget: int, context: int | None, fits: bool) -> None:
    said = f"a prompt of {tokens} tokens and a budget of {budget} are more than the model's context of {context}"
    found = beyond_context([replace(REQUEST, max_new_tokens=budget)], [[7] * tokens], context)
    assert found == ({} if fits else {0: Failure(said, own=True)})


@pytest.mark.parametrize(("tokens", "fits"), [(15, True), (16, False), (40, False)])
def test_a_choice_reads_one_token(tokens: int, fits: bool) -> None:
    choice = ChoiceRequest(Prompt("a"), ("Yes", "No"))
    assert [*beyond_context([choice, choice], [[7], [7] * tokens], 16)] == ([] if fits else [1])


def test_requests_that_fail_by_themselves_do_not_stop_the_others(scripted: Callable[..., Any]) -> None:
    """Long prompts are asked first, so all of these come in a row."""

    class Short:
        batch = 0

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def generate(self, requests: Sequence[GenerationRequest], heartbeat: Any) -> Any:
            for i, answer in self.inner.generate(requests):
                yield i, Failure("too long", own=True) if len(requests[i].prompt.text) > 600 else answer

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    inner = scripted({"match": "say", "response": "hi"})
    made = Session(Short(inner), None, "job", tolerated=1.0)
    long = [replace(REQUEST, prompt=Prompt(f"say {i}" + " " * 600)) for i in range(MOST_FAILURES + 5)]
    found = made.complete([*long, replace(REQUEST, prompt=Prompt("say"))])
    assert [isinstance(one, Failure) for one in found] == [True] * len(long) + [False]
    assert len(made.failures) == len(long)
