"""Prompts that begin alike are computed once, and each gives what it would give alone."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.models.engines import prefill as prefilling
from sqljudge.models.engines.prefill import Tree, left_padded, prefill, shared_prefix, trees
from torch.overrides import TorchFunctionMode

VOCABULARY = 61


def test_left_padded() -> None:
    ids, mask = left_padded([[5, 6, 7], [8]], 0, torch.device("cpu"))
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


def family(seed: int, *branches: int) -> list[tuple[int, ...]]:
    """Sorted distinct prompts that share 9 tokens; each number is how many own tokens one of them has."""
    draw = random.Random(seed)
    root = [draw.randrange(VOCABULARY) for _ in range(9)]
    return sorted({tuple(root + [draw.randrange(VOCABULARY) for _ in range(size)]) for size in branches})


def alone(model: Any, prompt: Sequence[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([list(prompt)])).logits[0, -1].float()
    return logits


@pytest.fixture
def counted(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each forward pass of the tiny model computes, padding included."""
    seen: list[int] = []
    forward = tiny.forward

    def watched(*plain: torch.Tensor, **inputs: Any) -> Any:
        if not plain:
            seen.append(inputs["input_ids"].numel())
        return forward(*plain, **inputs)

    monkeypatch.setattr(tiny, "forward", watched)
    return seen


@pytest.fixture(params=[1, 3, 64])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Nodes whose attention is computed together."""
    monkeypatch.setattr(prefilling, "TREE_ROWS", request.param)
    return int(request.param)


class Attended(TorchFunctionMode):
    """Notes queries and keys of each computation of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            self.sizes.append((args[0].shape[2], args[1].shape[2]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("size", [2, 5])
def test_a_block_of_a_tree_computes_the_keys_alone_that_it_attends_to(tiny: Any, rows: int, size: int) -> None:
    prompts = family(3, *[size] * 8)
    (tree,) = trees(prompts, 1024)
    with torch.inference_mode(), Attended() as attended:
        found = prefill(tiny, prompts, 0, keep=False)
    layers = tiny.config.num_hidden_layers
    blocks = math.ceil(len(tree.tokens) / rows)
    assert len(attended.sizes) == layers * blocks
    assert sum(queries for queries, _ in attended.sizes) == layers * len(tree.tokens)
    seen = tree.attention(torch.device("cpu"))
    needed = [int(seen[i : i + rows].any(0).sum()) for i in range(0, len(tree.tokens), rows)]
    assert [keys for _, keys in attended.sizes] == needed * layers
    for logits, prompt in zip(found.logits, prompts, strict=True):
        assert torch.allclose(logits, alone(tiny, prompt), atol=1e-4)


@pytest.mark.parametrize("most", [16, 1024])
def test_logits_are_those_of_each_prompt_alone(
    tiny: Any, counted: list[int], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setitem(prefilling.TREE_TOKENS, "cpu", most)
    prompts = family(3, 0, 2, 2, 5, 3)
    with torch.inference_mode():
        found = prefill(tiny, prompts, 0, keep=False)
    assert found.cache is None
    assert sum(counted) < sum(map(len, prompts))
    assert (len(counted) > 1) == (most == 16)
    for logits, prompt in zip(found.logits, prompts, strict=True):
        assert torch.allclose(logits, alone(tiny, prompt), atol=1e-4)


@pytest.mark.parametrize("most", [16, 1024])
def test_what_is_kept_goes_on_as_each_prompt_alone(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, rows: int, most: int
) -> None:
    monkeypatch.setitem(prefilling.TREE_TOKENS, "cpu", most)
    prompts = family(5, 1, 4, 0, 2, 6, 6)
    with torch.inference_mode():
        found = prefill(tiny, prompts, 0, keep=True)
        assert found.mask.sum(1).tolist() == [len(prompt) for prompt in prompts]
        logits = tiny(
            input_ids=torch.full((len(prompts), 1), 7),
            attention_mask=torch.nn.functional.pad(found.mask, (0, 1), value=1),
            position_ids=found.mask.sum(1, keepdim=True),
            past_key_values=found.cache,
        ).logits[:, -1]
    for row, prompt in zip(logits, prompts, strict=True):
        assert torch.allclose(row, alone(tiny, (*prompt, 7)), atol=1e-4)


def test_prompts_that_share_too_little_are_padded(tiny: Any, counted: list[int]) -> None:
    prompts = [(1, 2, 3, 4), (2, 3, 4), (5, 6, 7, 8, 9)]
    with torch.inference_mode():
        found = prefill(tiny, prompts, 0, keep=True)
    assert counted == [15]
    for logits, prompt in zip(found.logits, prompts, strict=True):
        assert torch.allclose(logits, alone(tiny, prompt), atol=1e-4)


PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7).map(tuple), min_size=1, max_size=12)


@given(PROMPTS.map(lambda prompts: sorted(set(prompts))), st.integers(1, 30))
def test_paths_spell_the_prompts_and_attention_follows_them(prompts: list[tuple[int, ...]], most: int) -> None:
    grown = list(trees(prompts, most))
    paths = [(tree, path) for tree in grown for path in tree.paths]
    assert [tuple(tree.tokens[node] for node in path) for tree, path in paths] == prompts
    for tree, path in paths:
        seen = tree.attention(torch.device("cpu"))
        for depth, node in enumerate(path):
            assert seen[node].nonzero().flatten().tolist() == path[: depth + 1]
            assert tree.depths[node] == depth
    for tree in grown:
        assert len(tree.tokens) <= most or len(tree.paths) == 1
        assert len(tree.tokens) == len({prompt[: i + 1] for prompt in spelled(tree) for i in range(len(prompt))})


def spelled(tree: Tree) -> list[tuple[int, ...]]:
    return [tuple(tree.tokens[node] for node in path) for path in tree.paths]


def test_shared_prefix() -> None:
    assert shared_prefix([1, 2, 3], [1, 2, 4]) == 2
    assert shared_prefix([1, 2], [1, 2, 4]) == 2
    assert shared_prefix([], [1]) == 0
