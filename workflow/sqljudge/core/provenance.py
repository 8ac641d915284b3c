"""What made a result: digests of code and data, versions, hardware. Knows no stage."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json, write_json

PACKAGE = "sqljudge"
RECORDED = (
    *("jinja2", "matplotlib", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sentence-transformers"),
    *("snakemake", "sqlglot", "sqlparse", "tabulate", "torch", "transformers"),
)
"""Packages whose versions are recorded beside a result, where they were imported to make it."""
ROOT = Path(__file__).resolve().parents[1]


def code_digest(*modules: str) -> str:
    """A digest of the library modules named (without the package's name) and of all library modules they import.

    Comments, docstrings and layout do not count, so that a better comment re-runs nothing. The templates of a package
    are part of its code.
    Raises FileNotFoundError for a module that does not exist.
    """
    digest = hashlib.sha256()
    for name in sorted(closure(modules)):
        path = _path(name)
        digest.update(f"{name}\0{_read(path)[1]}\0".encode())
        for data in _data_files(path):
            digest.update(f"{data.name}\0{file_digest(data)}\0".encode())
    return digest.hexdigest()[:16]


def own_digest(*modules: str) -> str:
    """As `code_digest`, of the modules named alone, whatever they import."""
    return text_digest("".join(f"{name}\0{_read(_path(name))[1]}\0" for name in sorted(modules)))


def closure(modules: Iterable[str]) -> set[str]:
    """The named library modules and every library module that they import, directly or not."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _read(_path(name))[0]
    return found


def _path(name: str) -> Path:
    plain = ROOT.joinpath(*name.split("."))
    path = plain / "__init__.py" if plain.is_dir() else plain.with_suffix(".py")
    if not path.is_file():
        raise FileNotFoundError(f"{PACKAGE}.{name} does not exist")
    return path


def _data_files(path: Path) -> list[Path]:
    """The templates that a package keeps beside its `__init__.py`."""
    return sorted(path.parent.glob("templates/*")) if path.name == "__init__.py" else []


def _exists(name: str) -> bool:
    plain = ROOT.joinpath(*name.split("."))
    return plain.is_dir() or plain.with_suffix(".py").is_file()


@cache
def _read(path: Path) -> tuple[tuple[str, ...], str]:
    """The library modules that a module imports, and a digest of its code without docstrings; both from one parse."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            first = body[0].value
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                body[:1] = [] if len(body) > 1 else [ast.Pass()]
    inside = {name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.")}
    return tuple(sorted(filter(_exists, inside))), hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def file_digest(path: str | Path) -> str:
    """The SHA-256 of a file's bytes."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def remembered_digest(path: str | Path) -> str:
    """As `file_digest`, for large files: a file that is as it was when another process read it is not read again.

    As it was: the same place, device, inode, size and times of change, of which the last is the system's own. What is
    remembered lies in a folder of this user's for temporary files.
    """
    place = Path(path).resolve()
    found = place.stat()
    state = [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    folder = Path(tempfile.gettempdir()) / f"sqljudge-digests-{os.getuid()}"
    note = folder / f"{text_digest(str(place))}.json"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat(follow_symlinks=False).st_uid != os.getuid():
            return file_digest(place)
        known = read_json(note)
        if known["state"] == state:
            return str(known["sha256"])
    except (OSError, DataError, KeyError, TypeError):
        pass
    digest = file_digest(place)
    if time.time() - found.st_ctime > 2:  # else it might change again within one tick of the clock
        with suppress(OSError):
            write_json(note, {"state": state, "sha256": digest})
    return digest


def text_digest(text: str) -> str:
    """A short digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """The versions of Python, SQLite, and of each package of RECORDED that this process has imported."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in RECORDED:
        if package.replace("-", "_") in sys.modules:
            found[package] = importlib.metadata.version(package)
    return found


def commit(folder: str | Path) -> dict[str, Any]:
    """The git commit of a folder and whether tracked files differ from it; both None outside a checkout."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return {"commit": head, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _git(folder: str | Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def sidecar(
    *,
    inputs: Iterable[str | Path],
    settings: Any,
    code: str,
    seed: int,
    configuration: Mapping[str, str],
    runs: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """What stands beside an artefact: commit, digests, versions, machine, seed, and the model runs behind it.

    `configuration`: which one was run, see `experiments.folder`.
    """
    return {
        **commit(ROOT),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code,
        "config": text_digest(json.dumps(settings, sort_keys=True)),
        "settings": settings,
        "configuration": dict(configuration),
        "inputs": {str(path): file_digest(path) for path in inputs},
        "seed": seed,
        "versions": versions(),
        "machine": machine(),
        "runs": list(runs),
        "tokens": sum(map(all_tokens, runs)),
        "seconds": round(sum(run["seconds"] for run in runs), 3),
    }


def all_tokens(run: Mapping[str, Any]) -> int:
    """Tokens that a model job read, wrote and trained on, by what it recorded; of two that share the work, by both."""
    return int(run["prompt_tokens"] + run["new_tokens"] + run.get("large_tokens", 0) + run.get("trained_tokens", 0))


def machine() -> dict[str, Any]:
    """The system, the processor's kind and its name as the system gives it ("" if it does not), and its cores."""
    kind = {"system": platform.system(), "processor": platform.machine(), "name": _processor_name()}
    return {**kind, "cores": os.cpu_count() or 1}


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


def tree_name(beside: Mapping[str, Any]) -> str:
    """The commit that a sidecar names, in words; a tree that differed from it is said to be dirty."""
    if beside["commit"] is None:
        return "no commit known (not a git checkout)"
    return f"commit {beside['commit'][:12]}" + (", DIRTY: files differed from that commit" if beside["dirty"] else "")


def made_line(subject: str) -> str:
    """What stands under a title: what a result is of, the day, and the commit of this library."""
    return (
        f"{subject[:1].upper()}{subject[1:]}; made {datetime.now(UTC).date().isoformat()}; {tree_name(commit(ROOT))}."
    )


def with_tree(text: str, beside: Mapping[str, Any]) -> str:
    """A text about a result; where the result was made from a dirty tree, its last paragraph says so."""
    return f"{text}\n\nMade from a dirty tree: {tree_name(beside)}.\n" if beside["dirty"] else f"{text}\n"


def model_name(run: Mapping[str, Any]) -> str:
    """The model of a run with its revision and number format, or the server that it stands behind, as far as known."""
    model = run["model"]
    known = [model[key] for key in ("dtype", "quantization", "backend", "server") if model.get(key, "none") != "none"]
    revision = f" at revision {str(model['revision'])[:12]}" if "revision" in model else ""
    return f"{model['model']}{revision} ({', '.join(known)})"
