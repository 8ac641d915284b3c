"""The workflow as a module of another one, out of a folder and out of a git repository: it plans, and makes a table."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from harness import Project, scripted, tracked_copy

pytestmark = pytest.mark.slow


def committed(folder: Path) -> str:
    """Commit a folder's files; returns the commit."""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()


@pytest.mark.parametrize("source", ["a folder", "a commit", "a tag"])
def test_a_module_plans_and_makes_a_table(source: str, tmp_path: Path) -> None:
    copy = tracked_copy(tmp_path / "source")
    commit = committed(copy)
    subprocess.run(["git", "-C", str(copy), "tag", "v1"], check=True)
    where = {
        "a folder": f'"{copy}/workflow/Snakefile"',
        "a commit": f'gitfile("{copy}", path="workflow/Snakefile", commit="{commit}")',
        "a tag": f'gitfile("{copy}", path="workflow/Snakefile", tag="v1")',
    }
    own = scripted(tmp_path / "run")
    shutil.copytree(copy / "config", own.folder / "config")
    (own.folder / "Snakefile").write_text(
        'configfile: "config/config.yaml"\n\n'
        f"module judge:\n    snakefile:\n        {where[source]}\n    config:\n        config\n\n"
        "use rule * from judge as judge_*\n",
        encoding="utf-8",
    )
    project = Project(own.folder, own.folder, own.settings)
    planned = project.snakemake("-n", "judge_table7")
    assert planned.code == 0, planned.output
    assert planned.jobs["judge_generate"] == 1
    run = project.snakemake("judge_table7")
    assert run.code == 0, run.output
    assert "writer" in (own.folder / "results/tables/table7.html").read_text(encoding="utf-8")
    assert (own.folder / ".sqljudge" / commit).is_dir() == (source != "a folder")
