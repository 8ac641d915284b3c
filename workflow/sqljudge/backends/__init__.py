"""Inference engines, by name. Each is a module of this package with `load(spec, device) -> Backend`."""

from __future__ import annotations

from importlib import import_module

from sqljudge.backends.base import Backend, ModelSpec
from sqljudge.errors import ConfigError

BACKENDS = {
    "transformers": "sqljudge.backends.transformers",
    "scripted": "sqljudge.backends.scripted",
}


def load_backend(spec: ModelSpec, *, device: str) -> Backend:
    """Load a model's weights into its backend. `device`: "cpu" or "cuda".

    Raises ConfigError for an unknown backend, ModelError where the weights cannot be found or loaded.
    """
    if spec.backend not in BACKENDS:
        raise ConfigError(f"models: '{spec.name}' has backend '{spec.backend}'; known: {', '.join(sorted(BACKENDS))}")
    backend: Backend = import_module(BACKENDS[spec.backend]).load(spec, device)
    return backend
