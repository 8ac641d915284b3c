"""Losses of the offline methods, against plain arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from sqljudge.training import losses

LOGITS = torch.tensor(
    [[[0.0, 1.0, 2.0], [0.5, 0.0, 0.0], [9.0, 9.0, 9.0]], [[1.0, 1.0, 1.0], [3.0, 0.0, 0.0], [0, 0, 0]]]
)
IDS = torch.tensor([[0, 2, 1], [1, 0, 2]])


def log_softmax(values: list[float], place: int) -> float:
    return values[place] - math.log(sum(map(math.exp, values)))


def test_logprobs_are_of_the_next_token() -> None:
    expected = [
        [log_softmax([0, 1, 2], 2), log_softmax([0.5, 0, 0], 1)],
        [log_softmax([1, 1, 1], 0), log_softmax([3, 0, 0], 2)],
    ]
    assert torch.allclose(losses.token_logprobs(LOGITS, IDS), torch.tensor(expected))


def test_prompt_and_padding_do_not_count() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, -4.0], [-8.0, -16.0, -32.0]])
    mask = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    assert losses.sft(logprobs, mask).item() == pytest.approx((2 + 4 + 8) / 3)
    assert losses.mean_logprobs(logprobs, mask).tolist() == [-3.0, -8.0]


def test_redi_pulls_right_traces_up_and_pushes_wrong_ones_down_by_alpha() -> None:
    right, wrong = torch.tensor([-1.0, -3.0], requires_grad=True), torch.tensor([-2.0, -2.0], requires_grad=True)
    loss = losses.redi(right, wrong, 0.8)
    assert loss.item() == pytest.approx(2.0 - 0.8 * 2.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert right.grad is not None
    assert wrong.grad is not None
    assert right.grad.tolist() == pytest.approx([-0.5, -0.5])
    assert wrong.grad.tolist() == pytest.approx([0.4, 0.4])


def test_margins_are_of_right_and_wrong_candidates_of_one_question() -> None:
    scores = torch.tensor([3.0, 1.0, 2.0, 7.0, 5.0])
    labels, groups = torch.tensor([1, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 1])
    assert losses.margins(scores, labels, groups).tolist() == [2.0, 1.0]


def test_the_verdict_loss_is_cross_entropy_and_the_margins_softplus() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0]])
    labels, groups = torch.tensor([1, 0]), torch.tensor([4, 4])
    entropy = -(log_softmax([2, 1, 0], 0) + log_softmax([0, 1, 3], 1)) / 2
    margin = (2 - 1) - (0 - 1)
    found = losses.verdict(logits, (0, 1), labels, groups, weight=0.5)
    assert found.item() == pytest.approx(entropy + 0.5 * math.log1p(math.exp(-margin)))


def test_without_a_pair_the_verdict_loss_is_cross_entropy() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    apart = losses.verdict(logits, (0, 1), torch.tensor([1, 0]), torch.tensor([1, 2]))
    alike = losses.verdict(logits, (0, 1), torch.tensor([1, 0]), torch.tensor([1, 1]), weight=0.0)
    assert apart.item() == pytest.approx(alike.item())
