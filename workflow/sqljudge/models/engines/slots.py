"""A batch of fixed slots: each request under way has room of its own for keys and values, and nothing is ever moved.

On a GPU a step of all slots is one CUDA graph, and while it runs the tokens of the step before are read. A request that
has ended is therefore noticed one step late; the token that came in between is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import DynamicLayer

from sqljudge.models.engines.cache import all_growing, new_cache
from sqljudge.models.engines.prefill import Prefilled, prefill
from sqljudge.models.engines.rows import Row, distinct_prompts, draw_tokens, take_tokens

ATTENTION = "sqljudge_slots"
FEWEST = 8
"""Rows of the smallest step."""
PREFILL_TOKENS = 65536
"""Tokens of prompts, padding included, that are computed at once."""
ROUND = 256
"""Positions in steps of which rooms are made, so that they serve later requests too."""


def attend(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    scaling: float,
    filled: torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new position a slot to what its slot holds.

    `query`: [slots, heads, 1, size]; `key`, `value`: [slots, room, key heads, size]; `filled`: [slots, 1, 1, room], 0
    where something is held and minus infinity elsewhere. Gives [slots, 1, heads, size]. The heads that share keys are
    taken as positions of one head, so that nothing is copied for them.
    """
    key_heads = key.shape[2]
    grouped = query[:, :, 0].reshape(len(query), key_heads, -1, query.shape[-1])
    found = scaled_dot_product_attention(
        grouped, key.transpose(1, 2), value.transpose(1, 2), attn_mask=filled, scale=scaling
    )
    return found.flatten(1, 2)[:, None], None


AttentionInterface.register(ATTENTION, attend)


def slots_serve(model: Any) -> bool:
    """Whether a model can be told where its keys and values lie, and attends to everything before a position."""
    capped = getattr(model.config, "attn_logit_softcapping", None)
    return all_growing(new_cache(model)) and bool(getattr(model, "_supports_attention_backend", False)) and not capped


class SlotLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, [slots, room, heads, size], written at each slot's own position."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, lengths: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values, self.lengths = keys, values, lengths
        self.slots = torch.arange(len(keys), device=keys.device)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new position of the first slots, [slots, heads, 1, size], and return all of theirs."""
        count = len(key_states)
        where = (self.slots[:count], self.lengths[:count])
        self.keys.index_put_(where, key_states[:, :, 0])
        self.values.index_put_(where, value_states[:, :, 0])
        return self.keys[:count], self.values[:count]


class Slots:
    """Memory for `count` requests of up to `room` positions, `budget` of them new, and the step that all take together.

    Of each slot: the last token, how many positions are filled, how many tokens are drawn, the temperature (0: the
    likeliest token is taken) and the numbers that decide what is drawn.
    """

    def __init__(self, model: Any, count: int, room: int, budget: int) -> None:
        self.model, self.count, self.budget = model, count, budget
        self.room = -(-room // ROUND) * ROUND
        self.device = model.device
        self.cache: DynamicCache | None = None
        on = {"device": self.device}
        self.tokens = torch.zeros(count, dtype=torch.long, **on)
        self.lengths = torch.zeros(count, dtype=torch.long, **on)
        self.drawn = torch.zeros(count, dtype=torch.long, **on)
        self.heat = torch.zeros(count, **on)
        self.numbers = torch.zeros(count, budget, dtype=torch.float64, **on)
        self.logprobs = torch.zeros(count, **on)
        self.positions = torch.arange(self.room, **on)
        self.graphs: dict[tuple[int, bool], torch.cuda.CUDAGraph] = {}
        self.warm: set[tuple[int, bool]] = set()
        self.read = [_Reading(count, self.device) for _ in range(2)]

    def serve(self, count: int, room: int, budget: int) -> bool:
        """Whether this memory does for so many requests."""
        return self.count == count and self.room >= room and self.budget >= budget

    def place(self, rows: Mapping[int, Row], made: Prefilled, prompts: Sequence[int]) -> None:
        """Fill slots: `rows` by slot, each of which has its first token; `prompts`: which prompt of `made` is whose."""
        if self.cache is None:
            self.cache = self._new_cache(made.cache)
        slots = torch.tensor(list(rows), device=self.device)
        chosen = torch.tensor(prompts, device=self.device)
        mask = made.mask[chosen].bool()
        which, position = mask.nonzero(as_tuple=True)
        target = (slots[which], (mask.cumsum(1) - 1)[mask])
        for layer, new in zip(self.cache.layers, made.cache.layers, strict=True):
            for held, given in ((layer.keys, new.keys), (layer.values, new.values)):
                held.index_put_(target, given[chosen[which], :, position])
        self.lengths[slots] = mask.sum(1)
        self.tokens[slots] = torch.tensor([row.token_ids[-1] for row in rows.values()], device=self.device)
        self.drawn[slots] = 1
        sampled = [row.uniforms is not None for row in rows.values()]
        heat = [row.request.temperature if drawn else 0.0 for row, drawn in zip(rows.values(), sampled, strict=True)]
        self.heat[slots] = torch.tensor(heat, device=self.device)
        for slot, row in rows.items():
            if row.uniforms is not None:
                self.numbers[slot, : len(row.uniforms)] = torch.from_numpy(row.uniforms).to(self.device)

    def _new_cache(self, given: DynamicCache) -> DynamicCache:
        def empty(like: torch.Tensor) -> torch.Tensor:
            return like.new_zeros((self.count, self.room, like.shape[1], like.shape[3]))

        cache = DynamicCache(config=self.model.config)
        cache.layers = [SlotLayer(empty(each.keys), empty(each.values), self.lengths) for each in given.layers]
        return cache

    def move(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Move what some slots hold to others."""
        old, new = (torch.tensor(each, device=self.device) for each in (sources, targets))
        layers = self.cache.layers if self.cache else ()
        held = [tensor for layer in layers for tensor in (layer.keys, layer.values)]
        for tensor in (*held, self.tokens, self.lengths, self.drawn, self.heat, self.numbers):
            tensor[new] = tensor[old]

    def step(self, count: int, *, sampled: bool) -> _Reading:
        """One more token for each of the first `count` slots; `sampled`: whether any of them draws its tokens."""
        kind = (count, sampled)
        with _attention(self.model):
            if kind in self.graphs:
                self.graphs[kind].replay()
            elif kind in self.warm and self.device.type == "cuda":
                self.graphs[kind] = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graphs[kind]):
                    self._step(count, sampled=sampled)
                self.graphs[kind].replay()
            else:
                self._step(count, sampled=sampled)
                self.warm.add(kind)
        self.read.reverse()
        self.read[0].begin(self.tokens, self.logprobs)
        return self.read[0]

    def _step(self, count: int, *, sampled: bool) -> None:
        lengths = self.lengths[:count]
        empty = self.positions > lengths[:, None, None, None]
        filled = torch.zeros(empty.shape, dtype=self.model.dtype, device=self.device).masked_fill_(empty, -torch.inf)
        output = self.model(
            input_ids=self.tokens[:count, None],
            position_ids=lengths[:, None],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
            filled=filled,
        )
        logits = output.logits[:, -1]
        tokens = logits.argmax(-1)
        if sampled:
            heat, numbers = self.heat[:count], self.numbers[:count].gather(1, self.drawn[:count, None])[:, 0]
            drawn = draw_tokens(logits.float(), heat.where(heat > 0, 1.0), numbers)
            tokens = drawn.where(heat > 0, tokens)
        logprobs = logits.log_softmax(-1, dtype=torch.float32).gather(1, tokens[:, None])[:, 0]
        self.tokens[:count] = tokens
        self.logprobs[:count] = logprobs
        lengths.add_(1).clamp_(max=self.room - 1)  # an empty slot writes where it does no harm
        self.drawn[:count].add_(1).clamp_(max=self.budget - 1)


class _Reading:
    """The tokens and log-probabilities of a step, on their way to the host while the device goes on."""

    def __init__(self, count: int, device: torch.device) -> None:
        pinned = device.type == "cuda"
        self.tokens = torch.zeros(count, dtype=torch.long, pin_memory=pinned)
        self.logprobs = torch.zeros(count, pin_memory=pinned)
        self.done = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]

    def begin(self, tokens: torch.Tensor, logprobs: torch.Tensor) -> None:
        self.tokens.copy_(tokens, non_blocking=True)
        self.logprobs.copy_(logprobs, non_blocking=True)
        if self.done:
            self.done.record()

    def end(self) -> tuple[list[int], list[float]]:
        if self.done:
            self.done.synchronize()
        return self.tokens.tolist(), self.logprobs.tolist()


class SlotBatch:
    """The requests under way, by slot. `taken`: how many tokens the last advance has taken."""

    def __init__(self, slots: Slots, end_ids: frozenset[int], pad_id: int) -> None:
        self.slots, self.end_ids, self.pad_id = slots, end_ids, pad_id
        self.under_way: dict[int, Row] = {}
        self.taken = 0
        self._launched: tuple[dict[int, Row], _Reading] | None = None

    @property
    def rows(self) -> list[Row]:
        """The requests under way."""
        return list(self.under_way.values())

    def advance(self, joining: list[Row]) -> None:
        """Let rows in and take their first tokens, or launch a step and take the tokens of the step before it."""
        self.taken = 0
        if joining:
            self._take()
            self._admit(joining)
            return
        count = self._gather()
        launched = dict(self.under_way)
        sampled = any(row.uniforms is not None for row in launched.values())
        reading = self.slots.step(count, sampled=sampled)
        self._take()
        self._launched = launched, reading

    def _take(self) -> None:
        if self._launched is None:
            return
        rows, reading = self._launched
        self._launched = None
        tokens, logprobs = reading.end()
        for slot, row in rows.items():
            if not row.finish_reason:
                row.take(tokens[slot], logprobs[slot], self.end_ids)
                self.taken += 1

    def _admit(self, rows: Sequence[Row]) -> None:
        free = [slot for slot in range(self.slots.count) if slot not in self.under_way]
        for some in _portions(rows):
            prompts, where = distinct_prompts(some)  # each distinct prompt is computed once
            made = prefill(self.slots.model, prompts, self.pad_id, keep=True)
            take_tokens(some, made.logits[where], self.end_ids)
            self.taken += len(some)
            placed = {free.pop(0): row for row in some}
            self.slots.place(placed, made, where)
            self.under_way.update(placed)

    def _gather(self) -> int:
        """How many slots the next step computes: all up to the last one in use, which is moved down if that saves half.

        Of few sizes, since each is a graph of its own.
        """
        count = self.slots.count
        while count // 2 >= max(FEWEST, len(self.under_way)):
            count //= 2
        beyond = sorted(slot for slot in self.under_way if slot >= count)
        if beyond:
            self._take()
            free = [slot for slot in range(count) if slot not in self.under_way][: len(beyond)]
            self.slots.move(beyond, free)
            for source, target in zip(beyond, free, strict=True):
                self.under_way[target] = self.under_way.pop(source)
        return count

    def leave(self) -> list[Row]:
        """Take the finished rows out."""
        finished = {slot: row for slot, row in self.under_way.items() if row.finish_reason}
        for slot in finished:
            del self.under_way[slot]
        return list(finished.values())


def _portions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in portions of at most so many tokens when padded to their longest prompt; one row is always a portion."""
    some: list[Row] = []
    longest = 0
    for row in rows:
        longest = max(longest, len(row.prompt_ids))
        if some and longest * (len(some) + 1) > PREFILL_TOKENS:
            yield some
            some, longest = [], len(row.prompt_ids)
        some.append(row)
    if some:
        yield some


@contextmanager
def _attention(model: Any) -> Iterator[None]:
    """Let a model attend to slots."""
    usual = model.config._attn_implementation
    model.config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = usual
