"""The first pass over prompts: prompts that begin alike are computed as one tree. Knows token ids and tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from sqljudge.models.engines.cache import all_growing, join, new_cache, select_positions

PAYS_BELOW = {"cpu": 0.75, "cuda": 0.5}
"""Share of the prompts' tokens that must be left in the trees for them to be used: attention in a tree costs more."""
TREE_TOKENS = {"cpu": 1024, "cuda": 4096}
TREE_ROWS = 64
"""Nodes of a tree whose attention is computed together on a CPU."""
ANY_SHAPE = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Attention for inputs of ever new shapes: cuDNN's builds a program for each, which took a second on an H200."""


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
    grown = list(trees(prompts, TREE_TOKENS[model.device.type]))
    left = sum(len(tree.tokens) for tree in grown)
    if not all_growing(new_cache(model)) or left > PAYS_BELOW[model.device.type] * sum(map(len, prompts)):
        ids, mask = left_padded(prompts, pad_id, model.device)
        cache, positions = new_cache(model) if keep else None, (mask.cumsum(1) - 1).clamp(min=0)
        logits = forward(model, cache, 1, input_ids=ids, attention_mask=mask, position_ids=positions)
        return Prefilled(logits[:, -1], cache, mask)
    parts = [_prefill_tree(model, tree, keep=keep) for tree in grown]
    for part in parts[1:] if keep else ():
        join(parts[0].cache, part.cache)
    logits, mask = torch.cat([part.logits for part in parts]), stack_masks([part.mask for part in parts])
    return Prefilled(logits, parts[0].cache, mask)


def last_states(model: Any, prompts: Sequence[Sequence[int]]) -> Iterator[torch.Tensor]:
    """The hidden states that the output layer sees at the ends of distinct, sorted prompts, some rows [., hidden] each.

    As above, prompts that begin alike are computed as one tree.
    """
    whole = all_growing(new_cache(model))
    for tree in trees(prompts, TREE_TOKENS[model.device.type]):
        asked = _tree_inputs(model, tree) if whole else nullcontext(_padded_inputs(model, tree))
        with asked as inputs, sdpa_kernel(ANY_SHAPE):
            states = model.model(**inputs, use_cache=False).last_hidden_state
        yield states[0, [path[-1] for path in tree.paths]] if whole else states[:, -1]


def added_mask(model: Any, unseen: torch.Tensor) -> torch.Tensor:
    """What a model's attention adds to its products: 0, and the least number of its dtype where `unseen` is true."""
    attention = torch.zeros(unseen.shape, dtype=model.dtype, device=model.device)
    return attention.masked_fill_(unseen, torch.finfo(model.dtype).min)


@contextmanager
def _tree_inputs(model: Any, tree: Tree) -> Iterator[dict[str, torch.Tensor]]:
    """What the model is given for a tree; until the end its attention is, on a CPU, computed in blocks."""
    seen = tree.attention(model.device)
    attention = added_mask(model, ~seen)
    with InBlocks(seen, attention) if model.device.type == "cpu" else nullcontext():
        yield {
            "input_ids": torch.tensor([tree.tokens], device=model.device),
            "attention_mask": attention[None, None],
            "position_ids": torch.tensor([tree.depths], device=model.device),
        }


def _padded_inputs(model: Any, tree: Tree) -> dict[str, torch.Tensor]:
    ids, mask = left_padded([[tree.tokens[node] for node in path] for path in tree.paths], 0, model.device)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}


def _prefill_tree(model: Any, tree: Tree, *, keep: bool) -> Prefilled:
    cache = new_cache(model) if keep else None
    last = torch.tensor([path[-1] for path in tree.paths], device=model.device)
    with _tree_inputs(model, tree) as inputs:
        logits = forward(model, cache, last, **inputs)
    paths, mask = left_padded(tree.paths, 0, model.device)
    if cache is not None:
        select_positions(cache, paths)
    return Prefilled(logits[0], cache, mask)


class InBlocks(TorchFunctionMode):
    """Computes attention with a tree's mask in blocks of nodes, each with the keys alone that its nodes attend to.

    Those are few: a tree holds many prompts, and a node's ancestors are of one. `seen`: boolean [n, n]; `mask`: the
    same, as the model is given it.
    """

    def __init__(self, seen: torch.Tensor, mask: torch.Tensor) -> None:
        super().__init__()
        self.mask = mask
        self.blocks = []
        for first in range(0, len(seen), TREE_ROWS):
            rows = slice(first, first + TREE_ROWS)
            keys = seen[rows].any(0).nonzero().flatten()
            self.blocks.append((rows, keys, mask[rows, keys][None, None]))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What `func` gives, attention with this mask as said above."""
        kwargs = kwargs or {}
        mask = kwargs.get("attn_mask")
        if func is not scaled_dot_product_attention or mask is None or mask.data_ptr() != self.mask.data_ptr():
            return func(*args, **kwargs)
        query, key, value = args
        parts = (
            func(query[:, :, rows], key[:, :, keys], value[:, :, keys], **{**kwargs, "attn_mask": part})
            for rows, keys, part in self.blocks
        )
        return torch.cat([*parts], dim=2)


def forward(model: Any, cache: Any, last: int | torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    """Logits of the `last` positions (how many, or which), float32. Keys and values go into the cache, if any."""
    with sdpa_kernel(ANY_SHAPE):
        output = model(**inputs, past_key_values=cache, use_cache=cache is not None, logits_to_keep=last)
    logits: torch.Tensor = output.logits
    return logits.float()


@dataclass(slots=True)
class Tree:
    """Prompts as one tree of n nodes: each node's token and depth, each prompt's path from the root to its end.

    Nodes are in the order of a walk that goes down first, so that those below a node follow it without a gap.
    """

    tokens: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)

    def add(self, prompt: Sequence[int], shared: int) -> None:
        """Add a prompt whose first `shared` tokens are those of the prompt added last."""
        first, new = len(self.tokens), len(prompt) - shared
        path = self.paths[-1][:shared] if self.paths else []
        self.paths.append([*path, *range(first, first + new)])
        self.tokens += prompt[shared:]
        self.depths += range(shared, len(prompt))

    def attention(self, device: torch.device) -> torch.Tensor:
        """Which nodes each attends to: itself and its ancestors. Boolean [n, n]."""
        after = [0] * len(self.tokens)  # the first node that is not below a node any more
        made = 0
        for path, following in zip(self.paths, [*self.paths[1:], []], strict=True):
            made = max(made, path[-1] + 1)
            for node in path[shared_prefix(path, following) :]:
                after[node] = made
        nodes, ends = torch.arange(len(after), device=device), torch.tensor(after, device=device)
        return (nodes <= nodes[:, None]) & (nodes[:, None] < ends)


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
