"""Token routing (R2R, arXiv 2505.21600): a small model proposes each token, and a rule says where a large one gives it.

A batch whose rows two models read: the small one every token, the large one what is pending when it is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch

from sqljudge.models.engines.base import GenerationRequest, Prompt
from sqljudge.models.engines.batching import Batch, Decoder
from sqljudge.models.engines.lagging import LaggingModel
from sqljudge.models.engines.router import Router, features
from sqljudge.models.engines.rows import Row, choose_tokens, distinct_prompts
from sqljudge.models.engines.tokenizer import Detokenizer


@dataclass(frozen=True, slots=True)
class Proposals:
    """What the small model says of the next token of each row.

    `logits`: float32 [rows, vocabulary]; `hidden`: the last hidden states, which the output layer reads, [rows, width];
    `tokens`: what it would take, [rows].
    """

    rows: Sequence[Row]
    logits: torch.Tensor
    hidden: torch.Tensor
    tokens: torch.Tensor


Rule = Callable[[Proposals], torch.Tensor]
"""Which rows' next tokens the large model gives: boolean [rows]."""


def always(proposals: Proposals) -> torch.Tensor:
    """Every token is the large model's."""
    return torch.ones_like(proposals.tokens, dtype=torch.bool)


def never(proposals: Proposals) -> torch.Tensor:
    """Every token is the small model's."""
    return torch.zeros_like(proposals.tokens, dtype=torch.bool)


def by_entropy(threshold: float) -> Rule:
    """The large model gives a token where the small one's distribution has at least so much entropy, in nats."""

    def rule(proposals: Proposals) -> torch.Tensor:
        logprobs = proposals.logits.log_softmax(-1)
        return -(logprobs.exp() * logprobs).nan_to_num().sum(-1) >= threshold

    return rule


def at_random(share: float) -> Rule:
    """The large model gives this share of tokens, drawn by the request and the token's position alone."""

    def rule(proposals: Proposals) -> torch.Tensor:
        drawn = [random_number(row) < share for row in proposals.rows]
        return torch.tensor(drawn, device=proposals.tokens.device)

    return rule


def by_router(router: Router, threshold: float, embeddings: Any) -> Rule:
    """The large model gives a token where the router's probability reaches a threshold."""

    def rule(proposals: Proposals) -> torch.Tensor:
        given = features(proposals.logits, proposals.hidden, proposals.tokens, embeddings, router.top)
        odds: torch.Tensor = router(*given)
        return odds.sigmoid() >= threshold

    return rule


def random_number(row: Row) -> float:
    """The number in [0, 1) that decides who gives a row's next token under `at_random`.

    It is independent of the number that decides a sampled token. Of a greedy request neither seed nor sample counts.
    """
    seed, sample = (row.request.seed, row.request.sample) if row.request.temperature > 0 else (0, 0)
    digest = hashlib.sha256(f"route/{seed}/{sample}/{list(row.prompt_ids)}".encode()).digest()
    philox = np.random.Philox(key=int.from_bytes(digest[:16], "big"), counter=len(row.token_ids))
    return float(np.random.Generator(philox).random())


def read_row(prompt_ids: Sequence[int]) -> Row:
    """A row whose one next token's probabilities are wanted."""
    return Row(0, GenerationRequest(Prompt(""), 1), list(prompt_ids), Detokenizer(lambda _: ""), None)


@contextmanager
def last_hidden(model: Any) -> Iterator[list[torch.Tensor]]:
    """What the model's output layer is given while this lasts, a tensor [positions, width] a call."""
    seen: list[torch.Tensor] = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, 1)))
    try:
        yield seen
    finally:
        hook.remove()


class RoutedBatch(Batch):
    """The rows under way of a small model, beside a large one that gives some of their tokens.

    A step is one call of the small model and at most one of the large one. `vocabulary`: tokens that both models have;
    None where their vocabularies are equally large.
    """

    def __init__(
        self,
        small: Any,
        large: LaggingModel,
        rule: Rule,
        vocabulary: int | None,
        end_ids: frozenset[int],
        pad_id: int,
    ) -> None:
        super().__init__(small, end_ids, pad_id)
        self.large, self.rule, self.vocabulary = large, rule, vocabulary
        self._hidden: list[torch.Tensor] = []

    def advance(self, joining: list[Row]) -> None:
        """Let rows in and take their first tokens, or take one more token for every row."""
        with last_hidden(self.model) as self._hidden:
            super().advance(joining)

    def _take(self, rows: list[Row], logits: torch.Tensor) -> None:
        logits, hidden = logits[:, : self.vocabulary], torch.cat(self._hidden)
        if len(rows[0].token_ids) == 0:  # rows that join: a prompt that several share was computed once
            hidden = hidden[distinct_prompts(rows)[1]]
        routed = self.rule(Proposals(rows, logits, hidden, choose_tokens(logits, rows)))
        where = routed.nonzero()[:, 0]
        chosen = where.tolist()
        if chosen:
            logits = logits.clone()
            logits[where] = self.large.next_logits([rows[i] for i in chosen])[:, : self.vocabulary].to(logits.device)
            for i in chosen:
                rows[i].routed.append(len(rows[i].token_ids))
        super()._take(rows, logits)

    def leave(self) -> list[Row]:
        """Take the finished rows out."""
        finished = super().leave()
        self.large.forget(finished)
        return finished


@dataclass
class RoutedDecoder(Decoder):
    """Runs requests through two models; `rule` says which gives a token. `model` is the small one.

    `vocabulary`: as in `RoutedBatch`.
    """

    _: KW_ONLY
    large: Any
    rule: Rule
    vocabulary: int | None = None

    def _new_batch(self, longest: int, budget: int) -> Batch:
        large = LaggingModel(self.large, self.pad_id)
        return RoutedBatch(self.model, large, self.rule, self.vocabulary, self.end_ids, self.pad_id)
