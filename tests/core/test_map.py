"""The map of the code (docs/map.md) names every module of the library, and nothing that is not there."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "workflow/sqljudge"
PAGE = (ROOT / "docs/map.md").read_text(encoding="utf-8")


def described() -> dict[str, str]:
    """What the tree says of each module and package, by its path below the library; a package ends with a slash."""
    tree = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert tree
    parents: list[str] = []
    found = {}
    for line in tree[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, about = line.strip().partition(" ")
        found["".join([*parents[:depth], name])] = about.strip()
        parents[depth:] = [name]
    return found


def present() -> dict[str, Path]:
    """Every module and package that is there, by the same paths."""
    files = {path.relative_to(LIBRARY).as_posix(): path for path in LIBRARY.rglob("*.py")}
    packages = {name.removesuffix("__init__.py"): path for name, path in files.items() if name.endswith("/__init__.py")}
    return packages | {name: path for name, path in files.items() if not name.endswith("__init__.py")}


def summary(module: Path) -> str:
    """The first line of a module's docstring: what a line of the map may be made from."""
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def test_the_map_has_one_line_for_every_module_and_no_other() -> None:
    named, there = described(), present()
    wrong = [f"it lacks {name}: {summary(there[name])}" for name in sorted(there.keys() - named.keys())]
    wrong += [f"it names {name}, which is gone" for name in sorted(named.keys() - there.keys())]
    wrong += [f"it says nothing of {name}" for name, about in named.items() if not about]
    assert not wrong, "docs/map.md:\n" + "\n".join(wrong)


def test_the_map_gives_the_floors_that_the_lint_holds() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = tools["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert " > ".join(f"`{layer}`" for layer in layers) in PAGE


def test_what_the_map_says_of_one_question_names_files_that_are_there() -> None:
    steps = PAGE.partition("\n## One question")[2].partition("\n## ")[0]
    names = [name for name in re.findall(r"`([\w/]+(?:\.py|\.smk|/))`", steps) if not name.startswith("results/")]
    rooms = [folder for folder in LIBRARY.iterdir() if folder.is_dir()]
    assert len(names) > 15
    for name in names:
        places = (ROOT / name, LIBRARY / name, *(room / name for room in rooms))
        assert any(place.exists() for place in places), name
