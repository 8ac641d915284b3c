"""The recipes of docs/extending.md, followed as written in a copy: their tests pass, and their tables are made."""

from __future__ import annotations

import csv
import os
import re
import shlex
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
LINE = re.compile(r"(below|above|in\splace\sof)\s`([^`]+)`:$")
MADE = re.compile(r"snakemake ([\w ]+?) --configfile config/demo\.yaml(?: (\w+\.yaml))? --cores 2 --resources gpu=0")
REPORTED = re.compile(r"snakemake (\w+) --configfile config/demo\.yaml \w+\.yaml --report (\w+\.html)")
DOCS = "PYTHONPATH=workflow python -m sqljudge docs"
ROOMS = {"stages", "metrics", "report"}
IN_STEP = "in_step or registry or one_thing"
"""The promises of tests/core/test_house.py that a recipe can break."""


@dataclass(frozen=True)
class Block:
    """A block of the page. `path`: the file that it belongs to; `at`: the line that `where` counts from, if any."""

    path: str
    text: str
    at: str = ""
    where: str = ""


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
            yield Block(path, text, line[2], " ".join(line[1].split()))


def commands() -> list[str]:
    """The commands of the page, one a line."""
    return [line for _, language, text in fences() if language == "bash" for line in text.splitlines()]


def recipe_tests() -> list[str]:
    """The files of tests that the page says to write."""
    return [block.path for block in blocks() if block.path.startswith("tests/")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the page has been followed, and what registries feed is written again."""
    root = tracked_copy(tmp_path_factory.mktemp("copy") / "project")
    shutil.copytree(ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, root / name)
    for block in blocks():
        follow(block, root / block.path)
    python = f"{shlex.quote(sys.executable)} "
    for line in commands():
        if line.startswith(DOCS):
            subprocess.run(line.replace("python ", python), cwd=root, shell=True, check=True)
    return root


def follow(block: Block, path: Path) -> None:
    """Write a new file, or put a block above, below or in place of the one line that begins as it says."""
    if not block.at:
        assert not path.exists(), path
        path.write_text(block.text, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").split("\n")
    (at,) = (number for number, line in enumerate(lines) if line.startswith(block.at))
    before, after = at + (block.where == "below"), at + (block.where != "above")
    written = [*lines[:before], *block.text.removesuffix("\n").split("\n"), *lines[after:]]
    path.write_text("\n".join(written), encoding="utf-8")


def test_the_page_names_lines_that_are_there() -> None:
    for block in blocks():
        assert bool(block.at) == (ROOT / block.path).exists(), block.path
        if block.at:
            lines = (ROOT / block.path).read_text(encoding="utf-8").splitlines()
            found = [line for line in lines if line.startswith(block.at)]
            assert len(found) == 1, (block.path, block.at)
            whole = not found[0].endswith(("(", "{", "["))
            assert whole or block.where != "in place of", f"{block.path}: {block.at} goes on in the next line"


def test_every_block_belongs_to_a_file_and_every_command_to_a_test() -> None:
    written = [block.text for block in blocks()]
    assert [text for _, language, text in fences() if language != "bash" and text not in written] == []
    assert {Path(path).parts[1] for path in recipe_tests()} == ROOMS
    known = [f"python -m pytest {path}" for path in recipe_tests()]
    known += [line for line in commands() if MADE.fullmatch(line) or REPORTED.fullmatch(line) or line.startswith(DOCS)]
    assert sorted(commands()) == sorted(known)


@pytest.mark.slow
def test_the_tests_of_the_recipes_pass(copy: Path) -> None:
    passes(copy, "pytest", "-q", *recipe_tests())
    passes(copy, "pytest", "-q", "tests/core/test_house.py", "-k", IN_STEP)
    passes(copy, "ruff", "check", ".")
    passes(copy, "ruff", "format", "--check", ".")


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
def test_the_tables_of_the_recipes_are_made(copy: Path, tmp_path: Path) -> None:
    """All of them in one run, under the settings of all recipes."""
    made = [found for line in commands() if (found := MADE.fullmatch(line))]
    targets = list(dict.fromkeys(target for found in made for target in found[1].split()))
    assert targets == ["table1", "table2", "contexts", "thinking"]
    project: Project = scripted(tmp_path, copy)
    models = tmp_path / "models.tsv"
    models.write_text(models.read_text(encoding="utf-8").replace("actor", "smollm2-135m"), encoding="utf-8")
    used: dict = {}
    for path in (copy / "config/demo.yaml", *(copy / found[2] for found in made if found[2])):
        used = merged(used, yaml.safe_load(path.read_text(encoding="utf-8")))
    small = {"pool": {"questions": 3}, "dataset": {"per_hardness": 1}, "models_table": "models.tsv", "resamples": 200}
    project.configure(merged(used, small))
    run = project.snakemake(*targets)
    assert run.code == 0, run.output

    tables = {name: rows_of(tmp_path / f"results/tables/{name}.csv") for name in targets}
    assert {row["status"] for row in tables["table1"]} == {"ok"}
    assert {row["discriminator"] for row in tables["table1"]} == {
        "SmolLM2-135M (yes/no)",
        "SmolLM2-135M (share of Yes)",
    }
    for name, headings in (("table1", 2), ("contexts", 2)):
        assert len({row["group"] for row in tables[name] if row["metric"] == "Sensitivity"}) == headings
    chosen = {row["discriminator"] for row in tables["table2"]}
    assert {"Shortest × SmolLM2-135M (yes/no)", "Most frequent query"} <= chosen
    text = (tmp_path / "results/tables/table2.md").read_text(encoding="utf-8")
    assert "at most 0.1 below the best" in text

    thinking = tables["thinking"]
    assert list(dict.fromkeys((row["discriminator"], row["budget_tokens"]) for row in thinking)) == [
        ("SmolLM2-135M (reasoning)", "48"),
        ("SmolLM2-135M (reasoning)", "96"),
        ("Random", "–"),
        ("Oracle, right with p = 1 (uses gold)", "–"),
    ]
    assert {(row["group"], row["status"]) for row in thinking} == {("Execution accuracy (EX)", "ok")}
    assert [row["metric"] for row in thinking[:5]] == ["Easy", "Medium", "Hard", "Extra", "All"]

    (reported,) = (found for line in commands() if (found := REPORTED.fullmatch(line)))
    page = project.snakemake(reported[1], "--report", reported[2])
    assert page.code == 0, page.output
    assert "its responses cut at 48, 96 tokens" in (tmp_path / reported[2]).read_text(encoding="utf-8")


def rows_of(path: Path) -> list[dict[str, str]]:
    """The cells of a table, one a row."""
    with path.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))
