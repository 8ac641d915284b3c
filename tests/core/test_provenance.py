"""Code digests change with code, and only with the code that a stage imports; sidecars say what made a result."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from sqljudge.core import provenance
from sqljudge.core.provenance import (
    RECORDED,
    closure,
    code_digest,
    commit,
    file_digest,
    sidecar,
    text_digest,
    versions,
)

MODULES = {
    "stage": '"""A stage."""\nfrom sqljudge.helper import add\nfrom sqljudge import errors\ndef run(): return add(1)\n',
    "helper": 'import os\nimport sqljudge.inner.deep\n\n\ndef add(x):\n    """Add one."""\n    return x + 1  # one\n',
    "inner/__init__": "",
    "inner/deep": "from sqljudge.helper import add\nLIMIT = 5\n",
    "errors": "class Error(Exception):\n    pass\n",
    "other": "from sqljudge.stage import run\n",
    "__init__": "",
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small library in place of the real one."""
    root = tmp_path / "sqljudge"
    for name, text in MODULES.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(provenance, "ROOT", root)
    return root


def digest(*modules: str) -> str:
    """Read from the files anew."""
    provenance._read.cache_clear()
    return code_digest(*modules)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_closure_follows_imports_round_circles(library: Path) -> None:
    assert closure(["stage"]) == {"stage", "helper", "errors", "inner.deep"}
    assert closure(["errors"]) == {"errors"}
    assert closure(["inner.deep", "other"]) == {"other", "stage", "helper", "errors", "inner.deep"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stage.py", '"""A stage."""', '"""A better word for it."""'),
        ("stage.py", '"""A stage."""\n', ""),
        ("helper.py", "  # one", "  # two, or so"),
        ("helper.py", '    """Add one."""\n', '    """Add\n    a one."""\n'),
        ("helper.py", "x + 1", "(x\n        + 1)"),
        ("inner/deep.py", "LIMIT = 5", "\n\n# a limit\nLIMIT  =  5"),
        ("other.py", "run", "run as runs"),
    ],
)
def test_comments_docstrings_layout_and_other_modules_do_not_count(
    library: Path, file: str, old: str, new: str
) -> None:
    before = digest("stage")
    edit(library / file, old, new)
    assert digest("stage") == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stage.py", "add(1)", "add(2)"),
        ("helper.py", "x + 1", "x - 1"),
        ("inner/deep.py", "LIMIT = 5", "LIMIT = 6"),
        ("errors.py", "Exception", "ValueError"),
        ("stage.py", "from sqljudge import errors", "from sqljudge import other"),
    ],
)
def test_code_counts_wherever_it_is_imported_from(library: Path, file: str, old: str, new: str) -> None:
    before = digest("stage")
    edit(library / file, old, new)
    assert digest("stage") != before


def test_a_digest_is_of_all_modules_named_in_any_order(library: Path) -> None:
    assert digest("stage", "other") == digest("other", "stage") == digest("other")
    assert digest("errors") != digest("inner.deep")
    assert len(digest("stage")) == 16


def test_a_module_that_moves_counts(library: Path) -> None:
    before = digest("errors")
    (library / "mistakes.py").write_text((library / "errors.py").read_text())
    assert digest("mistakes") != before


def test_templates_are_code(library: Path) -> None:
    before = digest("inner")
    (library / "inner" / "templates").mkdir()
    (library / "inner" / "templates" / "page.html").write_text("<p>")
    with_template = digest("inner")
    assert with_template != before
    (library / "inner" / "templates" / "page.html").write_text("<b>")
    assert digest("inner") not in (before, with_template)


@pytest.mark.parametrize("name", ["nothing", "inner.nothing"])
def test_a_module_that_does_not_exist(library: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"sqljudge.{name} does not exist"):
        digest(name)


MODEL_STAGES = ["stages.generate", "stages.judge", "models.engines.transformers", "models.engines.scripted"]
LATE = ("report", "metrics", "experiments", "cli", "stages.score", "stages.plan")


def test_no_plotting_fix_re_runs_a_model() -> None:
    """Of the code of SQL, generating knows the normal form alone; judging also reads training data as datasets are."""
    assert not {name for name in closure(MODEL_STAGES) if name.startswith(LATE)}
    assert {name for name in closure(["stages.generate"]) if name.startswith("sql.")} == {"sql.text"}


def test_no_plotting_fix_searches_again() -> None:
    late = tuple(name for name in LATE if name != "stages.score")
    assert not {name for name in closure(["stages.search.run"]) if name.startswith(late)}


def test_tables_and_figures_know_no_model() -> None:
    reached = closure(["report.write", "report.figures", "report.claims"])
    assert not {name for name in reached if name.startswith("models") or name == "stages.prompts"}


def test_cheap_stages_know_no_model() -> None:
    for stage in (
        "data.datasets",
        "data.sample",
        "data.staging",
        "data.pool",
        "stages.score",
        "stages.plan",
        "stages.execute",
        "stages.baselines",
        "metrics.end_to_end",
        "metrics.intrinsic",
    ):
        assert not {name for name in closure([stage]) if name.startswith("models.")}, stage


def test_model_stages_know_their_journal_and_prompts() -> None:
    for stage in ("stages.generate", "stages.judge"):
        assert {
            "models.session",
            "models.journal",
            "stages.prompts",
            "models.engines",
            "models.engines.base",
            "core.records",
        } <= closure([stage])
    assert {"models.engines.batching", "models.engines.tokenizer"} <= closure(["models.engines.transformers"])


def test_the_real_library_has_digests() -> None:
    names = [
        "report.write",
        "report.figures",
        "stages.generate",
        "stages.judge",
        "stages.score",
        "stages.plan",
        "data.datasets",
        "data.sample",
        "data.staging",
        "data.pool",
    ]
    assert len({code_digest(name) for name in names}) == len(names)


def test_digests_of_files_and_texts(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x00abc" * 1000)
    assert file_digest(tmp_path / "x") == hashlib.sha256(b"\x00abc" * 1000).hexdigest()
    assert text_digest("é") == hashlib.sha256("é".encode()).hexdigest()[:16]


def test_versions_are_of_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in RECORDED:
        monkeypatch.delitem(sys.modules, package.replace("-", "_"), raising=False)
    assert set(versions()) == {"python", "sqlite"}
    for package in ("numpy", "sentence_transformers"):
        monkeypatch.setitem(sys.modules, package, None)
    found = versions()
    assert set(found) == {"python", "sqlite", "numpy", "sentence-transformers"}
    assert all(version[0].isdigit() for version in found.values())


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_of_a_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "x").write_text("1")
    git(tmp_path, "add", "x")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("")
    assert commit(tmp_path) == {"commit": head, "dirty": False}
    (tmp_path / "x").write_text("2")
    assert commit(tmp_path) == {"commit": head, "dirty": True}


def test_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit(tmp_path) == {"commit": None, "dirty": None}
    assert commit(tmp_path / "none") == {"commit": None, "dirty": None}


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(ROOT) == {"commit": None, "dirty": None}


def test_a_sidecar(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("{}")
    runs: list[dict[str, Any]] = [
        {"prompt_tokens": 10, "new_tokens": 5, "seconds": 1.5, "model": {"model": "m"}},
        {"prompt_tokens": 1, "new_tokens": 0, "seconds": 0.25, "model": {"model": "n"}},
    ]

    def made(**changes: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            "inputs": [tmp_path / "in.json"],
            "settings": {"b": 1, "a": [2]},
            "code": "c0de",
            "seed": 42,
            "configuration": {"digest": "d", "options": "--configfile a.yaml"},
            "runs": runs,
        }
        return sidecar(**{**given, **changes})

    beside = made()
    wanted = {"commit", "dirty", "made", "code", "config", "settings", "inputs", "seed", "versions", "machine", "runs"}
    assert set(beside) == wanted | {"configuration", "tokens", "seconds"}
    assert beside["inputs"] == {str(tmp_path / "in.json"): hashlib.sha256(b"{}").hexdigest()}
    assert (beside["tokens"], beside["seconds"], beside["seed"], beside["code"]) == (16, 1.75, 42, "c0de")
    assert beside["runs"] == runs
    assert beside["machine"]["cores"] >= 1
    assert made(settings={"a": [2], "b": 1})["config"] == beside["config"]
    assert made(settings={"a": [3], "b": 1})["config"] != beside["config"]
    assert (made(runs=[])["tokens"], made(runs=[])["seconds"]) == (0, 0)
