"""A running batch gives each request what it would get alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from sqljudge.core.errors import ModelError
from sqljudge.models.engines import slots as slots_module
from sqljudge.models.engines.base import Completion, GenerationRequest, Prompt
from sqljudge.models.engines.batching import Decoder, fits, halved
from sqljudge.models.engines.cache import GROWTH
from sqljudge.models.engines.rows import choose_tokens, uniforms
from sqljudge.models.engines.tokenizer import Detokenizer

VOCABULARY = 61
TOLERANCE = 1e-3


def decode(ids: Sequence[int]) -> str:
    """One letter a token."""
    return "".join(chr(0x4E00 + i) for i in ids)


FIXED = {"slots": False}
"""Whether requests have fixed slots, as on a GPU."""


@pytest.fixture(autouse=True, params=[False, True], ids=["growing", "fixed"])
def fixed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Every test of this file is run with both kinds of batch."""
    monkeypatch.setitem(FIXED, "slots", request.param)
    return bool(request.param)


def decoder(model: Any, slots: int, end_ids: frozenset[int] = frozenset(), **how: Any) -> Decoder:
    how = {"new_detokenizer": lambda context: Detokenizer(decode, context), **how}
    return Decoder(model, end_ids=end_ids, pad_id=0, slots=slots, fixed=FIXED["slots"], **how)


def prompts_of(*lengths: int, seed: int = 1) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


def asked(prompts: Sequence[list[int]], budgets: int | Sequence[int] = 12, **how: Any) -> list[GenerationRequest]:
    each = [budgets] * len(prompts) if isinstance(budgets, int) else budgets
    return [GenerationRequest(Prompt(decode(ids)), budget, **how) for ids, budget in zip(prompts, each, strict=True)]


def answers(made: Decoder, requests: Sequence[GenerationRequest], prompts: Sequence[list[int]]) -> list[Completion]:
    found = dict(made.run(requests, prompts))
    assert sorted(found) == list(range(len(requests))), "every request is answered once"
    return [found[i] for i in range(len(requests))]


def plain(model: Any, ids: list[int], budget: int, end_ids: frozenset[int] = frozenset()) -> tuple[list[int], Any]:
    """What plain `generate` says to one prompt: tokens and their log-probabilities."""
    with torch.inference_mode():
        out = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            do_sample=False,
            max_new_tokens=budget,
            output_logits=True,
            return_dict_in_generate=True,
            eos_token_id=sorted(end_ids) or None,
            pad_token_id=0,
        )
    tokens = out.sequences[0, len(ids) :].tolist()
    logprobs = torch.stack(out.logits)[:, 0].float().log_softmax(-1)
    return tokens, [float(logprobs[step, token]) for step, token in enumerate(tokens)]


def same(one: Completion, other: Completion) -> None:
    assert (one.token_ids, one.text, one.token_ends) == (other.token_ids, other.text, other.token_ends)
    assert (one.finish_reason, one.prompt_tokens) == (other.finish_reason, other.prompt_tokens)
    assert one.logprobs == pytest.approx(other.logprobs, abs=TOLERANCE)


LENGTHS = (5, 1, 17, 9, 9, 2, 30, 3, 12, 7)
BUDGETS = (12, 30, 3, 20, 1, 9, 25, 2, 14, 8)


@pytest.mark.parametrize("slots", [1, 3, 32])
@pytest.mark.parametrize("shuffled", [False, True])
def test_greedy_equals_plain_generate(tiny: Any, slots: int, shuffled: bool) -> None:
    prompts = prompts_of(*LENGTHS)
    requests = asked(prompts, BUDGETS)
    order = list(range(len(requests)))
    if shuffled:
        random.Random(slots).shuffle(order)
    found = answers(decoder(tiny, slots), [requests[i] for i in order], [prompts[i] for i in order])
    for i, completion in zip(order, found, strict=True):
        tokens, logprobs = plain(tiny, prompts[i], BUDGETS[i])
        assert list(completion.token_ids) == tokens
        assert list(completion.logprobs) == pytest.approx(logprobs, abs=TOLERANCE)
        assert completion.text == decode(tokens)
        assert completion.token_ends == tuple(range(1, len(tokens) + 1))
        assert (completion.finish_reason, completion.prompt_tokens) == ("length", LENGTHS[i])


@pytest.mark.parametrize("slots", [1, 3])
def test_long_responses_outgrow_their_buffers(tiny: Any, slots: int) -> None:
    prompts = prompts_of(5, 40, 2)
    budgets = [4 * GROWTH, 20, 3 * GROWTH]
    found = answers(decoder(tiny, slots), asked(prompts, budgets), prompts)
    for ids, budget, completion in zip(prompts, budgets, found, strict=True):
        tokens, logprobs = plain(tiny, ids, budget)
        assert list(completion.token_ids) == tokens
        assert list(completion.logprobs) == pytest.approx(logprobs, abs=TOLERANCE)


def test_the_tiny_models_say_varied_things(tiny: Any) -> None:
    """Otherwise the comparisons above would prove little."""
    said = [tuple(plain(tiny, ids, 12)[0]) for ids in prompts_of(*LENGTHS)]
    assert len(set(said)) == len(said)
    assert all(len(set(tokens)) > 2 for tokens in said)


def test_finished_rows_leave_and_others_take_their_places(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "FEWEST", 1)
    made, widths = decoder(tiny, 3), []
    forward = made.model.forward

    def watched(**inputs: Any) -> torch.Tensor:
        widths.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    monkeypatch.setattr(made.model, "forward", watched)
    prompts = prompts_of(4, 4, 4, 4, 4)
    answers(made, asked(prompts, [2, 6, 6, 9, 2]), prompts)
    assert all(rows <= 3 for rows, _ in widths)
    assert sum(width > 1 for _, width in widths) > 1, "more than one prefill: the batch was refilled"
    assert widths[-1][0] < 3, "finished rows were dropped"
    assert len(widths) <= 15, "requests ran side by side: one after another they take 25 passes"


def test_identical_prompts_are_prefilled_once(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, prefills = decoder(tiny, 8), []
    forward = made.model.forward

    def watched(**inputs: Any) -> torch.Tensor:
        if inputs["input_ids"].shape[1] > 1:
            prefills.append(inputs["input_ids"].shape[0])
        return forward(**inputs)

    monkeypatch.setattr(made.model, "forward", watched)
    one, two = prompts_of(6, 9)
    requests = [
        GenerationRequest(Prompt(decode(ids)), 10, temperature=1.0, seed=5, sample=i)
        for ids in (one, two)
        for i in range(3)
    ]
    found = answers(made, requests, [one] * 3 + [two] * 3)
    assert prefills == [2]
    assert len({completion.token_ids for completion in found}) == 6
    for request, ids, completion in zip(requests, [one] * 3 + [two] * 3, found, strict=True):
        same(completion, answers(decoder(tiny, 1), [request], [ids])[0])


def test_a_sample_depends_on_seed_prompt_and_index_alone(tiny: Any) -> None:
    prompts = prompts_of(5, 11, 3, 8)
    requests = asked(prompts, 15, temperature=0.7, seed=3)
    together = answers(decoder(tiny, 3), requests, prompts)
    for request, ids, completion in zip(requests, prompts, together, strict=True):
        same(completion, answers(decoder(tiny, 1), [request], [ids])[0])
    backwards = answers(decoder(tiny, 4), requests[::-1], prompts[::-1])
    for one, other in zip(together, backwards[::-1], strict=True):
        same(one, other)


@pytest.mark.parametrize("change", [{"seed": 4}, {"sample": 1}])
def test_another_seed_or_index_is_another_sample(tiny: Any, change: dict[str, int]) -> None:
    prompts = prompts_of(5)
    (request,) = asked(prompts, 15, temperature=1.0, seed=3)
    one, other = (answers(decoder(tiny, 1), [r], prompts)[0] for r in (request, replace(request, **change)))
    assert one.token_ids != other.token_ids


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_smaller_budget_gives_a_prefix(tiny: Any, temperature: float) -> None:
    prompts = prompts_of(6)
    (request,) = asked(prompts, 20, temperature=temperature, seed=9)
    (long,) = answers(decoder(tiny, 1), [request], prompts)
    for budget in (1, 2, 7, 19):
        (short,) = answers(decoder(tiny, 1), [replace(request, max_new_tokens=budget)], prompts)
        same(short, long.cut(budget))


def test_a_prefix_holds_where_the_budget_splits_a_character(tiny: Any) -> None:
    def two_tokens_a_letter(ids: Sequence[int]) -> str:
        return bytes(b for i in ids for b in ([0xC3] if i % 2 else [0xA0])).decode("utf-8", "replace")

    made = decoder(tiny, 1, new_detokenizer=lambda _: Detokenizer(two_tokens_a_letter))
    prompts = prompts_of(6)
    (long,) = answers(made, asked(prompts, 20), prompts)
    for budget in range(1, 20):
        (short,) = answers(made, asked(prompts, budget), prompts)
        same(short, long.cut(budget))
        assert short.token_ends[-1] == len(short.text)


def test_budget_1(tiny: Any) -> None:
    prompts = prompts_of(3, 8)
    found = answers(decoder(tiny, 2), asked(prompts, 1), prompts)
    assert [len(completion.token_ids) for completion in found] == [1, 1]
    assert {completion.finish_reason for completion in found} == {"length"}


def test_end_tokens_end_a_response_and_have_no_text(tiny: Any) -> None:
    prompts = prompts_of(*LENGTHS)
    said = [plain(tiny, ids, 20)[0] for ids in prompts]
    tokens_of_some = [t for t in said[0] if not all(t in tokens for tokens in said)]
    end_ids = frozenset({tokens_of_some[0]})
    found = answers(decoder(tiny, 4, end_ids), asked(prompts, 20), prompts)
    reasons = set()
    for ids, completion in zip(prompts, found, strict=True):
        tokens, logprobs = plain(tiny, ids, 20, end_ids)
        assert list(completion.token_ids) == tokens
        assert list(completion.logprobs) == pytest.approx(logprobs, abs=TOLERANCE)
        ended = tokens[-1] in end_ids
        assert completion.finish_reason == ("stop" if ended else "length")
        assert completion.text == decode(tokens[:-1] if ended else tokens)
        assert completion.token_ends[-1] == len(completion.text)
        assert len(completion.token_ends) == len(tokens)
        reasons.add(completion.finish_reason)
    assert reasons == {"stop", "length"}


def test_an_end_token_shows_what_was_left_of_a_character(tiny: Any) -> None:
    prompts = prompts_of(6)
    (first, end, *_) = plain(tiny, prompts[0], 5)[0]
    assert first != end
    broken = b"\xf0".decode("utf-8", "replace")
    made = decoder(tiny, 1, frozenset({end}), new_detokenizer=lambda _: Detokenizer(lambda ids: broken * bool(ids)))
    (completion,) = answers(made, asked(prompts, 5), prompts)
    assert (completion.text, completion.token_ends, completion.finish_reason) == ("\ufffd", (0, 1), "stop")


def test_stop_strings_end_a_response_and_stay_in_it(tiny: Any) -> None:
    prompts = prompts_of(5, 9)
    tokens = plain(tiny, prompts[0], 20)[0]
    mark = decode(tokens[3:6])
    found = answers(decoder(tiny, 2), asked(prompts, 20, stop=("never", mark)), prompts)
    assert (found[0].finish_reason, list(found[0].token_ids)) == ("stop", tokens[:6])
    assert found[0].text.endswith(mark)
    assert (found[1].finish_reason, len(found[1].token_ids)) == ("length", 20)


def test_a_stop_string_on_the_last_token_is_a_stop(tiny: Any) -> None:
    prompts = prompts_of(5)
    tokens = plain(tiny, prompts[0], 4)[0]
    (completion,) = answers(decoder(tiny, 1), asked(prompts, 4, stop=(decode(tokens[3:]),)), prompts)
    assert completion.finish_reason == "stop"


class Scarce:
    """Raises an error at the chosen calls of a model's forward pass, or whenever there are too many rows."""

    def __init__(self, made: Decoder, error: Exception, *, calls: Sequence[int] = (), most: int = 99) -> None:
        self.made, self.error, self.calls, self.most = made, error, calls, most
        self.forward, self.count = made.model.forward, 0

    def __call__(self, **inputs: Any) -> torch.Tensor:
        self.count += 1
        if self.count in self.calls or inputs["input_ids"].shape[0] > self.most:
            raise self.error
        return self.forward(**inputs)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("call", [1, 2, 5])
def test_out_of_memory_halves_the_slots_and_loses_nothing(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, call: int
) -> None:
    prompts = prompts_of(*LENGTHS)
    requests = asked(prompts, BUDGETS, temperature=0.5, seed=2)
    expected = answers(decoder(tiny, 8), requests, prompts)
    made = decoder(tiny, 8)
    monkeypatch.setattr(made.model, "forward", Scarce(made, error, calls=[call]))
    for one, other in zip(answers(made, requests, prompts), expected, strict=True):
        same(one, other)
    assert made.slots == (4 if call == 1 else 3), "half of the rows that were under way"


def test_memory_for_one_row_is_enough(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = prompts_of(*LENGTHS)
    made = decoder(tiny, 32)
    monkeypatch.setattr(made.model, "forward", Scarce(made, OUT_OF_MEMORY[0], most=1))
    for one, other in zip(
        answers(made, asked(prompts), prompts), answers(decoder(tiny, 4), asked(prompts), prompts), strict=True
    ):
        same(one, other)
    assert made.slots == 1


def test_too_little_memory_for_one_row_says_so(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = prompts_of(3, 4)
    made = decoder(tiny, 2)
    monkeypatch.setattr(made.model, "forward", Scarce(made, OUT_OF_MEMORY[0], most=0))
    with pytest.raises(ModelError, match="out of memory with one request"):
        answers(made, asked(prompts), prompts)


def test_other_errors_are_not_taken_for_memory(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = prompts_of(3, 4)
    made = decoder(tiny, 2)
    monkeypatch.setattr(made.model, "forward", Scarce(made, RuntimeError("shapes differ"), calls=[2]))
    with pytest.raises(RuntimeError, match="shapes differ"):
        answers(made, asked(prompts), prompts)


@pytest.mark.parametrize(("used", "allowed", "next_"), [(8, 8, 4), (3, 8, 1), (1, 8, 1), (2, 2, 1)])
def test_halved(used: int, allowed: int, next_: int) -> None:
    assert halved(used, allowed) == next_


def test_fits_passes_arguments_on() -> None:
    seen: list[int] = []
    assert fits(seen.append, 3)
    assert seen == [3]


def test_uniforms_are_a_prefix_of_longer_ones_and_differ_between_requests() -> None:
    request = GenerationRequest(Prompt("x"), 50, temperature=1.0, seed=1)
    drawn = uniforms(request)
    assert ((drawn >= 0) & (drawn < 1)).all()
    assert (uniforms(replace(request, max_new_tokens=7)) == drawn[:7]).all()
    others = [replace(request, seed=2), replace(request, sample=1), replace(request, prompt=Prompt("y"))]
    assert all((uniforms(other) != drawn).all() for other in others)


def test_sampling_follows_the_distribution(tiny: Any) -> None:
    """Over evenly spread numbers, each token is chosen as often as its probability says."""
    logits = torch.log(torch.tensor([0.5, 0.25, 0.125, 0.125]))
    (made,) = [decoder(tiny, 1)]
    draws = 1000
    rows = []
    for i in range(draws):
        row = made._row(0, GenerationRequest(Prompt(""), 1, temperature=1.0), [1])
        row.uniforms = torch.tensor([(i + 0.5) / draws]).double().numpy()
        rows.append(row)
    tokens = choose_tokens(logits.expand(draws, -1), rows)
    assert tokens.bincount(minlength=4).tolist() == pytest.approx([500, 250, 125, 125], abs=1)
    for row in rows:
        row.request = replace(row.request, temperature=0.5)
    sharper = choose_tokens(logits.expand(draws, -1), rows).bincount(minlength=4)
    assert float(sharper[0]) / draws == pytest.approx(0.5**2 / (0.5**2 + 0.25**2 + 2 * 0.125**2), abs=0.002)


def test_sampling_and_greedy_share_a_batch(tiny: Any) -> None:
    prompts = prompts_of(5, 5, 7)
    requests = [
        *asked(prompts[:1]),
        *asked(prompts[1:2], temperature=1.5, seed=1),
        *asked(prompts[2:]),
    ]
    for i, completion in enumerate(answers(decoder(tiny, 3), requests, prompts)):
        same(completion, answers(decoder(tiny, 1), [requests[i]], [prompts[i]])[0])


def test_no_requests(tiny: Any) -> None:
    assert list(decoder(tiny, 3).run([], [])) == []


def sliding_model() -> Any:
    """A model whose layers attend to the last few positions only: its cache is the library's own."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=8,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    return MistralForCausalLM(config).eval()


@pytest.mark.parametrize("slots", [1, 3, 32])
def test_models_with_a_sliding_window(slots: int) -> None:
    model = sliding_model()
    prompts = prompts_of(*LENGTHS)
    made = decoder(model, slots)
    assert not made.refill
    for completion, ids, budget in zip(answers(made, asked(prompts, BUDGETS), prompts), prompts, BUDGETS, strict=True):
        tokens, logprobs = plain(model, ids, budget)
        assert list(completion.token_ids) == tokens
        assert list(completion.logprobs) == pytest.approx(logprobs, abs=TOLERANCE)


@pytest.mark.model
def test_the_embedded_model_equals_plain_generate(embedded: Any) -> None:
    texts = ["SELECT", "One, two, three,", "The capital of France is Paris. The capital of Italy is", "A" * 40]
    prompts = [embedded.encode(Prompt(text)) for text in texts]
    end_ids = embedded._end_ids()
    expected = [plain(embedded.model, ids, 8, end_ids) for ids in prompts]
    for slots in (1, 3):
        made = Decoder(
            embedded.model,
            end_ids=end_ids,
            pad_id=embedded._pad_id(),
            slots=slots,
            new_detokenizer=lambda context: Detokenizer(embedded.decode, context),
        )
        requests = [GenerationRequest(Prompt(text), 8) for text in texts]
        found = answers(made, requests, prompts)
        for completion, ids, (tokens, logprobs) in zip(found, prompts, expected, strict=True):
            assert list(completion.token_ids) == tokens
            assert list(completion.logprobs) == pytest.approx(logprobs, abs=TOLERANCE)
            assert embedded.decode([*ids, *tokens]) == embedded.decode(ids) + completion.text
