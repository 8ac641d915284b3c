"""The model that is trained, and the engine that answers with its present weights.

There are two copies: the one that a trainer changes (with an adapter, or all of its weights), and the engine's, into
which the merged weights are written before it answers. So rollouts go at the speed of this project's batching engine,
and no weight is ever merged and taken out again, which would change its last digits.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sqljudge.core.errors import ModelError
from sqljudge.models.device import fastest_dtype
from sqljudge.models.engines import tokenizer as tokens
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    ModelSpec,
    Prompt,
)
from sqljudge.models.engines.transformers import TransformersBackend, load
from sqljudge.training.methods import Settings


def lora(settings: Settings) -> Any:
    """The adapter's configuration: on all linear layers, without dropout, alpha twice the rank."""
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ModelError("the package peft is missing; run: pip install -r requirements-train.txt") from error
    return LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


class Policy:
    """A base model, a copy to train, and the engine."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        """Load a base model. Raises as the engine's `load` does."""
        dtype = fastest_dtype(device) if spec.dtype == "auto" else spec.dtype
        self.reads_in = dtype
        """The dtype for passes through weights that are not trained."""
        if device == "cpu" and dtype == "bfloat16":
            dtype = "float32"  # optimisers lose small steps in half of the digits
        self.spec = replace(spec, dtype=dtype)
        self.backend: TransformersBackend = load(self.spec, device)
        self.trained: Any = None

    def copy(self) -> Any:
        """The weights to train: a copy that the engine does not share."""
        model = copy.deepcopy(self.backend.model)
        model.get_output_embeddings()._forward_pre_hooks.clear()
        return model

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, with a token to pad with."""
        found = copy.deepcopy(self.backend.tokenizer)
        found.padding_side = "left"
        if found.pad_token_id is None:
            found.pad_token = found.eos_token
        return found

    def end_id(self) -> int:
        """The token that ends a response."""
        return int(self.backend.tokenizer.eos_token_id)

    @torch.no_grad()
    def refresh(self) -> None:
        """Write the present weights of `trained` into the engine's copy, an adapter merged in float32."""
        if self.trained is None:
            return
        own = dict(self.backend.model.named_parameters())
        if not hasattr(self.trained, "peft_config"):
            for name, parameter in self.trained.named_parameters():
                own[name].copy_(parameter)
            return
        base = self.trained.get_base_model()
        for name, module in base.named_modules():
            if hasattr(module, "get_delta_weight"):
                weight = module.base_layer.weight
                delta = module.get_delta_weight("default")
                own[f"{name}.weight"].copy_((weight.float() + delta.float()).to(weight.dtype))

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion]:
        """One completion a request, in order. Raises ModelError where a prompt does not fit the model's context."""
        found = dict(self.backend.generate(requests))
        return [answered(found[i]) for i in range(len(requests))]

    def choose(self, requests: Sequence[ChoiceRequest]) -> list[Choice]:
        """Next-token probabilities, in order; raises as `generate`."""
        found = dict(self.backend.choose(requests))
        return [answered(found[i]) for i in range(len(requests))]

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt."""
        return self.backend.encode(prompt)

    def words(self, request: ChoiceRequest) -> tuple[int, ...]:
        """The one token of each word of a request after its prompt."""
        found = tokens.choice_tokens(self.backend.tokenizer, self.spec.name, request)
        return tuple(ids[0] for ids in found)


def answered(answer: Any) -> Any:
    """An engine's answer. Raises ModelError where it is none."""
    if isinstance(answer, Failure):
        raise ModelError(f"a training prompt got no answer: {answer.reason}; leave its item out, or lower the budget")
    return answer


def save_trained(trained: Any, folder: Path) -> None:
    """Write what was trained: an adapter, or all weights."""
    trained.save_pretrained(folder)
