"""Hugging Face transformers as a backend, on a CPU or a GPU. Knows models and prompts, not SQL or questions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from sqljudge.backends import tokenizer
from sqljudge.backends.base import (
    Choice,
    ChoiceRequest,
    Completion,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
    Prompt,
    silent,
)
from sqljudge.backends.decoding import Decoder, fits, halved, left_padded
from sqljudge.backends.detokenize import Detokenizer
from sqljudge.backends.weights import Weights, fingerprint, hub_commit, locate
from sqljudge.errors import ConfigError, ModelError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CPU_SLOTS = 64
GPU_SLOTS = 256
CPU_PREFILL_TOKENS = 4096
GPU_PREFILL_TOKENS = 65536
MEMORY_SHARE = 0.5
"""Share of the free memory that keys and values may fill."""

logging.getLogger("transformers").setLevel(logging.ERROR)
transformers.utils.logging.disable_progress_bar()


def load(spec: ModelSpec, device: str) -> TransformersBackend:
    """Prepare a model; tokenizer and weights are loaded when first needed, so a journalled run needs no weights.

    Raises ConfigError for a dtype or quantization it cannot honour, ModelError where the weights cannot be found.
    """
    if spec.dtype not in DTYPES:
        raise ConfigError(f"models: '{spec.name}' has dtype '{spec.dtype}'; known: {', '.join(DTYPES)}")
    if spec.quantization != "none":
        raise ConfigError(f"models: '{spec.name}' asks for {spec.quantization} weights, which this backend cannot give")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            f"model '{spec.name}': the job was given a GPU, but none can be used here; run with --resources gpu=0"
        )
    return TransformersBackend(spec, locate(spec), torch.device(device))


class TransformersBackend:
    """One model and its tokenizer."""

    def __init__(self, spec: ModelSpec, weights: Weights, device: torch.device) -> None:
        self.spec = spec
        self.weights = weights
        self.device = device
        self._decoder: Decoder | None = None

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer. Raises ModelError where it cannot be loaded."""
        return self._load(AutoTokenizer)

    @cached_property
    def model(self) -> Any:
        """The model, on its device. Raises ModelError where it cannot be loaded."""
        model = self._load(AutoModelForCausalLM, dtype=DTYPES[self.spec.dtype]).to(self.device).eval()
        model.get_output_embeddings().register_forward_pre_hook(_contiguous)
        return model

    def _load(self, kind: Any, **arguments: Any) -> Any:
        return tokenizer.from_pretrained(kind, self.spec, self.weights, **arguments)

    def render_chat(self, user: str, opening: str) -> Prompt:
        """A user's turn in the model's chat template, then the opening of the answer."""
        return tokenizer.render_chat(self.tokenizer, self.spec.name, user, opening)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt."""
        return tokenizer.encode(self.tokenizer, prompt)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        return tokenizer.decode(self.tokenizer, ids)

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        """Completions as they finish, each with its request's position."""
        prompts = [self.encode(request.prompt) for request in requests]
        if not requests:
            return
        if self._decoder is None:
            self._decoder = Decoder(
                self.model,
                end_ids=self._end_ids(),
                pad_id=self._pad_id(),
                slots=self._slots(max(map(len, prompts)) + max(r.max_new_tokens for r in requests)),
                new_detokenizer=lambda prompt_ids: Detokenizer(self.decode, prompt_ids),
            )
        yield from self._decoder.run(requests, prompts, heartbeat)

    @torch.inference_mode()
    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice]]:
        """Next-token probabilities in length-sorted batches; only the last position's logits are computed."""
        prompts = [self.encode(request.prompt) for request in requests]
        tokens = [[self._word_token(request.prompt, word) for word in request.words] for request in requests]
        order = sorted(range(len(requests)), key=lambda i: -len(prompts[i]))
        most = GPU_PREFILL_TOKENS if self.device.type == "cuda" else CPU_PREFILL_TOKENS
        rows = len(requests)
        while order:
            rows = min(rows, max(1, most // len(prompts[order[0]])))
            batch = order[:rows]
            found: list[torch.Tensor] = []
            if not fits(self._last_probabilities, [prompts[i] for i in batch], found):
                rows = halved(len(batch), rows)
                continue
            order = order[len(batch) :]
            for row, i in enumerate(batch):
                yield i, Choice(tuple(float(found[0][row, token]) for token in tokens[i]), len(prompts[i]))

    def _last_probabilities(self, prompts: Sequence[list[int]], found: list[torch.Tensor]) -> None:
        """Add the probabilities of each prompt's next token, float32 [prompts, vocabulary], to `found`."""
        ids, mask = left_padded(prompts, self._pad_id(), self.device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        output = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1
        )
        found.append(output.logits[:, -1].float().softmax(-1).cpu())

    def _word_token(self, prompt: Prompt, word: str) -> int:
        """The one token that a word is after this prompt."""
        return tokenizer.word_token(self.tokenizer, self.spec.name, prompt, word)

    def _end_ids(self) -> frozenset[int]:
        return tokenizer.end_ids(self.tokenizer, self.model.generation_config.eos_token_id)

    def _pad_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else next(iter(self._end_ids()), 0)

    def _slots(self, longest: int) -> int:
        """Rows that fit: keys and values of `longest` positions each, in a share of the free memory."""
        config = self.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        per_row = 2 * config.num_hidden_layers * heads * size * self.model.dtype.itemsize * longest
        most = GPU_SLOTS if self.device.type == "cuda" else CPU_SLOTS
        return max(1, min(most, int(free_memory(self.device) * MEMORY_SHARE / per_row)))

    @cache  # noqa: B019  (one backend lives as long as its job)
    def identity(self) -> dict[str, str]:
        """What makes two runs' answers the same."""
        local = self.weights.local
        revision = fingerprint(self.weights) if local else hub_commit(self.spec, lambda: self._load(AutoConfig))
        return {
            "model": self.weights.gguf_file or Path(self.weights.location).name,
            "revision": revision,
            "dtype": self.spec.dtype,
            "quantization": self.spec.quantization,
            "backend": f"transformers-{transformers.__version__.split('.')[0]}",
        }

    def describe(self) -> dict[str, Any]:
        """Device, versions and batch size."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return {
            "device": name,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "slots": self._decoder.slots if self._decoder else None,
        }


def _contiguous(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The last position's hidden states, laid out without gaps.

    They are a slice of all positions; a CPU took 500 times as long for a bfloat16 product of such a slice (torch 2.13).
    """
    return tuple(each.contiguous() for each in inputs)


def free_memory(device: torch.device) -> int:
    """Free bytes on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
