"""Hugging Face transformers as a backend, on a CPU or a GPU. Knows models and prompts, not SQL or questions.

torch and transformers take seconds to import, so they are imported where a model or its tokenizer is loaded: a job
whose answers are all in the journal does without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.models import standing
from sqljudge.models.device import check_usable, device_name
from sqljudge.models.engines import tokenizer
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
    Prompt,
    beyond_context,
    silent,
)
from sqljudge.models.engines.tokenizer import Detokenizer
from sqljudge.models.engines.weights import Weights, hub_commit, locate, note_origin, origin
from sqljudge.models.importing import no_garbage

if TYPE_CHECKING:
    import torch

    from sqljudge.models.engines.batching import Decoder

DTYPES = ("float32", "bfloat16", "float16")
CPU_SLOTS = 64
GPU_SLOTS = 512
CPU_BATCH = 64
GPU_BATCH = 2048
"""Requests of a batch: a job that is killed loses those under way, and at the end of a batch slots stand empty."""
CPU_PREFILL_TOKENS = 4096
GPU_PREFILL_TOKENS = 65536
TEXTS_KEPT = 2**17
"""Decoded windows of a token or two that are kept."""
MEMORY_SHARE = 0.5
"""Share of the memory, the model's weights taken off, that keys and values may fill."""


def load(spec: ModelSpec, device: str) -> TransformersBackend:
    """Prepare a model; tokenizer and weights are loaded, and the device is used, when first needed.

    Raises ConfigError for a dtype it does not know, ModelError where the weights, or what quantizes them, are missing.
    """
    if spec.dtype not in DTYPES:
        raise ConfigError(f"models: '{spec.name}' has dtype '{spec.dtype}'; known: {', '.join(DTYPES)}")
    if spec.quantization != "none" and not find_spec("bitsandbytes"):
        raise ModelError(
            f"model '{spec.name}' asks for {spec.quantization} weights, for which the package bitsandbytes is missing; "
            "run: pip install -r requirements-quantized.txt"
        )
    return TransformersBackend(spec, locate(spec), device)


def unpack(spec: ModelSpec, folder: Path) -> None:
    """Write a GGUF file's weights and tokenizer as a folder that loads in a second, in place of ten.

    Raises as `load` does, and ModelError where the weights cannot be loaded.
    """
    dtype = "float32" if spec.dtype == "auto" else spec.dtype  # which loses nothing, whatever machine takes them
    backend = load(replace(spec, dtype=dtype, quantization="none", placement="device"), "cpu")
    model = backend.whole_model()
    model.hf_quantizer = None  # its weights were unpacked when they were read; the library still thinks not
    model.config.__dict__.pop("quantization_config", None)
    model.save_pretrained(folder)
    backend.tokenizer.save_pretrained(folder)
    note_origin(folder, backend.weights)


class TransformersBackend:
    """One model and its tokenizer."""

    def __init__(self, spec: ModelSpec, weights: Weights, device: str) -> None:
        self.spec = spec
        self.weights = weights
        self.device = device
        self._most_slots = GPU_SLOTS if device == "cuda" else CPU_SLOTS
        self._slots_used: int | None = None

    @property
    def batch(self) -> int:
        """Requests that are computed together."""
        return GPU_BATCH if self.device == "cuda" else CPU_BATCH

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer. Raises ModelError where it cannot be loaded."""
        with no_garbage():
            return tokenizer.load_tokenizer(self.spec, self.weights)

    @cached_property
    def model(self) -> Any:
        """The model to compute with. Raises as `whole_model`."""
        from sqljudge.models.engines import packing

        model = self.whole_model()
        if self.spec.quantization == "none" and packing.pays(model):
            packing.pack(model)
        model.get_output_embeddings().register_forward_pre_hook(_contiguous)
        return model

    def whole_model(self) -> Any:
        """The model, on its device, for who saves it. Raises ModelError where it or the device cannot be had."""
        with no_garbage():
            import transformers

            check_usable(self.device, self.spec.name)
            standing.clear(self.device)
            transformers.utils.logging.disable_progress_bar()
            kind = transformers.AutoModelForCausalLM
            model = self._load(kind, dtype=_dtype(self.spec), **self._placement()).eval()
        if self.spec.quantization == "none":
            _align(model)
        return model

    def _placement(self) -> dict[str, Any]:
        """Where the library puts the weights, and in how many bits."""
        from transformers import BitsAndBytesConfig

        where: dict[str, Any] = {"device_map": "auto" if self.spec.placement == "offload" else {"": self.device}}
        if self.spec.quantization == "8bit":
            where["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
        elif self.spec.quantization == "4bit":
            compute = _dtype(self.spec)
            where["quantization_config"] = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=compute)
        return where

    def _load(self, kind: Any, **arguments: Any) -> Any:
        return tokenizer.from_pretrained(kind, self.spec, self.weights, **arguments)

    def _settings(self) -> Any:
        from transformers import AutoConfig

        return self._load(AutoConfig)

    @cached_property
    def _chat(self) -> Any:
        return tokenizer.plain_chat(self.weights) or self.tokenizer

    def render_chat(self, user: str, opening: str) -> Prompt:
        """A user's turn in the model's chat template, then the opening of the answer."""
        return tokenizer.render_chat(self._chat, self.spec.name, user, opening)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt."""
        return tokenizer.encode(self.tokenizer, prompt)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        return tokenizer.decode(self.tokenizer, ids)

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion | Failure]]:
        """Completions as they finish, each with its request's position; first the failures: what does not fit."""
        whole = [self.encode(request.prompt) for request in requests]
        refused = self._refused(requests, whole)
        yield from refused.items()
        sent = [i for i in range(len(requests)) if i not in refused]
        if not sent:
            return
        requests, prompts = [requests[i] for i in sent], [whole[i] for i in sent]
        decoder, allowed = self._decoder, self.slots(max(map(len, prompts)) + max(r.max_new_tokens for r in requests))
        decoder.slots = allowed
        yield from ((sent[i], answer) for i, answer in decoder.run(requests, prompts, heartbeat))
        self._slots_used = decoder.slots
        if decoder.slots < allowed:  # memory ran out: the next batch begins with what fitted
            self._most_slots = decoder.slots

    @cached_property
    def _decoder(self) -> Decoder:
        from sqljudge.models.engines.batching import Decoder

        known = lru_cache(maxsize=TEXTS_KEPT)(self.decode)  # windows of a token or two recur
        return Decoder(
            self.model,
            end_ids=self._end_ids(),
            pad_id=self._pad_id(),
            slots=self._most_slots,
            new_detokenizer=lambda prompt_ids: Detokenizer(lambda ids: known(tuple(ids)), prompt_ids),
            fixed=self.device == "cuda",
        )

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice | Failure]]:
        """Next-token probabilities; only the last positions' logits are computed. Failures as above."""
        from sqljudge.models.engines.batching import fits, halved

        prompts = [self.encode(request.prompt) for request in requests]
        tokens = [tokenizer.choice_tokens(self.tokenizer, self.spec.name, request) for request in requests]
        refused = self._refused(requests, prompts)
        yield from refused.items()
        order = sorted(refused.keys() ^ set(range(len(requests))), key=lambda i: prompts[i])
        most = GPU_PREFILL_TOKENS if self.device == "cuda" else CPU_PREFILL_TOKENS
        limit = len(requests)
        while order:
            rows = min(limit, max(1, most // max(len(prompts[i]) for i in order[:limit])))
            batch = order[:rows]
            found: list[torch.Tensor] = []
            if not fits(self._last_probabilities, [prompts[i] for i in batch], found):
                limit = halved(len(batch), limit)
                continue
            order = order[len(batch) :]
            for row, i in enumerate(batch):
                sums = (float(found[0][row, list(ids)].sum()) for ids in tokens[i])
                read = len(prompts[i])
                yield i, Choice(tuple(sums), read, read if found[1:] and found[1][row] else 0)

    def _last_probabilities(self, prompts: Sequence[list[int]], found: list[torch.Tensor]) -> None:
        """Add the probabilities of each prompt's next token, float32 [prompts, vocabulary], to `found`.

        Two models that share the work add which prompts the large one read, boolean [prompts].
        """
        import torch

        from sqljudge.models.engines.prefill import prefill

        distinct = sorted({tuple(prompt) for prompt in prompts})
        where = [distinct.index(tuple(prompt)) for prompt in prompts]
        with torch.inference_mode():
            logits = prefill(self.model, distinct, self._pad_id(), keep=False).logits
            found.append(logits[where].softmax(-1).cpu())

    def refused(self, requests: Sequence[GenerationRequest | ChoiceRequest]) -> dict[int, Failure]:
        """The requests that do not fit the context, by position."""
        return self._refused(requests, (self.encode(request.prompt) for request in requests))

    def _refused(
        self, requests: Sequence[GenerationRequest | ChoiceRequest], prompts: Iterable[list[int]]
    ) -> dict[int, Failure]:
        if not requests:
            return {}
        return beyond_context(requests, prompts, self._context())

    def _context(self) -> int | None:
        return self.spec.context or getattr(self.model.config, "max_position_embeddings", None)

    def _parts(self) -> list[Any]:
        """The models whose weights, keys and values share the memory."""
        return [self.model]

    def _end_ids(self) -> frozenset[int]:
        return tokenizer.end_ids(self.tokenizer, self.model.generation_config.eos_token_id)

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return self._end_ids()

    def _pad_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else next(iter(self._end_ids()), 0)

    def slots(self, longest: int) -> int:
        """Rows computed at once: at most those whose keys and values, `longest` positions each, fit a share of memory.

        Of all memory, not of what is free at the moment: the same job is batched in the same way each time.
        """
        per_row = longest * sum(map(_bytes_a_position, self._parts()))
        room = memory(self.device) - sum(model.get_memory_footprint() for model in self._parts())
        return max(1, min(self._most_slots, int(room * MEMORY_SHARE / per_row)))

    @cache  # noqa: B019  (one backend lives as long as its job)
    def identity(self) -> dict[str, str]:
        """What makes two runs' answers the same."""
        if self.weights.local:
            model, revision = origin(self.weights)
        else:
            model, revision = Path(self.weights.location).name, hub_commit(self.spec, self._settings)
        return {
            "model": model,
            "revision": revision,
            "dtype": self.spec.dtype,
            "quantization": self.spec.quantization,
            "backend": f"transformers-{version('transformers').split('.')[0]}",
            **({"placement": "offload"} if self.spec.placement == "offload" else {}),
        }

    def describe(self) -> dict[str, Any]:
        """Device, versions and batch size."""
        return {
            "device": device_name(self.device),
            "torch": version("torch"),
            "transformers": version("transformers"),
            "slots": self._slots_used,
        }


def _dtype(spec: ModelSpec) -> torch.dtype:
    import torch

    found: torch.dtype = getattr(torch, spec.dtype)
    return found


def _bytes_a_position(model: Any) -> int:
    """Bytes of the keys and values of one position."""
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)


def _align(model: torch.nn.Module) -> None:
    """Begin each weight at a multiple of 64 bytes, wherever its file put it: a CPU's last digits depend on that."""
    for parameter in model.parameters():
        if parameter.device.type == "cpu" and parameter.data_ptr() % 64:
            parameter.data = parameter.data.clone()


def _contiguous(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The last position's hidden states, laid out without gaps.

    They are a slice of all positions; a CPU took 500 times as long for a bfloat16 product of such a slice (torch 2.13).
    """
    return tuple(each.contiguous() for each in inputs)


def memory(device: str) -> int:
    """Bytes of memory that a device has."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[1])
    return int(psutil.virtual_memory().total)
