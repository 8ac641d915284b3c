"""Inference engines, by name. Each is a module of this package with `load(spec, device) -> Backend`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import PurePath
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.models.device import fastest_dtype
from sqljudge.models.engines.base import Backend, ModelSpec
from sqljudge.models.engines.weights import locate, parse_address, parse_route


@dataclass(frozen=True, slots=True)
class Engine:
    """A backend's module, and what a row of the models table may ask of it.

    `remote`: the model runs behind a server, or nowhere, so that a job needs no GPU of its own; behind a server
    `tokenizer` may name what renders chats. `reads`: whether it reads prompts; else any prompt format will do.
    `context`: whether the row may set the context's length. `weights`: whether it loads weights, which must be there.
    `environment`: the file of `envs/` that its jobs run in. `check`: raises ConfigError for a row that is malformed in
    a way of its own.
    """

    module: str
    dtypes: tuple[str, ...] = ("auto", "float32", "bfloat16", "float16")
    quantizations: tuple[str, ...] = ("none",)
    placements: tuple[str, ...] = ("device",)
    remote: bool = False
    reads: bool = True
    context: bool = False
    weights: bool = True
    environment: str = "gpu"
    check: Callable[[ModelSpec], Any] | None = None


def _check_route(spec: ModelSpec) -> None:
    parse_route(spec)
    if spec.revision != "-":
        raise ConfigError("revision: the rows of the two models name theirs; write a dash")


BACKENDS = {
    "transformers": Engine(
        "sqljudge.models.engines.transformers",
        quantizations=("none", "8bit", "4bit"),
        placements=("device", "offload"),
        context=True,
    ),
    "vllm": Engine("sqljudge.models.engines.vllm", context=True, environment="vllm"),
    "openai": Engine(
        "sqljudge.models.engines.openai",
        dtypes=("-",),
        quantizations=("-", "none"),
        remote=True,
        weights=False,
        environment="cpu",
        check=parse_address,
    ),
    "recorded": Engine(
        "sqljudge.models.engines.recorded",
        dtypes=("-",),
        quantizations=("-", "none"),
        remote=True,
        weights=False,
        reads=False,
        environment="cpu",
    ),
    "routed": Engine("sqljudge.models.engines.routed", dtypes=("-",), quantizations=("-", "none"), check=_check_route),
    "scripted": Engine("sqljudge.models.engines.scripted", weights=False),
}


def spec_of(row: Mapping[str, Any], unpacked: Sequence[str]) -> ModelSpec:
    """A model from its row as a dict.

    `unpacked` holds the folder that a GGUF file was unpacked into, or nothing; of a model of two, the folder of each
    that is one, which has the model's name.
    """
    spec = ModelSpec(**{**row, "parts": tuple(spec_of(part, ()) for part in row.get("parts", ()))})
    if spec.parts:
        folders = {PurePath(folder).name: folder for folder in unpacked}
        parts = tuple(replace(part, source=folders.get(part.name, part.source)) for part in spec.parts)
        return replace(spec, parts=parts)
    return replace(spec, source=unpacked[0]) if unpacked else spec


def join_parts(spec: ModelSpec, models: Mapping[str, ModelSpec]) -> ModelSpec:
    """A model with the two rows of the table that its source names. Raises ConfigError where they do not serve."""
    route = parse_route(spec)
    for name in (route.small, route.large):
        if name not in models:
            near = get_close_matches(name, models, 1, 0.5)
            said = f"did you mean '{near[0]}'?" if near else "add a row for it"
            raise ConfigError(f"source: model '{name}' is not in the table; {said}")
        if models[name].backend != "transformers":
            what = f"model '{name}' has the backend '{models[name].backend}'"
            raise ConfigError(f"source: {what}; only two models with the backend transformers can share the work")
    return replace(spec, parts=(models[route.small], models[route.large]))


def weights_label(spec: ModelSpec) -> str:
    """What tables add to a model's name: weights in fewer bits, or partly outside the GPU; nothing otherwise."""
    said = [spec.quantization.replace("bit", "-bit")] if spec.quantization in ("8bit", "4bit") else []
    said += ["offloaded"] if spec.placement == "offload" else []
    return f" ({', '.join(said)})" if said else ""


def check_spec(spec: ModelSpec) -> None:
    """Check that a model's backend can honour its row; loads nothing.

    Raises ConfigError that names the column and what is possible.
    """
    if spec.backend not in BACKENDS:
        raise ConfigError(f"backend '{spec.backend}' is not known; known: {', '.join(sorted(BACKENDS))}")
    engine = BACKENDS[spec.backend]
    columns = {"dtype": engine.dtypes, "quantization": engine.quantizations, "placement": engine.placements}
    for column, possible in columns.items():
        value = getattr(spec, column)
        if value not in possible:
            backend = f"the backend '{spec.backend}'"
            raise ConfigError(f"{column}: '{value}' is not possible with {backend}; possible: {', '.join(possible)}")
    if spec.tokenizer and not (engine.remote and engine.reads):
        raise ConfigError(f"tokenizer: the backend '{spec.backend}' has the model's own; leave the cell empty")
    if spec.context and not engine.context:
        able = ", ".join(name for name, each in BACKENDS.items() if each.context)
        raise ConfigError(f"context: cannot be set with the backend '{spec.backend}', but with {able}; write a dash")
    if engine.remote and not spec.tokenizer and spec.revision != "-":
        raise ConfigError("revision: the server decides which weights it has; write a dash")
    if engine.check:
        engine.check(spec)


def check_prompt_format(spec: ModelSpec, prompt_format: str) -> None:
    """Check that a model can be asked in a prompt format. Raises ConfigError for a chat that nobody here can render."""
    engine = BACKENDS[spec.backend]
    if prompt_format == "chat" and engine.remote and engine.reads and not spec.tokenizer:
        raise ConfigError(
            f"model '{spec.name}' is behind a server and its row names no tokenizer, so the prompt format 'chat' "
            "cannot be rendered; name one in the column 'tokenizer' (hub name or folder), or use the prompt format "
            "'raw' or 'inst'"
        )


def check_forced(spec: ModelSpec) -> None:
    """Check that verdicts can be forced in a model's responses. Raises ConfigError for a server and for records."""
    engine = BACKENDS[spec.backend]
    if engine.remote:
        what = "a server does not tell how it splits a verdict into tokens, so none can be forced"
        what = what if engine.reads else "records hold no forced verdicts"
        raise ConfigError(f"{what}; use the backend transformers or vllm")


def check_weights(spec: ModelSpec) -> None:
    """Check that the weights of a model which are not on a hub are there; reads none.

    Raises ModelError, in one line, for a folder, file or package that is missing or holds no weights.
    """
    if BACKENDS[spec.backend].weights:
        for each in spec.parts or (spec,):
            locate(each)


def load_backend(spec: ModelSpec, *, device: str) -> Backend:
    """Load a model's weights into its backend. `device`: "cpu" or "cuda". The dtype "auto" is the device's fastest one.

    Raises ConfigError for an unknown backend, ModelError where the weights cannot be found or loaded.
    """
    if spec.backend not in BACKENDS:
        raise ConfigError(f"models: '{spec.name}' has backend '{spec.backend}'; known: {', '.join(sorted(BACKENDS))}")
    backend: Backend = import_module(BACKENDS[spec.backend].module).load(_with_dtype(spec, device), device)
    return backend


def _with_dtype(spec: ModelSpec, device: str) -> ModelSpec:
    parts = tuple(_with_dtype(part, device) for part in spec.parts)
    return replace(spec, dtype=fastest_dtype(device) if spec.dtype == "auto" else spec.dtype, parts=parts)
