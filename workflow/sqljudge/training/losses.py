"""Losses of the offline methods, on tensors alone. Knows no model and no trainer."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def token_logprobs(logits: Tensor, ids: Tensor) -> Tensor:
    """The natural-log probability of each token after the first, float [rows, length - 1].

    `logits`: [rows, length, vocabulary], of the next token at each position. `ids`: [rows, length].
    """
    return logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)


def sft(logprobs: Tensor, mask: Tensor) -> Tensor:
    """The mean negative log-probability of all response tokens of a batch. `mask`: 1 for those, else 0."""
    return -(logprobs * mask).sum() / mask.sum().clamp(min=1)


def mean_logprobs(logprobs: Tensor, mask: Tensor) -> Tensor:
    """log pi(y | x) / |y| of each row: prompt and padding count neither in the sum nor in the length."""
    return (logprobs * mask).sum(-1) / mask.sum(-1).clamp(min=1)


def redi(right: Tensor, wrong: Tensor, alpha: float = 0.8) -> Tensor:
    """REDI's second stage (arXiv 2505.24850): -log pi(y_w) / |y_w| + alpha log pi(y_l) / |y_l|, the mean over pairs.

    `right`, `wrong`: `mean_logprobs` of a pair's traces. It has no lower bound: watch both.
    """
    return (alpha * wrong - right).mean()


def margins(scores: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
    """s+ - s- of every pair of a right and a wrong candidate of one question; empty where there is no such pair."""
    pairs = (groups[:, None] == groups[None, :]) & (labels[:, None] == 1) & (labels[None, :] == 0)
    return (scores[:, None] - scores[None, :])[pairs]


def verdict(logits: Tensor, words: tuple[int, int], labels: Tensor, groups: Tensor, weight: float = 1.0) -> Tensor:
    """Cross-entropy of the verdict token, and the softplus of the margins: PwAcc's surrogate.

    `logits`: [candidates, vocabulary] where the verdict is to stand. `words`: the tokens of true and of false.
    `labels`: 1 for a right candidate, else 0. `groups`: the question of each. `weight`: of the margins. The score of a
    candidate is the difference of the two tokens' logits.
    """
    true, false = words
    wanted = torch.where(labels == 1, true, false)
    loss = functional.cross_entropy(logits.float(), wanted)
    found = margins(logits[:, true].float() - logits[:, false].float(), labels, groups)
    return loss + weight * functional.softplus(-found).mean() if len(found) else loss
