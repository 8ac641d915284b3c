"""vLLM as a backend, on a GPU. Knows models and prompts, not SQL or questions.

Written from vLLM 0.33's documented interface, and tested against a stand-in with the same signatures: it has not been
run with vLLM itself. vLLM is an optional installation, see `envs/vllm.yaml`. Its samples depend on the seed and sample
index, but it promises the same answer again only on the same machine, version and queue of requests.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.models.engines import tokenizer
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
    Prompt,
    request_seed,
    silent,
)
from sqljudge.models.engines.tokenizer import Detokenizer
from sqljudge.models.engines.weights import Weights, fingerprint, hub_commit, locate

QUANTIZATIONS = {"none": None, "4bit": "bitsandbytes"}
"""What vLLM calls the ways in which weights can be held; it cannot turn plain weights into 8 bits in memory."""
BATCH = 1024
"""Requests given to vLLM at once: what a killed job loses at most. It forms its own batches of them."""


def load(spec: ModelSpec, device: str) -> VllmBackend:
    """Prepare a model; vLLM itself is loaded when a request comes, so a journalled run needs no weights.

    Raises ConfigError for a quantization that it cannot honour, ModelError where the weights cannot be found.
    """
    if spec.quantization not in QUANTIZATIONS:
        raise ConfigError(f"models: '{spec.name}' asks for {spec.quantization} weights, which vLLM cannot give")
    weights = locate(spec)
    if weights.gguf_file:
        raise ConfigError(f"models: '{spec.name}' is a GGUF file; use the backend transformers for it")
    return VllmBackend(spec, weights, device)


class VllmBackend:
    """One model and its tokenizer."""

    batch = 0

    def __init__(self, spec: ModelSpec, weights: Weights, device: str) -> None:
        self.spec = spec
        self.weights = weights
        self.device = device

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer. Raises ModelError where it cannot be loaded."""
        return tokenizer.load_tokenizer(self.spec, self.weights)

    @cached_property
    def vllm(self) -> Any:
        """The library. Raises ModelError where it is not installed."""
        try:
            return import_module("vllm")
        except ImportError as error:
            raise ModelError(
                f"model '{self.spec.name}': vLLM is not installed ({error}); "
                "run with --sdm conda, or make the environment of envs/vllm.yaml"
            ) from error

    @cached_property
    def engine(self) -> Any:
        """The model in vLLM. Raises ModelError where it cannot be loaded, or where the job has no GPU."""
        if self.device != "cuda":
            raise ModelError(f"model '{self.spec.name}': vLLM needs a GPU; run with --resources gpu=1")
        revision = None if self.weights.local else self.spec.revision
        library = self.vllm
        try:
            return library.LLM(
                model=self.weights.location,
                revision=revision,
                tokenizer_revision=revision,
                dtype=self.spec.dtype,
                quantization=QUANTIZATIONS[self.spec.quantization],
                seed=0,
                enable_prefix_caching=True,
            )
        except Exception as error:  # whatever the engine raises at start: no GPU, no memory, a damaged file
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise ModelError(f"model '{self.spec.name}': vLLM cannot load {self.spec.source} ({reason})") from error

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        from transformers import GenerationConfig

        try:
            settings = tokenizer.from_pretrained(GenerationConfig, self.spec, self.weights)
        except ModelError:  # a model need not have generation settings
            return tokenizer.end_ids(self.tokenizer, None)
        return tokenizer.end_ids(self.tokenizer, settings.eos_token_id)

    def render_chat(self, user: str, opening: str) -> Prompt:
        """A user's turn in the model's chat template, then the opening of the answer."""
        return tokenizer.render_chat(self.tokenizer, self.spec.name, user, opening)

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion]]:
        """Completions, batch after batch, each with its request's position."""
        prompts = [tokenizer.encode(self.tokenizer, request.prompt) for request in requests]
        settings = [self._sampling(request) for request in requests]
        for i, output in self._run(prompts, settings):
            yield i, self._completion(requests[i], prompts[i], output.outputs[0])

    def _sampling(self, request: GenerationRequest) -> Any:
        return self.vllm.SamplingParams(
            temperature=request.temperature,
            max_tokens=request.max_new_tokens,
            seed=request_seed(request) if request.temperature > 0 else None,
            stop=list(request.stop),
            stop_token_ids=sorted(self.end_ids),
            include_stop_str_in_output=True,
            logprobs=0,
        )

    def _completion(self, request: GenerationRequest, prompt: list[int], output: Any) -> Completion:
        """The text is decoded here from the token ids, so that it and its ends are as with the backend transformers."""
        if output.finish_reason not in ("stop", "length"):
            raise ModelError(f"model '{self.spec.name}': vLLM ended a request with {output.finish_reason!r}; run again")
        ids = list(output.token_ids)
        text = Detokenizer(lambda some: tokenizer.decode(self.tokenizer, some), prompt)
        for token in ids:
            if token in self.end_ids:
                text.stay()
            else:
                text.add(token)
        if output.finish_reason == "stop" and ids:
            text.finish()
        logprobs = tuple(self._logprob(places, token) for places, token in zip(output.logprobs, ids, strict=True))
        return Completion(text.text, tuple(ids), logprobs, tuple(text.ends), output.finish_reason, len(prompt))

    def _logprob(self, listed: Mapping[int, Any], token: int) -> float:
        if token not in listed:
            raise ModelError(f"model '{self.spec.name}': vLLM gave no log-probability of token {token}; is it 0.33?")
        return float(listed[token].logprob)

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice]]:
        """Next-token probabilities: one token is taken, and those of the words' tokens are asked for."""
        prompts = [tokenizer.encode(self.tokenizer, request.prompt) for request in requests]
        words = [tokenizer.choice_tokens(self.tokenizer, self.spec.name, request) for request in requests]
        settings = [self._scoring(sorted({token for ids in groups for token in ids})) for groups in words]
        for i, output in self._run(prompts, settings):
            listed = output.outputs[0].logprobs[0]
            found = (min(1.0, sum(math.exp(self._logprob(listed, token)) for token in ids)) for ids in words[i])
            yield i, Choice(tuple(found), len(prompts[i]))

    def _scoring(self, ids: list[int]) -> Any:
        return self.vllm.SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=ids)

    def _run(self, prompts: Sequence[list[int]], settings: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """vLLM's outputs, each with its prompt's position; prompts that begin alike stand together."""
        order = sorted(range(len(prompts)), key=lambda i: prompts[i])
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            inputs = [{"prompt_token_ids": prompts[i]} for i in batch]
            outputs = self.engine.generate(inputs, sampling_params=[settings[i] for i in batch], use_tqdm=False)
            yield from zip(batch, outputs, strict=True)

    @cache  # noqa: B019  (one backend lives as long as its job)
    def identity(self) -> dict[str, str]:
        """What makes two runs' answers the same."""
        return {
            "model": Path(self.weights.location).name,
            "revision": fingerprint(self.weights) if self.weights.local else hub_commit(self.spec, self._settings),
            "dtype": self.spec.dtype,
            "quantization": self.spec.quantization,
            "backend": "vllm",
        }

    def _settings(self) -> Any:
        from transformers import AutoConfig

        return tokenizer.from_pretrained(AutoConfig, self.spec, self.weights)

    def describe(self) -> dict[str, Any]:
        """The engine's version, where it was loaded."""
        loaded = "engine" in self.__dict__
        return {"device": self.device, "vllm": getattr(self.vllm, "__version__", "unknown") if loaded else None}
