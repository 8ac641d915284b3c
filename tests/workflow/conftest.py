"""Projects to run the workflow in: fresh, finished, and finished to be changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import ROOT, Project, scripted, tracked_copy


@pytest.fixture
def new_project(tmp_path: Path) -> Callable[[], Project]:
    """Makes a fresh scripted project."""
    return lambda: scripted(tmp_path / "run")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A scripted project in which everything has been made, workflow included. Only `made` may change it.

    Beside it, `imports` holds what each of its jobs has imported.
    """
    place = tmp_path_factory.mktemp("finished")
    project = scripted(place / "run", tracked_copy(place / "source"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests/workflow/watched"))
        patch.setenv("IMPORTS_SEEN", str(place / "imports"))
        run = project.snakemake()
    assert run.code == 0, run.output
    return project


@pytest.fixture
def made(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """The finished project, to change; afterwards it is as before. It stays in its place: a move is a change, too."""
    place = finished.folder.parent
    shutil.copytree(place, tmp_path / "kept", symlinks=True)
    yield Project(finished.folder, finished.root, json.loads(json.dumps(finished.settings)))
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "kept", place, symlinks=True)
