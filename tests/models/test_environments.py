"""Each environment holds what the model stages import in it, be it at their start or later."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from sqljudge.models.engines import BACKENDS

STAGES = ("generate", "judge", "force", "search.run")
ORDER = ["cpu", "gpu", "vllm"]
"""A job runs in the last of its models' environments, with the backends of all of them (rules/functions.smk)."""
OTHERS_IMPORT = {"transformers": ("accelerate",)}
"""What a backend has imported for it: transformers places weights with accelerate."""
IMPORTING = """
import importlib, json, sys

absent, modules = json.load(sys.stdin)

class Present:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Present, sys.meta_path)
missing = {}
for module in modules:
    try:
        importlib.import_module(module)
    except ImportError as error:
        missing[module] = str(error)
print(json.dumps([missing, sorted(name for name in sys.modules if name.startswith("sqljudge."))]))
"""


def requirements(environment: str) -> list[str]:
    """The names that an environment's file pins."""
    parsed = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text(encoding="utf-8"))
    (pip,) = (entry["pip"] for entry in parsed["dependencies"] if isinstance(entry, dict))
    return [re.split("[=<>]", line)[0] for line in pip]


def with_what_they_require(names: list[str]) -> set[str]:
    """Distributions, and those that they require, as far as they are installed here."""
    found: set[str] = set()
    waiting = [(name, "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        key = (re.sub(r"[-_.]+", "-", name).lower(), extra)
        if str(key) in found:
            continue
        found |= {str(key), key[0]}
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for required in map(Requirement, lines):
            if required.marker is None or required.marker.evaluate({"extra": extra}):
                waiting += [(required.name, each) for each in ("", *required.extras)]
    return found


def absent_modules(environment: str) -> list[str]:
    """The top modules of third parties that are installed here and not in an environment."""
    there = with_what_they_require(requirements(environment))
    return [
        module
        for module, names in metadata.packages_distributions().items()
        if not any(re.sub(r"[-_.]+", "-", name).lower() in there for name in names)
    ]


def imported(modules: list[str]) -> set[str]:
    """The top modules of third parties that modules of the library import anywhere in them."""
    found: set[str] = set()
    for name in modules:
        origin = util.find_spec(name)
        assert origin is not None and origin.origin is not None
        for node in ast.walk(ast.parse(Path(origin.origin).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"sqljudge"}


@pytest.mark.parametrize("environment", ORDER)
def test_an_environment_holds_what_its_jobs_import(environment: str) -> None:
    held = [
        name
        for name, engine in BACKENDS.items()
        if ORDER.index(engine.environment) <= max(ORDER.index(environment), ORDER.index("gpu"))  # on a CPU, too
    ]
    modules = [*(f"sqljudge.stages.{stage}" for stage in STAGES), *(BACKENDS[name].module for name in held)]
    absent = absent_modules(environment)
    assert "pytest" in absent, "what is in no environment cannot be imported"
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTING],
        input=json.dumps([absent, modules]),
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        check=True,
    )
    missing, loaded = json.loads(ended.stdout)
    assert missing == {}
    later = imported(loaded) | {name for backend in held for name in OTHERS_IMPORT.get(backend, ())}
    assert sorted(later & {*absent}) == []
    assert {"sqlparse", "torch", "transformers", "filelock"} <= later
