"""Where an embedding model is looked for, and that a sentence is embedded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqljudge.core.errors import ModelError
from sqljudge.models.embedding import embedder, model_place, remembering


def install(folder: Path, name: str, files: list[str]) -> None:
    """A package as an installer leaves it: its files and their record."""
    record = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (record / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("[]")


def test_a_package_gives_the_folder_that_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "tiny-embedder", ["tiny_embedder/__init__.py", "tiny_embedder/model/modules.json"])
    install(tmp_path, "no-embedder", ["no_embedder/__init__.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Path(model_place("tiny-embedder")) == tmp_path / "tiny_embedder" / "model"
    with pytest.raises(ModelError, match=r"'no-embedder': the package holds no modules.json"):
        model_place("no-embedder")


def test_folders_and_hub_names(tmp_path: Path) -> None:
    assert model_place(str(tmp_path)) == str(tmp_path)
    assert model_place("sentence-transformers/all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    with pytest.raises(ModelError, match="is no folder, no installed package and no hub name"):
        model_place("surely-not-installed-anywhere")


def test_a_folder_without_a_model_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not load") as caught:
        embedder(str(tmp_path), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_sentence_is_embedded_once() -> None:
    asked: list[str] = []

    def encode(sentences: list[str]) -> np.ndarray:
        asked.extend(sentences)
        return np.array([[len(sentence)] for sentence in sentences], dtype=np.float32)

    embed = remembering(encode)
    assert embed(["a", "bb", "a"]).tolist() == [[1], [2], [1]]
    assert embed(["bb", "ccc"]).tolist() == [[2], [3]]
    assert embed([]).shape[0] == 0
    assert asked == ["a", "bb", "ccc"]
