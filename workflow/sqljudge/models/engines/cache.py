"""The keys and values of a running batch: a cache whose rows can come and go. Knows tensors alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

GROWTH = 64
"""Positions of spare room that a buffer of keys or values gets when it must grow."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in buffers with spare room: a step writes one position and copies nothing.

    `keys` and `values` are views [rows, heads, positions, head size] of the filled part of the buffers: of their first
    rows, and of the positions from `_start` on.
    """

    _buffers: Sequence[torch.Tensor] = ()
    _start = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new positions and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        states = (key_states, value_states)
        held = (self.keys, self.values) if self._buffers else ()
        rows, filled = len(key_states), int(held[0].shape[-2]) if held else 0
        length = filled + key_states.shape[-2]
        if not held or self._buffers[0].shape[-2] < self._start + length:
            room, self._start = length + max(GROWTH, length // 4), 0
            self._buffers = [new.new_zeros((*new.shape[:2], room, new.shape[-1])) for new in states]
            for buffer, old in zip(self._buffers, held, strict=False):
                buffer[:, :, :filled] = old
        end = self._start + length
        for buffer, new in zip(self._buffers, states, strict=True):
            buffer[:rows, :, end - new.shape[-2] : end] = new
        self._show(rows, end)
        return self.keys, self.values

    def _show(self, rows: int, end: int) -> None:
        self.keys, self.values = (buffer[:rows, :, self._start : end] for buffer in self._buffers)

    def leave(self, order: Sequence[int], drop: int) -> None:
        """Keep rows in an order of `filled_gaps`, and cut `drop` positions off the left; what stays is not copied."""
        end = self._start + int(self.keys.shape[-2])
        if moved := [(to, row) for to, row in enumerate(order) if to != row]:
            places, rows = (list(each) for each in zip(*moved, strict=True))
            for held in (self.keys, self.values):
                held[places] = held[rows]
        self._start += drop
        self._show(len(order), end)

    def replace(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Put other tensors in place of what is held."""
        self._buffers, self._start = (), 0
        self.is_initialized = False
        self.update(keys, values)


def new_cache(model: Any) -> DynamicCache:
    """An empty cache for a model; layers that do not attend to everything before them keep the library's own class."""
    cache = DynamicCache(config=model.config)
    if all(type(layer) is DynamicLayer for layer in cache.layers):
        cache.layers = [GrowingLayer() for _ in cache.layers]
    return cache


def all_growing(cache: DynamicCache) -> bool:
    """Whether every layer attends to everything before it, so that rows may leave, join and share."""
    return all(isinstance(layer, GrowingLayer) for layer in cache.layers)


def filled_gaps(staying: Sequence[int]) -> list[int]:
    """Rows that stay, each in its own place, but for the last ones, which take the places of those that leave."""
    count = len(staying)
    last = [row for row in staying if row >= count]
    own = {row for row in staying if row < count}
    return [place if place in own else last.pop() for place in range(count)]


def keep_rows(cache: DynamicCache, order: Sequence[int], drop: int) -> None:
    """Keep rows in an order of `filled_gaps`, and cut `drop` positions of padding off the left."""
    for layer in cache.layers:
        if isinstance(layer, GrowingLayer):
            layer.leave(order, drop)
        else:
            layer.keys, layer.values = (each[order, :, drop:].contiguous() for each in (layer.keys, layer.values))


def repeat_rows(cache: DynamicCache, rows: torch.Tensor) -> None:
    """Make a row of each that is named, however often it is."""
    for layer in cache.layers:
        keys, values = layer.keys[rows], layer.values[rows]
        if isinstance(layer, GrowingLayer):
            layer.replace(keys, values)
        else:
            layer.keys, layer.values = keys, values


def join(first: DynamicCache, second: DynamicCache) -> None:
    """Append the rows of the second cache, of growing layers, to the first, padding the shorter one on the left."""
    for one, two in zip(first.layers, second.layers, strict=True):
        length = max(one.keys.shape[-2], two.keys.shape[-2])
        pairs = ((one.keys, two.keys), (one.values, two.values))
        one.replace(*(torch.cat([_left_pad(a, length), _left_pad(b, length)]) for a, b in pairs))


def _left_pad(tensor: torch.Tensor, length: int) -> torch.Tensor:
    missing = length - tensor.shape[-2]
    return torch.nn.functional.pad(tensor, (0, 0, missing, 0)) if missing else tensor


def select_positions(cache: DynamicCache, positions: torch.Tensor) -> None:
    """Make rows out of the positions of the one row that growing layers hold. `positions`: [rows, length]."""
    for layer in cache.layers:
        layer.replace(*(tensor[0][:, positions].transpose(0, 1) for tensor in (layer.keys, layer.values)))
