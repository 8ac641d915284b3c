"""Rows come, stay in their places and go, and the keys and values of those that stay are theirs."""

from __future__ import annotations

import random

import pytest
import torch
from sqljudge.models.engines.cache import GrowingLayer, filled_gaps


@pytest.mark.parametrize(
    ("staying", "order"),
    [([0, 1, 2], [0, 1, 2]), ([1, 2], [2, 1]), ([0, 3, 5], [0, 5, 3]), ([4], [4]), ([0, 1], [0, 1]), ([], [])],
)
def test_the_last_rows_take_the_places_of_those_that_leave(staying: list[int], order: list[int]) -> None:
    assert filled_gaps(staying) == order


@pytest.mark.parametrize("seed", range(5))
def test_a_layer_holds_what_a_list_of_rows_would(seed: int) -> None:
    """Random steps, leavings with positions cut off, and growth, against plain tensors."""
    drawn, numbers = random.Random(seed), torch.Generator().manual_seed(seed)

    def new(rows: int, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = (torch.randn(rows, 2, positions, 3, generator=numbers) for _ in range(2))
        return keys, values

    layer, plain = GrowingLayer(), new(9, 5)
    layer.update(*plain)
    while len(plain[0]) > 1:
        for _ in range(drawn.choice([1, 5, 80])):
            step = new(len(plain[0]), 1)
            given = layer.update(*step)
            plain = tuple(torch.cat([old, one], dim=2) for old, one in zip(plain, step, strict=True))
            assert all(torch.equal(one, other) for one, other in zip(given, plain, strict=True))
        staying = sorted(drawn.sample(range(len(plain[0])), drawn.randint(1, len(plain[0]) - 1)))
        order, drop = filled_gaps(staying), drawn.choice([0, 2])
        layer.leave(order, drop)
        plain = tuple(each[order, :, drop:] for each in plain)
        assert torch.equal(layer.keys, plain[0])
        assert torch.equal(layer.values, plain[1])
