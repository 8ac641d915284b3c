"""A batching engine for causal language models of transformers: requests join and leave a running batch.

Read from top to bottom: the decoder takes requests in and gives completions out; a batch holds those under way and
takes a token for each; prompts that begin alike are computed as one tree. Knows token ids and tensors; text is asked of
a detokenizer, and keys and values lie in a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sqljudge.core.errors import ModelError
from sqljudge.models.engines.base import Completion, GenerationRequest, Heartbeat, draw_key, silent
from sqljudge.models.engines.cache import all_growing, join, keep_rows, new_cache, select_positions
from sqljudge.models.engines.tokenizer import Detokenizer

PAYS_BELOW = 0.75
"""Share of the prompts' tokens that must be left in the trees for them to be used: attention in a tree costs more."""
CPU_TREE_TOKENS = 1024
GPU_TREE_TOKENS = 4096


# Requests in, completions out


@dataclass(slots=True)
class Row:
    """A request under way. `uniforms`: the numbers that decide its tokens, None for a greedy one."""

    position: int
    request: GenerationRequest
    prompt_ids: list[int]
    detokenizer: Detokenizer
    uniforms: NDArray[np.float64] | None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str = ""

    def take(self, token: int, logprob: float, end_ids: frozenset[int]) -> None:
        """Add a token; an end token, a stop mark or the budget finishes the row."""
        self.token_ids.append(token)
        self.logprobs.append(logprob)
        if token in end_ids:
            self.detokenizer.stay()
            self.finish_reason = "stop"
            return
        self.detokenizer.add(token)
        if any(mark in self.detokenizer.text for mark in self.request.stop):
            self.finish_reason = "stop"
        elif len(self.token_ids) >= self.request.max_new_tokens:
            self.finish_reason = "length"

    def completion(self) -> Completion:
        """The finished request's answer.

        A character that the budget cut in two is left out, so that the answer to a smaller budget is a prefix of it.
        """
        if self.finish_reason == "stop":
            self.detokenizer.finish()
        ids, logprobs, ends = tuple(self.token_ids), tuple(self.logprobs), tuple(self.detokenizer.ends)
        return Completion(self.detokenizer.text, ids, logprobs, ends, self.finish_reason, len(self.prompt_ids))


@dataclass
class Decoder:
    """Runs requests through one model, at most `slots` at a time.

    When memory runs out, `slots` is halved and what was under way starts again.
    """

    model: Any
    _: KW_ONLY
    end_ids: frozenset[int]
    pad_id: int
    slots: int
    new_detokenizer: Callable[[Sequence[int]], Detokenizer]

    def __post_init__(self) -> None:
        self.refill = all_growing(new_cache(self.model))

    @torch.inference_mode()
    def run(
        self, requests: Sequence[GenerationRequest], prompts: Sequence[list[int]], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        """Completions as they finish. `prompts[i]`: token ids of request i's prompt.

        Long prompts go first, and among those of about one length those that begin alike go together.
        """
        order = sorted(range(len(requests)), key=lambda i: (-(len(prompts[i]) // 128), prompts[i], requests[i].sample))
        waiting = [self._row(i, requests[i], prompts[i]) for i in reversed(order)]
        batch = Batch(self)
        while waiting or batch.rows:
            free = self.slots - len(batch.rows)
            joining = []
            if waiting and (not batch.rows or (self.refill and free * 4 >= self.slots)):
                joining = [waiting.pop() for _ in range(min(free, len(waiting)))]
            if fits(batch.advance, joining):
                heartbeat(len(joining or batch.rows))
                for row in batch.leave():
                    yield row.position, row.completion()
            else:
                self.slots = halved(min(self.slots, len(batch.rows) + len(joining)), self.slots)
                waiting += [self._row(r.position, r.request, r.prompt_ids) for r in reversed([*batch.rows, *joining])]
                batch = Batch(self)

    def _row(self, position: int, request: GenerationRequest, prompt_ids: list[int]) -> Row:
        drawn = uniforms(request) if request.temperature > 0 else None
        return Row(position, request, prompt_ids, self.new_detokenizer(prompt_ids), drawn)


def uniforms(request: GenerationRequest) -> NDArray[np.float64]:
    """The numbers in [0, 1) that decide a sampled request's tokens: a function of its `draw_key` alone.

    The first n are the same whatever the budget.
    """
    key = int.from_bytes(draw_key(request)[:16], "big")
    return np.random.Generator(np.random.Philox(key=key)).random(request.max_new_tokens)


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
    """The rows under way, their cache, and which of its positions are padding (`mask`: 0 there, [rows, positions])."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.device = decoder.model.device
        self.rows: list[Row] = []
        self.cache: Any = None
        self.mask = torch.zeros((0, 0), dtype=torch.long, device=self.device)

    def advance(self, joining: list[Row]) -> None:
        """Let rows in and take their first tokens, or take one more token for every row."""
        if joining:
            self._admit(joining)
        else:
            self._step()

    def _admit(self, rows: list[Row]) -> None:
        prompts = sorted({tuple(row.prompt_ids) for row in rows})  # each distinct prompt is computed once
        index = {prompt: i for i, prompt in enumerate(prompts)}
        where = [index[tuple(row.prompt_ids)] for row in rows]
        new = prefill(self.decoder.model, prompts, self.decoder.pad_id, keep=True)
        logits, mask = new.logits, new.mask
        if where != list(range(len(prompts))):
            chosen = torch.tensor(where, device=self.device)
            keep_rows(new.cache, chosen, 0)
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
        logits = forward(self.decoder.model, self.cache, 1, input_ids=ids, attention_mask=mask, position_ids=positions)
        self.mask = mask
        self._take(self.rows, logits[:, -1])

    def _take(self, rows: list[Row], logits: torch.Tensor) -> None:
        tokens = choose_tokens(logits, rows)
        logprobs = logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
        for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
            row.take(token, logprob, self.decoder.end_ids)

    def leave(self) -> list[Row]:
        """Take the finished rows out."""
        finished = [row for row in self.rows if row.finish_reason]
        if not finished:
            return []
        staying = [i for i, row in enumerate(self.rows) if not row.finish_reason]
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


def choose_tokens(logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """The next token of each row [rows]: the likeliest, or the one that the row's number picks from its distribution.

    `logits`: float32 [rows, vocabulary]. Sampling inverts the cumulative distribution of softmax(logits / temperature).
    """
    tokens = logits.argmax(-1)
    drawn = [(i, row, row.uniforms[len(row.token_ids)]) for i, row in enumerate(rows) if row.uniforms is not None]
    if drawn:
        where = torch.tensor([i for i, _, _ in drawn], device=logits.device)
        heat = torch.tensor([[row.request.temperature] for _, row, _ in drawn], device=logits.device)
        weights = (logits[where] / heat).softmax(-1).double().cumsum(-1)
        numbers = torch.tensor([[number] for _, _, number in drawn], dtype=weights.dtype, device=logits.device)
        found = torch.searchsorted(weights, numbers * weights[:, -1:], right=True)[:, 0]
        tokens[where] = found.clamp(max=logits.shape[-1] - 1)
    return tokens


# Prompts


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Logits of each prompt's last position, float32 [prompts, vocabulary]; keys and values, padded on the left."""

    logits: torch.Tensor
    cache: Any
    """None where keys and values were not wanted."""
    mask: torch.Tensor
    """1 where a prompt's token stands, 0 at padding: [prompts, longest]."""


def prefill(model: Any, prompts: Sequence[Sequence[int]], pad_id: int, *, keep: bool) -> Prefilled:
    """Compute distinct prompts, sorted. `keep`: whether keys and values are wanted.

    Prompts that begin alike form a tree, one node a token. The nodes of a tree go through the model as one sequence, in
    which each attends to itself and its ancestors alone; a prompt's keys and values are those along its path.
    """
    grown = list(trees(prompts, GPU_TREE_TOKENS if model.device.type == "cuda" else CPU_TREE_TOKENS))
    left = sum(len(tree.tokens) for tree in grown)
    if not all_growing(new_cache(model)) or left > PAYS_BELOW * sum(map(len, prompts)):
        ids, mask = left_padded(prompts, pad_id, model.device)
        cache, positions = new_cache(model) if keep else None, (mask.cumsum(1) - 1).clamp(min=0)
        logits = forward(model, cache, 1, input_ids=ids, attention_mask=mask, position_ids=positions)
        return Prefilled(logits[:, -1], cache, mask)
    parts = [_prefill_tree(model, tree, keep=keep) for tree in grown]
    for part in parts[1:] if keep else ():
        join(parts[0].cache, part.cache)
    logits, mask = torch.cat([part.logits for part in parts]), stack_masks([part.mask for part in parts])
    return Prefilled(logits, parts[0].cache, mask)


def _prefill_tree(model: Any, tree: Tree, *, keep: bool) -> Prefilled:
    seen = tree.attention()
    attention = torch.zeros(seen.shape, dtype=model.dtype).masked_fill(~seen, torch.finfo(model.dtype).min)
    cache = new_cache(model) if keep else None
    logits = forward(
        model,
        cache,
        torch.tensor([path[-1] for path in tree.paths], device=model.device),
        input_ids=torch.tensor([tree.tokens], device=model.device),
        attention_mask=attention[None, None].to(model.device),
        position_ids=(seen.sum(1) - 1)[None].to(model.device),
    )
    paths, mask = left_padded(tree.paths, 0, model.device)
    if cache is not None:
        select_positions(cache, paths)
    return Prefilled(logits[0], cache, mask)


def forward(model: Any, cache: Any, last: int | torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    """Logits of the `last` positions (how many, or which), float32. Keys and values go into the cache, if any."""
    output = model(**inputs, past_key_values=cache, use_cache=cache is not None, logits_to_keep=last)
    logits: torch.Tensor = output.logits
    return logits.float()


@dataclass(slots=True)
class Tree:
    """Prompts as one tree of n nodes: each node's token and parent, each prompt's path from the root to its end."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int | None] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)

    def add(self, prompt: Sequence[int], shared: int) -> None:
        """Add a prompt whose first `shared` tokens are those of the prompt added last."""
        path = self.paths[-1][:shared] if self.paths else []
        for token in prompt[shared:]:
            self.parents.append(path[-1] if path else None)
            path.append(len(self.tokens))
            self.tokens.append(token)
        self.paths.append(path)

    def attention(self) -> torch.Tensor:
        """Which nodes each attends to: itself and its ancestors. Boolean [n, n]."""
        seen = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent is not None:
                seen[node, : parent + 1] = seen[parent, : parent + 1]
        return torch.from_numpy(seen)


def trees(prompts: Sequence[Sequence[int]], most: int) -> Iterator[Tree]:
    """Sorted prompts in trees of about `most` nodes: a tree is closed by the first prompt that goes beyond."""
    tree = Tree()
    before: Sequence[int] = ()
    for prompt in prompts:
        shared = shared_prefix(before, prompt)
        if tree.paths and len(tree.tokens) + len(prompt) - shared > most:
            yield tree
            tree, shared = Tree(), 0
        tree.add(prompt, shared)
        before = prompt
    if tree.paths:
        yield tree


def shared_prefix(one: Sequence[int], two: Sequence[int]) -> int:
    """How many first tokens two prompts have in common."""
    differ = (position for position, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    return next(differ, min(len(one), len(two)))


def left_padded(
    prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both [prompts, longest], padded on the left."""
    width = max(map(len, prompts))
    ids = [[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def stack_masks(masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """The rows of several masks, those of the narrower ones padded on the left."""
    width = max(mask.shape[1] for mask in masks)
    return torch.cat([torch.nn.functional.pad(mask, (width - mask.shape[1], 0)) for mask in masks])
