"""Projects to run the workflow in: fresh, finished, and finished to be changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Project, scripted, tracked_copy


@pytest.fixture
def new_project(tmp_path: Path) -> Callable[[], Project]:
    """Makes a fresh scripted project."""
    return lambda: scripted(tmp_path / "run")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A scripted project in which everything has been made. Copy it before changing it."""
    project = scripted(tmp_path_factory.mktemp("finished") / "run", tracked_copy(tmp_path_factory.mktemp("source")))
    run = project.snakemake()
    assert run.code == 0, run.output
    return project


@pytest.fixture
def made(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, workflow included, to change."""
    shutil.copytree(finished.root, tmp_path / "source", symlinks=True)
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    copy = Project(tmp_path / "run", tmp_path / "source", json.loads(json.dumps(finished.settings)))
    copy.configure(copy.settings)
    return copy
