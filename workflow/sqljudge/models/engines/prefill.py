"""Prompts through the model, what they have in common computed once. Knows token ids and tensors, not text.

Prompts that begin alike form a tree, one node a token. The nodes of a tree go through the model as one sequence, in
which each attends to its ancestors alone; a prompt's keys and values are those along its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from sqljudge.models.engines.cache import all_growing, join, new_cache, select_positions

PAYS_BELOW = 0.75
"""Share of the prompts' tokens that must be left in the tree for it to be used: attention in a tree costs more."""
CPU_TREE_TOKENS = 1024
GPU_TREE_TOKENS = 4096


@dataclass(slots=True)
class Tree:
    """Prompts as one tree of n nodes: each node's token, depth, and each prompt's path from the root to its end."""

    tokens: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)

    def add(self, prompt: Sequence[int], shared: int) -> None:
        """Add a prompt whose first `shared` tokens are those of the prompt added last."""
        path = self.paths[-1][:shared] if self.paths else []
        for depth in range(shared, len(prompt)):
            path.append(len(self.tokens))
            self.tokens.append(prompt[depth])
            self.depths.append(depth)
        self.paths.append(path)

    def attention(self) -> torch.Tensor:
        """Which nodes each attends to: itself and its ancestors. Boolean [n, n]."""
        size = len(self.tokens)
        mask = torch.zeros((size, size), dtype=torch.bool)
        known = 0
        for path in self.paths:
            new = [node for node in path if node >= known]
            if new:
                old = path[: len(path) - len(new)]
                mask[known : known + len(new), old] = True
                mask[known : known + len(new), known : known + len(new)] = torch.ones(len(new), len(new)).tril().bool()
                known += len(new)
        return mask


def shared_prefix(one: Sequence[int], two: Sequence[int]) -> int:
    """How many first tokens two prompts have in common."""
    for position, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            return position
    return min(len(one), len(two))


def trees(prompts: Sequence[Sequence[int]], most: int) -> Iterator[Tree]:
    """Sorted prompts in trees of about `most` nodes: a tree is closed by the first prompt that goes beyond."""
    tree = Tree()
    for before, prompt in zip([(), *prompts], prompts, strict=False):
        shared = shared_prefix(before, prompt)
        if tree.paths and len(tree.tokens) + len(prompt) - shared > most:
            yield tree
            tree = Tree()
        tree.add(prompt, shared if tree.paths else 0)
    if tree.paths:
        yield tree


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Logits of each prompt's last position, float32 [prompts, vocabulary]; keys and values, padded on the left."""

    logits: torch.Tensor
    cache: DynamicCache | None
    mask: torch.Tensor
    """1 where a prompt's token stands, 0 at padding: [prompts, longest]."""


def prefill(model: Any, prompts: Sequence[Sequence[int]], pad_id: int, *, keep: bool) -> Prefilled:
    """Compute distinct prompts, sorted. `keep`: whether keys and values are wanted."""
    most = GPU_TREE_TOKENS if model.device.type == "cuda" else CPU_TREE_TOKENS
    grown = list(trees(prompts, most))
    left = sum(len(tree.tokens) for tree in grown)
    if not all_growing(new_cache(model)) or left > PAYS_BELOW * sum(map(len, prompts)):
        return _padded(model, prompts, pad_id, keep=keep)
    parts = [_tree(model, tree, keep=keep) for tree in grown]
    cache = parts[0].cache
    for part in parts[1:]:
        if cache is not None and part.cache is not None:
            join(cache, part.cache)
    width = max(part.mask.shape[1] for part in parts)
    mask = torch.cat([pad_mask(part.mask, width) for part in parts])
    return Prefilled(torch.cat([part.logits for part in parts]), cache, mask)


def _padded(model: Any, prompts: Sequence[Sequence[int]], pad_id: int, *, keep: bool) -> Prefilled:
    ids, mask = left_padded(prompts, pad_id, model.device)
    cache = new_cache(model) if keep else None
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=keep,
        logits_to_keep=1,
    ).logits
    return Prefilled(logits[:, -1].float(), cache, mask)


def _tree(model: Any, tree: Tree, *, keep: bool) -> Prefilled:
    device = model.device
    cache = new_cache(model) if keep else None
    seen = tree.attention()
    attention = torch.zeros(seen.shape, dtype=model.dtype).masked_fill(~seen, torch.finfo(model.dtype).min)
    logits = model(
        input_ids=torch.tensor([tree.tokens], device=device),
        attention_mask=attention[None, None].to(device),
        position_ids=torch.tensor([tree.depths], device=device),
        past_key_values=cache,
        use_cache=keep,
        logits_to_keep=torch.tensor([path[-1] for path in tree.paths], device=device),
    ).logits
    paths, mask = left_padded(tree.paths, 0, device)
    if cache is not None:
        select_positions(cache, paths)
    return Prefilled(logits[0].float(), cache, mask)


def left_padded(
    prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both [prompts, longest], padded on the left."""
    width = max(len(prompt) for prompt in prompts)
    ids = [[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def pad_mask(mask: torch.Tensor, width: int) -> torch.Tensor:
    """The mask with padding on the left, [rows, width]."""
    return torch.nn.functional.pad(mask, (width - mask.shape[1], 0))
