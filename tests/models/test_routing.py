"""Two models in one batch: each token is what a plain loop gives that shows the chosen model the whole text."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from conftest import TINY_VOCABULARY, tiny_model
from sqljudge.models.engines.base import Completion, GenerationRequest, Prompt
from sqljudge.models.engines.batching import Decoder
from sqljudge.models.engines.cache import GROWTH
from sqljudge.models.engines.lagging import PACKING_PAYS
from sqljudge.models.engines.routing import (
    Proposals,
    RoutedDecoder,
    Rule,
    always,
    at_random,
    by_entropy,
    never,
    random_number,
)
from sqljudge.models.engines.rows import Row, choose_tokens, uniforms
from sqljudge.models.engines.tokenizer import Detokenizer

TOLERANCE = 1e-3
LENGTHS = (5, 1, 17, 9, 9, 2, 30, 3, 12, 7)
BUDGETS = (12, 30, 3, 20, 1, 9, 25, 2, 14, 8)
RULES: dict[str, Rule] = {
    "always": always,
    "never": never,
    "half": at_random(0.5),
    "rarely": at_random(0.1),
    "entropy": by_entropy(1.5),
}


def decode(ids: Sequence[int]) -> str:
    """One letter a token."""
    return "".join(chr(0x4E00 + i) for i in ids)


def detokenizer(context: Sequence[int]) -> Detokenizer:
    return Detokenizer(decode, context)


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A small and a large model, which differ in everything but their tokens."""
    small = tiny_model(request.param, seed=1)
    large = tiny_model("qwen2", seed=2, hidden_size=48, num_hidden_layers=3, num_attention_heads=6)
    return small, large


def prompts_of(*lengths: int, seed: int = 1) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(TINY_VOCABULARY) for _ in range(length)] for length in lengths]


def asked(prompts: Sequence[list[int]], budgets: Sequence[int], **how: Any) -> list[GenerationRequest]:
    return [GenerationRequest(Prompt(decode(ids)), budget, **how) for ids, budget in zip(prompts, budgets, strict=True)]


def decoder(pair: tuple[Any, Any], rule: Rule, slots: int, **how: Any) -> RoutedDecoder:
    how = {"end_ids": frozenset(), "pad_id": 0, "new_detokenizer": detokenizer, **how}
    return RoutedDecoder(pair[0], large=pair[1], rule=rule, slots=slots, **how)


def answers(made: Decoder, requests: Sequence[GenerationRequest], prompts: Sequence[list[int]]) -> list[Completion]:
    found = dict(made.run(requests, prompts))
    assert sorted(found) == list(range(len(requests))), "every request is answered once"
    return [found[i] for i in range(len(requests))]


@torch.inference_mode()
def plain(
    pair: tuple[Any, Any],
    rule: Rule,
    request: GenerationRequest,
    ids: list[int],
    end_ids: frozenset[int] = frozenset(),
    vocabulary: int | None = None,
) -> Completion:
    """What a loop says that keeps nothing between tokens: the chosen model reads the whole text anew."""
    drawn = uniforms(request) if request.temperature > 0 else None
    row = Row(0, request, ids, detokenizer(ids), drawn)
    while not row.finish_reason:
        whole = torch.tensor([[*ids, *row.token_ids]])
        output = pair[0](whole, output_hidden_states=True)
        logits = output.logits[:, -1, :vocabulary].float()
        proposed = choose_tokens(logits, [row])
        if rule(Proposals([row], logits, output.hidden_states[-1][:, -1], proposed))[0]:
            logits = pair[1](whole).logits[:, -1, :vocabulary].float()
            row.routed.append(len(row.token_ids))
        token = int(choose_tokens(logits, [row])[0])
        row.take(token, float(logits[0].log_softmax(-1)[token]), end_ids)
    return row.completion()


def same(one: Completion, other: Completion) -> None:
    assert (one.token_ids, one.text, one.token_ends) == (other.token_ids, other.text, other.token_ends)
    assert (one.finish_reason, one.prompt_tokens) == (other.finish_reason, other.prompt_tokens)
    assert one.routed == other.routed
    assert one.logprobs == pytest.approx(other.logprobs, abs=TOLERANCE)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("rule", RULES)
def test_equals_a_loop_that_keeps_nothing(pair: tuple[Any, Any], rule: str, temperature: float) -> None:
    prompts = prompts_of(*LENGTHS)
    requests = asked(prompts, BUDGETS, temperature=temperature, seed=3)
    expected = [plain(pair, RULES[rule], request, ids) for request, ids in zip(requests, prompts, strict=True)]
    for slots in (1, 3, 32):
        for one, other in zip(answers(decoder(pair, RULES[rule], slots), requests, prompts), expected, strict=True):
            same(one, other)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize(("rule", "which"), [("never", 0), ("always", 1)])
def test_one_model_alone_says_what_it_says_in_its_own_batch(
    pair: tuple[Any, Any], rule: str, which: int, temperature: float
) -> None:
    prompts = prompts_of(*LENGTHS)
    requests = asked(prompts, BUDGETS, temperature=temperature, seed=5)
    own = Decoder(pair[which], end_ids=frozenset(), pad_id=0, slots=4, new_detokenizer=detokenizer)
    expected = answers(own, requests, prompts)
    for one, other in zip(answers(decoder(pair, RULES[rule], 4), requests, prompts), expected, strict=True):
        assert one.token_ids == other.token_ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=TOLERANCE)
        assert one.routed == (tuple(range(len(one.token_ids))) if which else ())
        assert one.large_tokens == (one.prompt_tokens + len(one.token_ids) - 1 if which else 0)


def test_the_models_say_different_things_and_the_rules_mix_them(pair: tuple[Any, Any]) -> None:
    """Otherwise the comparisons above would prove little."""
    prompts = prompts_of(*LENGTHS)
    requests = asked(prompts, BUDGETS)
    said = {name: answers(decoder(pair, rule, 32), requests, prompts) for name, rule in RULES.items()}
    texts = {name: tuple(each.token_ids for each in found) for name, found in said.items()}
    assert len(set(texts.values())) == len(RULES)
    tokens = sum(BUDGETS)
    for name, least, most in (("half", 0.35, 0.65), ("rarely", 0.01, 0.25), ("entropy", 0.05, 0.95)):
        assert least < sum(len(each.routed) for each in said[name]) / tokens < most, name


@pytest.mark.parametrize("rule", ["half", "rarely"])
def test_long_answers_outgrow_the_room_for_keys(pair: tuple[Any, Any], rule: str) -> None:
    prompts = prompts_of(5, 40, 2)
    requests = asked(prompts, [3 * GROWTH, 20, 2 * GROWTH])
    for i, found in enumerate(answers(decoder(pair, RULES[rule], 2), requests, prompts)):
        same(found, plain(pair, RULES[rule], requests[i], prompts[i]))


@pytest.mark.parametrize("slots", [1, 4])
def test_prompts_that_begin_alike_or_are_the_same(pair: tuple[Any, Any], slots: int) -> None:
    """Several samples of one prompt, and prompts that the small model computes as a tree."""
    (stem,) = prompts_of(40)
    prompts = [stem, stem, stem, [*stem, 4], [*stem, 4, 9], prompts_of(3, seed=7)[0]]
    requests = [
        GenerationRequest(Prompt(decode(ids)), 15, temperature=1.0, seed=2, sample=i) for i, ids in enumerate(prompts)
    ]
    found = answers(decoder(pair, RULES["half"], slots), requests, prompts)
    assert len({each.routed for each in found}) == len(found), "each sample is routed by draws of its own"
    for i, each in enumerate(found):
        same(each, plain(pair, RULES["half"], requests[i], prompts[i]))


def by_token(proposals: Proposals) -> torch.Tensor:
    """A rule that reads all that it is given of a proposal but the logits."""
    return (proposals.tokens % 3 == 0) ^ (proposals.hidden.sum(-1) > 0)


def test_a_rule_reads_the_hidden_state_and_the_token(pair: tuple[Any, Any]) -> None:
    (stem,) = prompts_of(40)
    prompts = [*prompts_of(*LENGTHS), stem, stem, [*stem, 4]]
    requests = asked(prompts, [9] * len(prompts))
    found = answers(decoder(pair, by_token, 5), requests, prompts)
    assert 0 < sum(len(each.routed) for each in found) < 9 * len(found)
    for i, each in enumerate(found):
        same(each, plain(pair, by_token, requests[i], prompts[i]))


@pytest.mark.parametrize("rule", ["half", "always", "never"])
def test_end_tokens_and_stop_marks(pair: tuple[Any, Any], rule: str) -> None:
    prompts = prompts_of(*LENGTHS)
    free = answers(decoder(pair, RULES[rule], 4), asked(prompts, [20] * 10), prompts)
    end_ids = frozenset({free[0].token_ids[7], free[3].token_ids[11]})
    requests = asked(prompts, [20] * 10, stop=(free[2].text[4:6], "never"))
    found = answers(decoder(pair, RULES[rule], 4, end_ids=end_ids), requests, prompts)
    assert {each.finish_reason for each in found} >= {"stop"}
    for i, each in enumerate(found):
        same(each, plain(pair, RULES[rule], requests[i], prompts[i], end_ids))


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_smaller_budget_gives_a_prefix(pair: tuple[Any, Any], temperature: float) -> None:
    prompts = prompts_of(6)
    (request,) = asked(prompts, [20], temperature=temperature, seed=9)
    (long,) = answers(decoder(pair, RULES["half"], 1), [request], prompts)
    for budget in (1, 2, 7, 19):
        (short,) = answers(decoder(pair, RULES["half"], 1), [replace(request, max_new_tokens=budget)], prompts)
        same(short, long.cut(budget))


@pytest.mark.parametrize(("small_size", "large_size"), [(61, 70), (70, 61), (64, 72)])
@pytest.mark.parametrize("rule", ["always", "never", "half"])
def test_vocabularies_that_are_padded_differently_are_cut(rule: str, small_size: int, large_size: int) -> None:
    pair = tiny_model("qwen2", 1, vocab_size=small_size), tiny_model("llama", 2, vocab_size=large_size)
    prompts = prompts_of(*LENGTHS)
    requests = asked(prompts, [12] * 10)
    found = answers(decoder(pair, RULES[rule], 4, vocabulary=61), requests, prompts)
    assert all(token < 61 for each in found for token in each.token_ids)
    for i, each in enumerate(found):
        same(each, plain(pair, RULES[rule], requests[i], prompts[i], vocabulary=61))


def test_each_model_is_called_at_most_once_a_step(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int, int]] = []

    def watch(name: str, model: Any) -> Callable[..., Any]:
        forward = model.forward

        def watched(**inputs: Any) -> Any:
            calls.append((name, *inputs["input_ids"].shape))
            return forward(**inputs)

        return watched

    for name, model in zip(("small", "large"), pair, strict=True):
        monkeypatch.setattr(model, "forward", watch(name, model))
    prompts = prompts_of(4, 6, 9)
    answers(decoder(pair, RULES["half"], 3), asked(prompts, [10] * 3), prompts)
    names = [name for name, _, _ in calls]
    assert names.count("small") == 10, "one for the prompts and one for each token but the last"
    assert not any(one == other == "large" for one, other in pairwise(names))
    assert any(rows > 1 and width > 1 for name, rows, width in calls if name == "large"), "rows lag together"
    assert {rows for name, rows, _ in calls if name == "large"} - {3}, "rows that are not routed are not computed"


@pytest.mark.parametrize(
    ("shared", "own", "slots", "most"),
    [
        (200, 6, 6, 200 + 6 * 6),  # all begin at once: what they share is read once, in a call of its own
        (200, 6, 1, 6 * 206),  # one at a time: none is there whose keys could be copied
        (20, 6, 6, 6 * 26),  # too little is shared for a call of its own
        (0, 30, 6, 6 * 30),
    ],
)
def test_what_prompts_share_the_large_model_reads_once(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, shared: int, own: int, slots: int, most: int
) -> None:
    read: list[int] = []
    forward = pair[1].forward

    def watched(**inputs: Any) -> Any:
        read.append(inputs["input_ids"].numel())
        return forward(**inputs)

    monkeypatch.setattr(pair[1], "forward", watched)
    (stem,) = prompts_of(shared)
    prompts = [[*stem, *prompts_of(own, seed=9 + i)[0]] for i in range(6)]
    requests = asked(prompts, [1] * 6)
    found = answers(decoder(pair, always, slots), requests, prompts)
    assert sum(read) == most
    monkeypatch.undo()
    for i, each in enumerate(found):
        same(each, plain(pair, always, requests[i], prompts[i]))


def late(after: Sequence[int]) -> Rule:
    """A rule that routes each row's token at a position of its own, and every token from there on by threes."""

    def rule(proposals: Proposals) -> torch.Tensor:
        starts = [after[len(row.prompt_ids) % len(after)] for row in proposals.rows]
        at = [len(row.token_ids) for row in proposals.rows]
        return torch.tensor([here >= start and (here - start) % 3 == 0 for here, start in zip(at, starts, strict=True)])

    return rule


@pytest.mark.parametrize("after", [(0,), (0, 7, 13), (1, 20)])
def test_rows_that_lag_by_different_numbers_are_read_without_padding(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, after: Sequence[int]
) -> None:
    """Where most of a padded call were padding, the large model reads what is pending and nothing else."""
    read: list[tuple[int, int]] = []
    forward = pair[1].forward

    def watched(**inputs: Any) -> Any:
        read.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    monkeypatch.setattr(pair[1], "forward", watched)
    prompts = prompts_of(40, 41, 2, 3, 60, 5, 1, 77)
    requests = asked(prompts, [25] * 8)
    found = answers(decoder(pair, late(after), 8), requests, prompts)
    needed = sum(one.large_tokens for one in found)
    assert sum(rows * width for rows, width in read) <= PACKING_PAYS * needed
    assert len(read) <= 25, "one call a step"
    assert any(rows == 1 and width > 60 for rows, width in read), "several in one sequence"
    monkeypatch.undo()
    for i, each in enumerate(found):
        same(each, plain(pair, late(after), requests[i], prompts[i]))


@pytest.mark.parametrize("rule", ["rarely", "half", "entropy"])
def test_rows_that_join_late_begin_with_what_others_hold(pair: tuple[Any, Any], rule: str) -> None:
    """Prompts of one question, of another, and of none, routed one after the other, while rows leave and join."""
    stem, other = prompts_of(120, 90)
    prompts = [
        *([*stem, *prompts_of(3 + i, seed=i)[0]] for i in range(5)),
        *([*stem[:60], *other, *prompts_of(2 + i, seed=20 + i)[0]] for i in range(4)),
        stem,
        stem,
        *prompts_of(5, 17),
    ]
    requests = asked(prompts, [5 + 3 * (i % 4) for i in range(len(prompts))])
    expected = [plain(pair, RULES[rule], *each) for each in zip(requests, prompts, strict=True)]
    for slots in (2, 5, 32):
        for one, other in zip(answers(decoder(pair, RULES[rule], slots), requests, prompts), expected, strict=True):
            same(one, other)


def test_what_is_routed_at_random_depends_on_the_request_alone(pair: tuple[Any, Any]) -> None:
    prompts = prompts_of(5, 11, 3, 8)
    requests = asked(prompts, [15] * 4, temperature=0.7, seed=3)
    together = answers(decoder(pair, RULES["half"], 4), requests, prompts)
    backwards = answers(decoder(pair, RULES["half"], 2), requests[::-1], prompts[::-1])
    for one, other in zip(together, backwards[::-1], strict=True):
        same(one, other)


def test_of_a_greedy_request_neither_seed_nor_sample_decide_the_route() -> None:
    def number(**how: Any) -> float:
        request = GenerationRequest(Prompt("a"), 5, **how)
        return random_number(Row(0, request, [1], detokenizer([1]), None))

    assert number() == number(seed=4) == number(sample=2)
    assert len({number(temperature=1.0, seed=seed, sample=i) for seed in (1, 2) for i in (0, 1)}) == 4


class Scarce:
    """A model's forward pass that runs out of memory at one call."""

    def __init__(self, model: Any, call: int) -> None:
        self.forward, self.call, self.count = model.forward, call, 0

    def __call__(self, **inputs: Any) -> Any:
        self.count += 1
        if self.count == self.call:
            raise torch.OutOfMemoryError("out of memory")
        return self.forward(**inputs)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("call", [1, 2, 5])
def test_out_of_memory_halves_the_slots_and_loses_nothing(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, which: int, call: int
) -> None:
    prompts = prompts_of(*LENGTHS)
    requests = asked(prompts, BUDGETS)
    expected = answers(decoder(pair, RULES["half"], 8), requests, prompts)
    monkeypatch.setattr(pair[which], "forward", Scarce(pair[which], call))
    made = decoder(pair, RULES["half"], 8)
    for one, other in zip(answers(made, requests, prompts), expected, strict=True):
        same(one, other)
    assert made.slots < 8
