"""Continuous batching for a transformers causal language model: rows join and leave a running batch.

Only the chosen token's log-probability is kept. Knows token ids, not text: text is asked of a detokenizer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sqljudge.core.errors import ModelError
from sqljudge.models.engines.base import Completion, GenerationRequest, Heartbeat, silent
from sqljudge.models.engines.cache import all_growing, join, keep_rows, new_cache
from sqljudge.models.engines.detokenize import Detokenizer
from sqljudge.models.engines.prefill import pad_mask, prefill


@dataclass(slots=True)
class Row:
    """A request under way."""

    position: int
    request: GenerationRequest
    prompt_ids: list[int]
    detokenizer: Detokenizer
    uniforms: NDArray[np.float64] | None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str = ""

    def completion(self) -> Completion:
        """The finished request's answer.

        A character that the budget cut in two is left out, so that the answer to a smaller budget is a prefix of it.
        """
        if self.finish_reason == "stop":
            self.detokenizer.finish()
        text, ends = self.detokenizer.text, self.detokenizer.ends
        return Completion(
            text, tuple(self.token_ids), tuple(self.logprobs), tuple(ends), self.finish_reason, len(self.prompt_ids)
        )


def uniforms(request: GenerationRequest) -> NDArray[np.float64]:
    """The numbers in [0, 1) that decide a sampled request's tokens: a function of seed, prompt and sample index alone.

    The first n are the same whatever the budget.
    """
    name = f"{request.seed}/{request.sample}/{request.prompt.text}"
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    return np.random.Generator(np.random.Philox(key=key)).random(request.max_new_tokens)


class Decoder:
    """Runs requests through one model, at most `slots` at a time.

    When memory runs out, `slots` is halved and what was under way starts again.
    """

    def __init__(
        self,
        model: Any,
        *,
        end_ids: frozenset[int],
        pad_id: int,
        slots: int,
        new_detokenizer: Callable[[Sequence[int]], Detokenizer],
    ) -> None:
        self.model = model
        self.end_ids = end_ids
        self.pad_id = pad_id
        self.slots = slots
        self.new_detokenizer = new_detokenizer
        self.refill = all_growing(new_cache(model))

    @torch.inference_mode()
    def run(
        self, requests: Sequence[GenerationRequest], prompts: Sequence[list[int]], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        """Completions as they finish. `prompts[i]`: token ids of request i's prompt."""
        order = sorted(range(len(requests)), key=lambda i: (*alike(prompts[i]), requests[i].sample))
        waiting = [self._row(i, requests[i], prompts[i]) for i in order]
        waiting.reverse()
        batch = Batch(self)
        while waiting or batch.rows:
            free = self.slots - len(batch.rows)
            if waiting and (not batch.rows or (self.refill and free * 4 >= self.slots)):
                joining = [waiting.pop() for _ in range(min(free, len(waiting)))]
            else:
                joining = []
            if fits(batch.advance, joining):
                heartbeat(len(joining or batch.rows))
                for row in batch.leave():
                    yield row.position, row.completion()
                continue
            self.slots = halved(min(self.slots, len(batch.rows) + len(joining)), self.slots)
            waiting += [self._row(r.position, r.request, r.prompt_ids) for r in reversed([*batch.rows, *joining])]
            batch = Batch(self)

    def _row(self, position: int, request: GenerationRequest, prompt_ids: list[int]) -> Row:
        drawn = uniforms(request) if request.temperature > 0 else None
        return Row(position, request, prompt_ids, self.new_detokenizer(prompt_ids), drawn)


def alike(prompt: Sequence[int]) -> tuple[int, Sequence[int]]:
    """A sorting key: long prompts first, and among those of about one length those that begin alike together."""
    return -(len(prompt) // 128), prompt


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


class Batch:
    """The rows under way, their cache, and which of its positions are padding."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.device = decoder.model.device
        self.rows: list[Row] = []
        self.cache: Any = None
        self.mask = torch.zeros((0, 0), dtype=torch.long, device=self.device)

    def advance(self, joining: list[Row]) -> None:
        """Let rows in, or take one more token for every row."""
        if joining:
            self.admit(joining)
        else:
            self.step()

    def admit(self, rows: list[Row]) -> None:
        """Prefill new rows (each distinct prompt once), take their first tokens, and append them to the batch."""
        prompts = sorted({tuple(row.prompt_ids) for row in rows})
        index = {prompt: i for i, prompt in enumerate(prompts)}
        where = [index[tuple(row.prompt_ids)] for row in rows]
        new = prefill(self.decoder.model, prompts, self.decoder.pad_id, keep=True)
        cache, logits, mask = new.cache, new.logits, new.mask
        assert cache is not None
        if where != list(range(len(prompts))):
            chosen = torch.tensor(where, device=self.device)
            keep_rows(cache, chosen, 0)
            logits, mask = logits[chosen], mask[chosen]
        self._take(rows, logits)
        if self.rows:
            join(self.cache, cache)
            width = max(self.mask.shape[1], mask.shape[1])
            self.mask = torch.cat([pad_mask(self.mask, width), pad_mask(mask, width)])
        else:
            self.cache, self.mask = cache, mask
        self.rows += rows

    def step(self) -> None:
        """One more token for every row."""
        last = torch.tensor([[row.token_ids[-1]] for row in self.rows], device=self.device)
        positions = self.mask.sum(1, keepdim=True)
        mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        logits = self.decoder.model(
            input_ids=last,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        self.mask = mask
        self._take(self.rows, logits.float())

    def leave(self) -> list[Row]:
        """Take the finished rows out."""
        staying = [i for i, row in enumerate(self.rows) if not row.finish_reason]
        if len(staying) == len(self.rows):
            return []
        finished = [row for row in self.rows if row.finish_reason]
        self.rows = [self.rows[i] for i in staying]
        if self.rows:
            chosen = torch.tensor(staying, device=self.device)
            kept = self.mask[chosen]
            drop = int(kept.any(0).int().argmax()) if self.decoder.refill else 0
            keep_rows(self.cache, chosen, drop)
            self.mask = kept[:, drop:]
        else:
            self.cache, self.mask = None, self.mask[:0]
        return finished

    def _take(self, rows: list[Row], logits: torch.Tensor) -> None:
        tokens = choose_tokens(logits, rows)
        normaliser = logits.logsumexp(-1)
        chosen = logits.gather(1, tokens[:, None])[:, 0] - normaliser
        for row, token, logprob in zip(rows, tokens.tolist(), chosen.tolist(), strict=True):
            row.token_ids.append(token)
            row.logprobs.append(logprob)
            if token in self.decoder.end_ids:
                row.detokenizer.stay()
                row.finish_reason = "stop"
                continue
            row.detokenizer.add(token)
            if any(mark in row.detokenizer.text for mark in row.request.stop):
                row.finish_reason = "stop"
            elif len(row.token_ids) >= row.request.max_new_tokens:
                row.finish_reason = "length"


def choose_tokens(logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """The next token of each row [rows]: the likeliest, or the one that the row's number picks from its distribution.

    `logits`: float32 [rows, vocabulary]. Sampling inverts the cumulative distribution of softmax(logits / temperature).
    """
    tokens = logits.argmax(-1)
    drawn = [(i, row) for i, row in enumerate(rows) if row.uniforms is not None]
    if drawn:
        where = torch.tensor([i for i, _ in drawn], device=logits.device)
        heat = torch.tensor([[row.request.temperature] for _, row in drawn], device=logits.device)
        numbers = [[row.uniforms[len(row.token_ids)]] for _, row in drawn if row.uniforms is not None]
        weights = (logits[where] / heat).softmax(-1).double().cumsum(-1)
        targets = torch.tensor(numbers, dtype=weights.dtype, device=logits.device) * weights[:, -1:]
        found = torch.searchsorted(weights, targets, right=True)[:, 0]
        tokens[where] = found.clamp(max=logits.shape[-1] - 1)
    return tokens
