"""The container's recipe, step by step: what it copies and installs is there, and what it starts plans a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def steps() -> list[tuple[str, str]]:
    """The recipe's instructions with their arguments, in order."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def of(name: str) -> list[str]:
    return [argument for step, argument in steps() if step == name]


def test_its_python_is_one_that_the_library_takes_and_the_environments_have() -> None:
    (base,) = of("FROM")
    version = re.fullmatch(r"python:(3\.\d+)-slim", base)
    assert version
    least = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert int(version[1].partition(".")[2]) >= int(least.removeprefix(">=3."))
    assert f"python={version[1]}" in (ROOT / "envs/cpu.yaml").read_text(encoding="utf-8")


def test_it_installs_what_make_installs() -> None:
    """The same files of requirements in the same order, those of models without what they declare."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("$(VENV)/.train:")[0]
    made = re.findall(r"pip install .*?((?:--no-deps )?-r \S+)", recipe)
    installed = [found[1] for run in of("RUN") if (found := re.search(r"pip install .*?((?:--no-deps )?-r \S+)", run))]
    assert installed == made
    copied = {name for copy in of("COPY") for name in copy.split()[:-1]}
    assert {each.split()[-1] for each in installed} <= copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_what_it_leaves_out_is_not_tracked() -> None:
    ignored = [
        line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] not in ("#", "!")
    ]
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True).stdout
    assert ".venv" in ignored
    kept = [file for file in tracked.splitlines() if file != "results/README.md"]
    folders = [name.removesuffix("*").rstrip("/") for name in ignored]
    assert [file for file in kept for folder in folders if Path(file).is_relative_to(folder)] == []


def test_what_it_starts_plans_the_demo(tmp_path: Path) -> None:
    """Its entry point, command and environment, in a copy of what is tracked."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    files = subprocess.run(["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True).stdout
    for file in files.splitlines():
        if (ROOT / file).is_file():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tmp_path / file)
    environment = dict(pair.split("=", 1) for line in of("ENV") for pair in line.split())
    (entry,), command = json.loads(of("ENTRYPOINT")[0]), json.loads(of("CMD")[0])
    assert entry == "snakemake"
    planned = subprocess.run(
        [sys.executable, "-m", entry, *command, "-n"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert planned.returncode == 0, planned.stderr
    assert re.search(r"^\d+ jobs in 8 stages$", planned.stderr, re.MULTILINE)
