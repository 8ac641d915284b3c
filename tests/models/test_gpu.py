"""What only a GPU shows: steps as CUDA graphs give the tokens that a CPU gives. Skipped where there is no GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import tiny_model
from sqljudge.models.engines.base import Completion, GenerationRequest
from sqljudge.models.engines.batching import Decoder
from sqljudge.models.engines.prefill import prefill
from sqljudge.models.engines.tokenizer import Detokenizer
from test_batching import asked, decode, prompts_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
TOLERANCE = 1e-3


def decoder(model: Any, slots: int, **how: Any) -> Decoder:
    return Decoder(
        model,
        end_ids=frozenset({7}),
        pad_id=0,
        slots=slots,
        new_detokenizer=lambda context: Detokenizer(decode, context),
        **how,
    )


def answers(made: Decoder, requests: list[GenerationRequest], prompts: list[list[int]]) -> list[Completion]:
    found = dict(made.run(requests, prompts))
    return [found[i] for i in range(len(requests))]


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("slots", [8, 40])
def test_graphs_give_the_tokens_of_a_cpu(kind: str, temperature: float, slots: int) -> None:
    prompts = prompts_of(*(3 + 11 * i % 90 for i in range(60)))
    requests = asked(prompts, [4 + 7 * i % 60 for i in range(60)], temperature=temperature, seed=3)
    expected = answers(decoder(tiny_model(kind), 16), requests, prompts)
    made = decoder(tiny_model(kind).to("cuda"), slots, fixed=True)
    for _ in range(2):  # the second time with the graphs of the first
        for one, other in zip(answers(made, requests, prompts), expected, strict=True):
            assert (one.token_ids, one.finish_reason) == (other.token_ids, other.finish_reason)
            assert one.logprobs == pytest.approx(other.logprobs, abs=TOLERANCE)
    assert made._held is not None
    assert made._held.graphs, "steps were captured"


@pytest.mark.parametrize("shared", [0, 40])
def test_prompts_give_the_logits_of_a_cpu(shared: int) -> None:
    model = tiny_model("qwen2")
    (head,) = prompts_of(shared) if shared else ([],)
    prompts = sorted(tuple(head + tail) for tail in prompts_of(5, 9, 2, 7, 7, seed=4))
    with torch.inference_mode():
        expected = prefill(model, prompts, 0, keep=False).logits
        found = prefill(model.to("cuda"), prompts, 0, keep=False).logits
    assert torch.allclose(found.cpu(), expected, atol=TOLERANCE)
