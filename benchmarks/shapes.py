"""Models of known shapes with random weights, prompts of random words, and the limits that a machine sets for them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHAPES: dict[str, dict[str, Any]] = {
    "qwen2-1.5b": {
        "model_type": "qwen2",
        "num_hidden_layers": 28,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
        "tie_word_embeddings": False,
    },
    "llama-13b": {
        "model_type": "llama",
        "num_hidden_layers": 40,
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_attention_heads": 40,
        "num_key_value_heads": 40,
        "vocab_size": 32_016,
    },
    "tiny": {
        "model_type": "qwen2",
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 500,
    },
}
"""The paper's reasoning model, its largest model, and one to try the script with."""

FIXED_WORDS = ("Yes", "No")


def words(shape: str) -> list[str]:
    """The vocabulary: a word is a token."""
    size = SHAPES[shape]["vocab_size"]
    return [*FIXED_WORDS, *(f"w{number}" for number in range(size - len(FIXED_WORDS)))]


def write_model(shape: str, dtype: str, device: str, folder: Path) -> None:
    """Write a model with random weights, made on a device; it never ends an answer by itself."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    limits = {"max_position_embeddings": 8192, "eos_token_id": None, "bos_token_id": None}
    config = AutoConfig.for_model(**SHAPES[shape], **limits, dtype=getattr(torch, dtype))
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.save_pretrained(folder)


def tokenizer(shape: str) -> Any:
    """A tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(words(shape))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=FIXED_WORDS[0]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=FIXED_WORDS[0])


def prompts(shape: str, questions: int, candidates: int, tokens: int, shared: int = 0) -> list[list[str]]:
    """Texts of so many tokens, drawn with a fixed seed; those of one question begin with the same `shared` tokens."""
    draw = random.Random(0)
    known = words(shape)

    def some(count: int) -> list[str]:
        return draw.choices(known, k=count)

    texts = []
    for _ in range(questions):
        head = some(shared)
        texts.append([" ".join(head + some(tokens - shared)) for _ in range(candidates)])
    return texts


def timed(device: str, work: Callable[[], Any], repeats: int = 10) -> float:
    """Seconds of one call: the best of several, after one to warm up."""
    import torch

    seconds = []
    for _ in range(repeats + 1):
        start = time.monotonic()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - start)
    return min(seconds[1:])


def bandwidth(device: str) -> float:
    """Measured memory bandwidth, bytes read and written a second, of a copy of 1 GiB (on a CPU 256 MiB)."""
    import torch

    size = 2**30 if device == "cuda" else 2**28
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / timed(device, lambda: target.copy_(source))


def matmul_rate(device: str, dtype: str) -> float:
    """Measured floating-point operations a second of a large square matrix product."""
    import torch

    size = 8192 if device == "cuda" else 1024
    left = torch.ones(size, size, dtype=getattr(torch, dtype), device=device)
    return 2 * size**3 / timed(device, lambda: left @ left)


def decode_bound(model: Any, rows: int, prompt_tokens: int, new_tokens: int, bytes_a_second: float) -> float:
    """Most new tokens a second when a step reads all weights once and each row's keys and values.

    Rows are taken at their mean length; token embeddings, of which a step reads a few rows, are left out.
    """
    config = model.config
    width = model.dtype.itemsize
    size = config.hidden_size // config.num_attention_heads
    embeddings = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size
    weights = (model.num_parameters() - embeddings) * width
    per_position = 2 * config.num_hidden_layers * config.num_key_value_heads * size * width
    cache = rows * (prompt_tokens + new_tokens / 2) * per_position
    return float(rows * bytes_a_second / (weights + cache))


def pass_bound(model: Any, prompt_tokens: int, operations_a_second: float) -> float:
    """Most prompt tokens a second of a forward pass: two operations a weight and token, the output once a prompt."""
    config = model.config
    output = config.vocab_size * config.hidden_size
    layers = model.num_parameters() - output * (1 if config.tie_word_embeddings else 2)
    return float(operations_a_second / (2 * (layers + output / prompt_tokens)))
