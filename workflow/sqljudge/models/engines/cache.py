"""A key/value cache whose rows can leave and join while others go on. Knows tensors only."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

GROWTH = 64
"""Positions of spare room that a buffer gets when it must grow."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in buffers with spare room: a step writes one position and copies nothing.

    `keys` and `values` are views [rows, heads, positions, head size] of the filled part of the buffers.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._buffers: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new positions and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        filled = int(self.keys.shape[-2]) if self._buffers else 0  # type: ignore[has-type]
        end = filled + key_states.shape[-2]
        if not self._buffers or self._buffers[0].shape[-2] < end:
            states = (key_states, value_states)
            self._buffers = [self._grown(old, new, end) for old, new in zip(self._views(), states, strict=True)]
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, filled:end] = new
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def _views(self) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        return (self.keys, self.values) if self._buffers else (None, None)

    @staticmethod
    def _grown(old: torch.Tensor | None, new: torch.Tensor, end: int) -> torch.Tensor:
        rows, heads, _, size = new.shape
        room = end + max(GROWTH, end // 4)
        buffer = new.new_zeros((rows, heads, room, size))
        if old is not None:
            buffer[:, :, : old.shape[-2]] = old
        return buffer

    def replace(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Put other tensors in place of what is held."""
        self._buffers = []
        self.is_initialized = False
        self.update(keys, values)


def new_cache(model: Any) -> DynamicCache:
    """An empty cache for a model whose layers all attend to everything before them."""
    cache = DynamicCache(config=model.config)
    if not all(type(layer) is DynamicLayer for layer in cache.layers):
        return cache  # sliding-window or hybrid layers keep the library's own classes
    cache.layers = [GrowingLayer() for _ in cache.layers]
    return cache


def all_growing(cache: DynamicCache) -> bool:
    """Whether every layer attends to everything before it, so that rows may leave, join and share."""
    return all(isinstance(layer, GrowingLayer) for layer in cache.layers)


def select_positions(cache: DynamicCache, positions: torch.Tensor) -> None:
    """Make rows out of the positions of the one row that is held. `positions`: [rows, length]."""
    rows, length = positions.shape
    for layer in cache.layers:
        pair = [
            tensor[0][:, positions.reshape(-1)].unflatten(1, (rows, length)) for tensor in (layer.keys, layer.values)
        ]
        layer_replace(layer, *(tensor.transpose(0, 1) for tensor in pair))


def keep_rows(cache: DynamicCache, rows: torch.Tensor, drop: int) -> None:
    """Keep only the named rows, and cut `drop` positions of padding off the left."""
    for layer in cache.layers:
        layer_replace(layer, layer.keys[rows, :, drop:], layer.values[rows, :, drop:])


def join(first: DynamicCache, second: DynamicCache) -> None:
    """Append the rows of the second cache to the first, padding the shorter one on the left."""
    for one, two in zip(first.layers, second.layers, strict=True):
        length = max(one.keys.shape[-2], two.keys.shape[-2])
        pairs = ((one.keys, two.keys), (one.values, two.values))
        keys, values = (torch.cat([_left_pad(a, length), _left_pad(b, length)]) for a, b in pairs)
        layer_replace(one, keys, values)


def layer_replace(layer: Any, keys: torch.Tensor, values: torch.Tensor) -> None:
    """Set a layer's tensors, whichever class it is of."""
    if isinstance(layer, GrowingLayer):
        layer.replace(keys, values)
    else:
        layer.keys, layer.values = keys.contiguous(), values.contiguous()


def _left_pad(tensor: torch.Tensor, length: int) -> torch.Tensor:
    missing = length - tensor.shape[-2]
    return torch.nn.functional.pad(tensor, (0, 0, missing, 0)) if missing else tensor
