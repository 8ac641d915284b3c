"""A task that a tiny model learns in seconds, and such a model: letters in, letters out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sqljudge.models.engines.base import Completion, ModelSpec, Prompt
from sqljudge.training.items import Item
from sqljudge.training.methods import settings_of
from sqljudge.training.policy import Policy
from sqljudge.training.rewards import Response
from sqljudge.training.rollouts import Rollouts
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

LETTERS = [*'abcdefghijklmnopqrstuvwxyz0123456789 .:?\n{}"\\']
ADDED = ("<think>", "</think>", " Yes", " No", " true", " false")
WORDS = ["<unk>", "<s>", "</s>", *LETTERS, *"AYN", *ADDED]


def save_tiny(folder: Path, *, hidden: int = 32, layers: int = 2, spread: float = 0.1, seed: int = 0) -> Path:
    """A random Llama with one token a character, as a folder."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=spread,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    inner.add_tokens([AddedToken(word, normalized=False) for word in ADDED])
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Echo:
    """An item asks for the letter in its question: a response is right if it holds it."""

    opening: str = ""

    def prompt(self, item: Item) -> Prompt:
        return Prompt(f"{item.question}:{self.opening}")

    def opened(self, prompt: Prompt) -> bool:
        return "<think>" in prompt.text

    def responses(self, items: Sequence[Item], completions: Sequence[Completion]) -> list[Response]:
        return [
            Response(item.id, each.text, each.token_ids, each.finish_reason == "stop", item.question in each.text)
            for item, each in zip(items, completions, strict=True)
        ]


def letters(some: str = "abcdefgh") -> list[Item]:
    return [Item(letter, letter, question=letter, label=1) for letter in some]


def rollouts(
    folder: Path, method: str, *, seed: int = 0, items: Any = None, task: Any = None, **given: Any
) -> Rollouts:
    """Rollouts of a saved model over the letters."""
    settings = settings_of(method, {"budget": 8, "micro": 64, **given})
    if "rank" not in given:
        settings = replace(settings, rank=0)
    policy = Policy(ModelSpec("tiny", str(folder), dtype="float32"), "cpu")
    return Rollouts(policy, task or Echo(), items or letters(), [], method, settings, seed)
