"""A batching engine for causal language models of transformers: requests join and leave a running batch.

The decoder takes requests in and gives completions out; a batch holds those under way and takes a token for each. On a
GPU the batch is one of fixed slots (`slots.py`), elsewhere the one below. Knows token ids and tensors; text is asked of
a detokenizer, and keys and values lie in a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch

from sqljudge.core.errors import ModelError
from sqljudge.models.engines.base import Completion, GenerationRequest, Heartbeat, silent
from sqljudge.models.engines.cache import all_growing, filled_gaps, join, keep_rows, new_cache, repeat_rows
from sqljudge.models.engines.prefill import added_mask, forward, prefill, stack_masks
from sqljudge.models.engines.rows import Row, distinct_prompts, take_tokens, uniforms
from sqljudge.models.engines.slots import SlotBatch, Slots, slots_serve
from sqljudge.models.engines.tokenizer import Detokenizer


@dataclass
class Decoder:
    """Runs requests through one model, at most `slots` at a time.

    When memory runs out, `slots` is halved and what was under way starts again. `fixed`: whether requests have fixed
    slots, which pays on a GPU, where a step is then a CUDA graph; a model whose attention cannot be told of them has
    none. The slots' memory is kept from run to run.
    """

    model: Any
    _: KW_ONLY
    end_ids: frozenset[int]
    pad_id: int
    slots: int
    new_detokenizer: Callable[[Sequence[int]], Detokenizer]
    fixed: bool = False

    def __post_init__(self) -> None:
        self.refill = all_growing(new_cache(self.model))
        self.fixed = self.fixed and slots_serve(self.model)
        self._held: Slots | None = None

    @torch.inference_mode()
    def run(
        self, requests: Sequence[GenerationRequest], prompts: Sequence[list[int]], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        """Completions as they finish. `prompts[i]`: token ids of request i's prompt.

        Long prompts go first, and among those of about one length those that begin alike go together.
        """
        order = sorted(range(len(requests)), key=lambda i: (-(len(prompts[i]) // 128), prompts[i], requests[i].sample))
        waiting = [self._row(i, requests[i], prompts[i]) for i in reversed(order)]
        budget = max((request.max_new_tokens for request in requests), default=0)
        longest = max(map(len, prompts), default=0) + budget
        batch = self._new_batch(longest, budget)
        while waiting or batch.rows:
            free = self.slots - len(batch.rows)
            joining = []
            if waiting and (not batch.rows or (self.refill and free * 4 >= self.slots)):
                joining = [waiting.pop() for _ in range(min(free, len(waiting)))]
            if fits(batch.advance, joining):
                heartbeat(batch.taken)
                for row in batch.leave():
                    yield row.position, row.completion()
            else:
                self.slots = halved(min(self.slots, len(batch.rows) + len(joining)), self.slots)
                waiting += [self._row(r.position, r.request, r.prompt_ids) for r in reversed([*batch.rows, *joining])]
                del batch  # its memory goes before new is asked for
                self._held = None
                batch = self._new_batch(longest, budget)

    def _new_batch(self, longest: int, budget: int) -> Batch | SlotBatch:
        """An empty batch for requests of up to `longest` tokens, of which up to `budget` are new."""
        if not self.fixed:
            return Batch(self.model, self.end_ids, self.pad_id)
        if self._held is None or not self._held.serve(self.slots, longest, budget):
            self._held = None
            self._held = Slots(self.model, self.slots, longest, budget)
        return SlotBatch(self._held, self.end_ids, self.pad_id)

    def _row(self, position: int, request: GenerationRequest, prompt_ids: list[int]) -> Row:
        drawn = uniforms(request) if request.temperature > 0 else None
        return Row(position, request, prompt_ids, self.new_detokenizer(prompt_ids), drawn)


def fits(compute: Callable[..., None], *arguments: Any) -> bool:
    """Do something with the model; False where memory ran out, and then what it held is free again."""
    try:
        compute(*arguments)
        return True
    except (torch.OutOfMemoryError, MemoryError):
        pass
    except RuntimeError as error:  # what torch raises on a CPU
        if "allocate memory" not in str(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def halved(used: int, allowed: int) -> int:
    """How many rows to try after `used` rows, of `allowed` ones, did not fit. Raises ModelError where one did not."""
    if allowed <= 1:
        raise ModelError("out of memory with one request at a time; take a machine with more, or a smaller model")
    return max(1, used // 2)


# The batch under way


class Batch:
    """The rows under way, their cache, and which of its positions are padding (`mask`: 0 there, [rows, positions]).

    `taken`: how many tokens the last advance has taken.
    """

    def __init__(self, model: Any, end_ids: frozenset[int], pad_id: int) -> None:
        self.model, self.end_ids, self.pad_id = model, end_ids, pad_id
        self.device = model.device
        self.refill = all_growing(new_cache(model))
        self.rows: list[Row] = []
        self.taken = 0
        self.cache: Any = None
        self.mask = torch.zeros((0, 0), dtype=torch.long, device=self.device)

    def advance(self, joining: list[Row]) -> None:
        """Let rows in and take their first tokens, or take one more token for every row."""
        if joining:
            self._admit(joining)
        else:
            self._step()

    def _admit(self, rows: list[Row]) -> None:
        prompts, where = distinct_prompts(rows)  # each distinct prompt is computed once
        new = prefill(self.model, prompts, self.pad_id, keep=True)
        logits, mask = new.logits, new.mask
        if where != list(range(len(prompts))):
            chosen = torch.tensor(where, device=self.device)
            repeat_rows(new.cache, chosen)
            logits, mask = logits[chosen], mask[chosen]
        self._take(rows, logits)
        if self.rows:
            join(self.cache, new.cache)
            self.mask = stack_masks([self.mask, mask])
        else:
            self.cache, self.mask = new.cache, mask
        self.rows += rows

    def _step(self) -> None:
        positions = self.mask.sum(1, keepdim=True)
        mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        ids = torch.tensor([[row.token_ids[-1]] for row in self.rows], device=self.device)
        # as attention adds it, or each layer would make that of it anew
        shown = added_mask(self.model, mask == 0)[:, None, None] if self.refill else mask
        logits = forward(self.model, self.cache, 1, input_ids=ids, attention_mask=shown, position_ids=positions)
        self.mask = mask
        self._take(self.rows, logits[:, -1])

    def _take(self, rows: list[Row], logits: torch.Tensor) -> None:
        take_tokens(rows, logits, self.end_ids)
        self.taken = len(rows)

    def leave(self) -> list[Row]:
        """Take the finished rows out."""
        finished = [row for row in self.rows if row.finish_reason]
        if not finished:
            return []
        order = filled_gaps([i for i, row in enumerate(self.rows) if not row.finish_reason])
        self.rows = [self.rows[i] for i in order]
        if self.rows:
            kept = self.mask[order]
            drop = int(kept.any(0).int().argmax()) if self.refill else 0
            keep_rows(self.cache, order, drop)
            self.mask = kept[:, drop:]
        else:
            self.cache, self.mask = None, self.mask[:0]
        return finished
