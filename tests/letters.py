"""Tiny random models with a tokenizer of letters, as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conftest import tiny_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["<unk>", "</s>", "<|endoftext|>", "Ġ", ":", "?", *LETTERS]


def save(folder: Path, kind: str, seed: int, words: list[str] = WORDS, **other: Any) -> Path:
    """A tiny model with a tokenizer of letters."""
    tiny_model(kind, seed, **{"vocab_size": 40, **other}).save_pretrained(folder)
    inner = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="</s>").save_pretrained(folder)
    return folder
