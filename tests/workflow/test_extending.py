"""The recipes of docs/extending.md, followed as written in a copy: their tests pass, and their tables are made."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from harness import ROOT, Project, scripted, tracked_copy
from test_demo import merged

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
FENCE = re.compile(r"```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
NEW = re.compile(r"New file\s`([^`]+)`:$")
FILE = re.compile(r"in\s`(workflow/[^`]+)`", re.IGNORECASE)
LINE = re.compile(r"(below|above)\s`([^`]+)`:$")


@dataclass(frozen=True)
class Block:
    """A block of the page. `path`: the file that it belongs to; `at`: the line below or above which it goes, if any."""

    path: str
    text: str
    at: str = ""
    above: bool = False


def fences() -> Iterator[tuple[str, str, str]]:
    """Each block of the page: what is said before it, its language, its text."""
    end = 0
    for found in FENCE.finditer(PAGE):
        yield PAGE[end : found.start()].rstrip(), found["language"], found["text"]
        end = found.end()


def blocks() -> Iterator[Block]:
    """What the page says to write, in order."""
    path = ""
    for said, _, text in fences():
        if new := NEW.search(said):
            yield Block(new[1], text)
        elif line := LINE.search(said):
            path = [path, *FILE.findall(said)][-1]
            yield Block(path, text, line[2], line[1] == "above")


def commands() -> list[str]:
    """The commands of the page, one a line."""
    return [line for _, language, text in fences() if language == "bash" for line in text.splitlines()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the page has been followed."""
    root = tracked_copy(tmp_path_factory.mktemp("copy") / "project")
    shutil.copytree(ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, root / name)
    for block in blocks():
        follow(block, root / block.path)
    return root


def follow(block: Block, path: Path) -> None:
    """Write a new file, or put a block below or above the one line that it names."""
    if not block.at:
        assert not path.exists(), path
        path.write_text(block.text, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").split("\n")
    (at,) = (number for number, line in enumerate(lines) if line.startswith(block.at))
    at += not block.above
    path.write_text("\n".join([*lines[:at], *block.text.removesuffix("\n").split("\n"), *lines[at:]]), encoding="utf-8")


def test_the_page_names_lines_that_are_there() -> None:
    for block in blocks():
        assert bool(block.at) == (ROOT / block.path).exists(), block.path
        if block.at:
            lines = (ROOT / block.path).read_text(encoding="utf-8").splitlines()
            assert sum(line.startswith(block.at) for line in lines) == 1, (block.path, block.at)


def test_the_tests_of_the_recipes_pass(copy: Path) -> None:
    written = [block.path for block in blocks() if block.path.startswith("tests/")]
    assert len(written) == 3
    assert [line for line in commands() if "pytest" in line] == [f"python -m pytest {path}" for path in written]
    for command in (["pytest", "-q", *written], ["ruff", "check", "."], ["ruff", "format", "--check", "."]):
        passes(copy, *command)


def passes(copy: Path, *command: str) -> None:
    """A tool has nothing to say against the copy."""
    environment = {**os.environ, "PYTHONPATH": "workflow"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.slow
def test_what_the_recipes_write_is_typed(copy: Path) -> None:
    passes(copy, "mypy")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "settings", "shown"),
    [
        ("table1", "share.yaml", {"discriminator": "SmolLM2-135M (share of Yes)", "metric": "Recall"}),
        ("table2", "shortest.yaml", {"discriminator": "Shortest × SmolLM2-135M (yes/no)"}),
    ],
)
def test_the_tables_of_the_recipes_are_made(
    table: str, settings: str, shown: dict[str, str], copy: Path, tmp_path: Path
) -> None:
    command = f"snakemake {table} --configfile config/demo.yaml {settings} --cores 2 --resources gpu=0"
    assert command in commands()
    project: Project = scripted(tmp_path, copy)
    models = tmp_path / "models.tsv"
    models.write_text(models.read_text(encoding="utf-8").replace("actor", "smollm2-135m"), encoding="utf-8")
    used: dict = {}
    for path in (copy / "config/demo.yaml", copy / settings):
        used = merged(used, yaml.safe_load(path.read_text(encoding="utf-8")))
    small = {"pool": {"questions": 3}, "dataset": {"per_hardness": 1}, "models_table": "models.tsv", "resamples": 200}
    project.configure(merged(used, small))
    run = project.snakemake(table)
    assert run.code == 0, run.output
    rows = list(csv.DictReader((tmp_path / f"results/tables/{table}.csv").open(encoding="utf-8")))
    for column, value in shown.items():
        assert value in {row[column] for row in rows}, (column, rows[0])
