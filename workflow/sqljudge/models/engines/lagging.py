"""A model that reads what requests hold only when it is asked for their next token. Knows tensors and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from sqljudge.models.engines.cache import GROWTH
from sqljudge.models.engines.prefill import added_mask, forward, left_padded, shared_prefix
from sqljudge.models.engines.rows import Row

PACKING_PAYS = 1.5
"""How many times the tokens that are pending a padded call must compute for them to be packed into one sequence."""
SHARED_PAYS = 256
"""Tokens that a call must save which reads what several rows begin with."""


class Places:
    """Where a call writes and what it attends to, for all layers of a cache.

    `slots`: of each row [rows]. `positions`: of each token read, [rows, tokens]; -1 at padding. `whole`: whether the
    rows are the first slots in order, so that nothing need be picked out. `packed`: whether the rows' tokens stand one
    after the other in one sequence; `positions` is by row all the same. `rows`, `columns`: where each stands in them.
    """

    def __init__(self, slots: torch.Tensor, positions: torch.Tensor, *, packed: bool) -> None:
        self.slots, self.positions, self.packed = slots, positions, packed
        self.width = int(positions.max()) + 1
        self.whole = slots.tolist() == list(range(len(slots)))
        self.rows, self.columns = (positions >= 0).nonzero(as_tuple=True)

    def unseen(self) -> torch.Tensor:
        """Which positions each token must not attend to: [rows, tokens, width], or of packed rows [1, tokens, all]."""
        keys = torch.arange(self.width, device=self.positions.device)
        unseen = keys > self.positions.clamp(min=0)[:, :, None]
        if not self.packed:
            return unseen
        own = torch.arange(len(self.slots), device=self.rows.device) == self.rows[:, None]
        hidden = unseen[self.rows, self.columns][:, None] | ~own[:, :, None]
        return hidden.flatten(1)[None]


class LaggingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, [slots, heads, room + 1, size], each row's from position 0 on without a gap.

    The last position takes what padding writes, and nobody attends to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: Places | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new positions of some rows, [rows, heads, tokens, size], and return all that these rows hold.

        Of packed rows both are one row: [1, heads, all tokens, size], one row after the other.
        """
        places = self.places
        assert places is not None, "the model is called by LaggingModel.read alone"
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = (each[:0, :, :1] for each in (key_states, value_states))
        slots = int(places.slots.max()) + 1
        self.keys, self.values = (_roomy(each, slots, places.width) for each in (self.keys, self.values))
        for held, new in ((self.keys, key_states), (self.values, value_states)):
            if places.packed:
                where = places.positions[places.rows, places.columns]
                held[places.slots[places.rows], :, where] = new[0].transpose(0, 1)
            else:
                held[places.slots[:, None], :, places.positions] = new.transpose(1, 2)
        rows = slice(len(places.slots)) if places.whole else places.slots
        keys, values = (held[rows, :, : places.width] for held in (self.keys, self.values))
        if places.packed:
            keys, values = (each.transpose(0, 1).flatten(1, 2)[None] for each in (keys, values))
        return keys, values

    def copy(self, one: int, other: int, positions: int) -> None:
        """Give another slot the first positions of one."""
        self.keys, self.values = (_roomy(each, other + 1, positions) for each in (self.keys, self.values))
        for held in (self.keys, self.values):
            held[other, :, :positions] = held[one, :, :positions]


def _roomy(held: torch.Tensor, slots: int, width: int) -> torch.Tensor:
    """The same keys or values with room for so many slots and positions, and some to spare if it must grow."""
    more_slots = max(0, slots - held.shape[0])
    room = held.shape[2] - 1
    more = max(GROWTH, width - room, width // 4) if width > room else 0
    if not more_slots and not more:
        return held
    grown = held.new_zeros((held.shape[0] + more_slots, held.shape[1], room + more + 1, held.shape[3]))
    grown[: held.shape[0], :, :room] = held[:, :, :room]
    return grown


class LaggingModel:
    """A model and, of each row that it was ever asked about, how many tokens of prompt and answer it has read.

    It reads the rest (pending tokens) when it is asked again: rows that lag by different numbers are read in one call,
    padded to the longest, or one after the other in one sequence where padding would be most of the work.
    What a new row begins with is copied where another row holds it. Where several new rows begin alike and none holds
    it, one more call reads it, if that saves many tokens.
    """

    def __init__(self, model: Any, pad_id: int) -> None:
        self.model, self.pad_id = model, pad_id
        self.device = model.device
        self.cache = DynamicCache(config=model.config)
        self.cache.layers = [LaggingLayer() for _ in self.cache.layers]
        self._slots: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._rows: dict[int, Row] = {}

    def next_logits(self, rows: Sequence[Row]) -> torch.Tensor:
        """Logits of each row's next token, float32 [rows, vocabulary]."""
        self._admit([row for row in rows if row.position not in self._slots])
        order = sorted(range(len(rows)), key=lambda i: self._slots[rows[i].position])
        logits = self._read_on([(rows[i], len(_text(rows[i], 0))) for i in order])
        return logits[torch.tensor(order, device=self.device).argsort()]

    def _read_on(self, wanted: Sequence[tuple[Row, int]]) -> torch.Tensor:
        """Read each row, in the order of their slots, up to so many of its tokens, in one call; logits of the next."""
        rows = [row for row, _ in wanted]
        pending = [_text(row, self._read[row.position])[: end - self._read[row.position]] for row, end in wanted]
        ids, mask = left_padded(pending, self.pad_id, self.device)
        before = torch.tensor([self._read[row.position] for row in rows], device=self.device)
        positions = (before[:, None] + mask.cumsum(1) - 1).masked_fill(mask == 0, -1)
        slots = torch.tensor([self._slots[row.position] for row in rows], device=self.device)
        places = Places(slots, positions, packed=mask.numel() > PACKING_PAYS * int(mask.sum()))
        for layer in self.cache.layers:
            layer.places = places
        unseen, shown = places.unseen(), positions.clamp(min=0)
        last: int | torch.Tensor = 1
        if places.packed:
            ids, shown = (each[places.rows, places.columns][None] for each in (ids, shown))
            last = mask.sum(1).cumsum(0) - 1
        attention = added_mask(self.model, unseen)
        logits = forward(
            self.model, self.cache, last, input_ids=ids, attention_mask=attention[:, None], position_ids=shown
        )
        logits = logits[0] if places.packed else logits[:, -1]
        for row, end in wanted:
            self._read[row.position] = end
        return logits

    def _admit(self, new: Sequence[Row]) -> None:
        """Give new rows slots, and there what they begin with, if it was read for another."""
        if not new:
            return
        texts = sorted(_text(row, 0) for row in new)
        alike = min(shared_prefix(texts[0], texts[-1]), len(texts[0]) - 1)
        first, known = new[0], self._enter(new[0])
        if (len(new) - 1) * (alike - known) >= SHARED_PAYS:
            self._read_on([(first, alike)])
        for row in new[1:]:
            self._enter(row)

    def _enter(self, row: Row) -> int:
        """Give a row a slot, and there what it and another begin with; how many tokens that is."""
        text = _text(row, 0)
        shared = {
            other: min(shared_prefix(text, _text(self._rows[other], 0)), read, len(text) - 1)
            for other, read in self._read.items()
        }
        other = max(shared, key=lambda one: shared[one], default=None)
        taken = set(self._slots.values())
        slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        self._slots[row.position], self._rows[row.position] = slot, row
        self._read[row.position] = shared[other] if other is not None else 0
        if other is not None and shared[other]:
            for layer in self.cache.layers:
                layer.copy(self._slots[other], slot, shared[other])
        return self._read[row.position]

    def forget(self, rows: Sequence[Row]) -> None:
        """Free what rows hold that have left."""
        for row in rows:
            self._slots.pop(row.position, None)
            self._read.pop(row.position, None)
            self._rows.pop(row.position, None)


def _text(row: Row, start: int) -> list[int]:
    """The tokens of a row's prompt and answer from a position on."""
    return [*row.prompt_ids, *row.token_ids][start:]
