"""A request under way: the tokens it has, and the numbers that decide those to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from sqljudge.models.engines.base import Completion, GenerationRequest, draw_key
from sqljudge.models.engines.tokenizer import Detokenizer


@dataclass(slots=True)
class Row:
    """A request under way.

    `uniforms`: the numbers that decide its tokens, None for a greedy one. `routed`: as in `Completion`.
    """

    position: int
    request: GenerationRequest
    prompt_ids: list[int]
    detokenizer: Detokenizer
    uniforms: NDArray[np.float64] | None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str = ""
    routed: list[int] = field(default_factory=list)

    def take(self, token: int, logprob: float, end_ids: frozenset[int]) -> None:
        """Add a token; an end token, a stop mark or the budget finishes the row."""
        self.token_ids.append(token)
        self.logprobs.append(logprob)
        if token in end_ids:
            self.detokenizer.stay()
            self.finish_reason = "stop"
            return
        self.detokenizer.add(token)
        if any(mark in self.detokenizer.text for mark in self.request.stop):
            self.finish_reason = "stop"
        elif len(self.token_ids) >= self.request.max_new_tokens:
            self.finish_reason = "length"

    def completion(self) -> Completion:
        """The finished request's answer.

        A character that the budget cut in two is left out, so that the answer to a smaller budget is a prefix of it.
        """
        if self.finish_reason == "stop":
            self.detokenizer.finish()
        ids, logprobs, ends = tuple(self.token_ids), tuple(self.logprobs), tuple(self.detokenizer.ends)
        text, read, routed = self.detokenizer.text, len(self.prompt_ids), tuple(self.routed)
        return Completion(text, ids, logprobs, ends, self.finish_reason, read, routed)


def distinct_prompts(rows: Sequence[Row]) -> tuple[list[tuple[int, ...]], list[int]]:
    """The distinct prompts of some rows, sorted, and which of them is each row's."""
    prompts = sorted({tuple(row.prompt_ids) for row in rows})
    index = {prompt: i for i, prompt in enumerate(prompts)}
    return prompts, [index[tuple(row.prompt_ids)] for row in rows]


def uniforms(request: GenerationRequest) -> NDArray[np.float64]:
    """The numbers in [0, 1) that decide a sampled request's tokens: a function of its `draw_key` alone.

    The first n are the same whatever the budget.
    """
    key = int.from_bytes(draw_key(request)[:16], "big")
    return np.random.Generator(np.random.Philox(key=key)).random(request.max_new_tokens)


def choose_tokens(logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """The next token of each row [rows]: the likeliest, or the one that the row's number picks from its distribution.

    `logits`: float32 [rows, vocabulary].
    """
    tokens = logits.argmax(-1)
    drawn = [(i, row, row.uniforms[len(row.token_ids)]) for i, row in enumerate(rows) if row.uniforms is not None]
    if drawn:
        where = torch.tensor([i for i, _, _ in drawn], device=logits.device)
        heat = torch.tensor([row.request.temperature for _, row, _ in drawn], device=logits.device)
        numbers = torch.tensor([number for _, _, number in drawn], dtype=torch.float64, device=logits.device)
        tokens[where] = draw_tokens(logits[where], heat, numbers)
    return tokens


def take_tokens(rows: Sequence[Row], logits: torch.Tensor, end_ids: frozenset[int]) -> None:
    """Give each row its next token with its log-probability. `logits`: float32 [rows, vocabulary]."""
    tokens = choose_tokens(logits, rows)
    logprobs = logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
    for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
        row.take(token, logprob, end_ids)


def draw_tokens(logits: torch.Tensor, heat: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The token of each row [rows] whose part of the cumulative distribution of softmax(logits / heat) a number hits.

    `logits`: float32 [rows, vocabulary]; `heat`: temperatures, `numbers`: in [0, 1), float64, both [rows].
    """
    weights = (logits / heat[:, None]).softmax(-1).double().cumsum(-1)
    found = torch.searchsorted(weights, numbers[:, None] * weights[:, -1:], right=True)[:, 0]
    return found.clamp(max=logits.shape[-1] - 1)
