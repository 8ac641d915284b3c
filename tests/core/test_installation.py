"""`pip install .` gives the command, and what it reads of the project; its requirements are ranges around the pins."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]


def test_requirements_are_ranges_that_hold_the_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = [Requirement(line) for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines() if line[0] != "#"]
    ranges = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    assert [*ranges] == [pin.name for pin in pins]
    for pin in pins:
        pinned = Version(next(iter(pin.specifier)).version)
        later = Version(f"{pinned.major}.{pinned.minor}.{pinned.micro + 1}")
        next_major = Version(f"{pinned.major + 1}.0" if pinned.major else f"0.{pinned.minor + 1}.0")
        assert [each in ranges[pin.name] for each in (pinned, later, next_major)] == [True, True, False], pin.name


@pytest.mark.slow
def test_an_installation_has_the_command(tmp_path: Path) -> None:
    if Version(version("setuptools")) < Version("77"):
        pytest.skip("this setuptools cannot build the package, and none is fetched in a test")
    for name in ("workflow", "config"):
        shutil.copytree(ROOT / name, tmp_path / "source" / name)
    for name in ("README.md", "LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / "source")
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv/bin/python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib"))  # what it requires is there already
    install = ["--python", python, "install", "--no-build-isolation", "--no-index", tmp_path / "source"]
    done = subprocess.run([sys.executable, "-m", "pip", *install], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.copytree(ROOT / "resources/shop", tmp_path / "shop")
    question = ["--db", "shop.sql", "--questions", "questions.jsonl"]
    for arguments, said in (
        (["--method", "majority", "--jsonl", "judged.jsonl"], "written: judged.jsonl"),
        (["--model", "smollm2"], "is no row of config/models.tsv, no folder or GGUF file, and no server's address"),
        (["--model", "http://127.0.0.1:9/v1#m", "--method", "forced"], "none can be forced"),
    ):
        run = subprocess.run(
            [tmp_path / "venv/bin/sqljudge", "judge", *question, *arguments],
            cwd=tmp_path / "shop",
            capture_output=True,
            text=True,
            check=False,
        )
        assert said in run.stdout + run.stderr
    assert len((tmp_path / "shop/judged.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    template = "from sqljudge.report.text import template; template('grid.html'); template('table.tex')"
    subprocess.run([python, "-c", template], check=True, cwd=tmp_path)
