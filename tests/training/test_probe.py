"""The probe: a head that learns, a model that says what the head says, and what cannot be fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.models.engines.base import ChoiceRequest, ModelSpec
from sqljudge.models.engines.transformers import load
from sqljudge.training.methods import settings_of
from sqljudge.training.probe import area, cut, features, fit, train_probe
from test_offline import CANDIDATES, TASK, tiny_policy
from toys import save_tiny


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", layers=3)


@pytest.mark.parametrize(("layer", "layers"), [(1, 1), (2, 2), (-1, 3)])
def test_the_saved_model_says_yes_as_the_head_does(tiny_folder: Path, tmp_path: Path, layer: int, layers: int) -> None:
    policy = tiny_policy(tiny_folder)
    items = [replace(item, validation=item.group == "r") for item in CANDIDATES]
    model, said, tokens = train_probe(policy, TASK, items, settings_of("probe", {"layer": layer, "strength": 0.01}))
    assert said["accuracy"] > 0.9
    assert {"auroc", "pwacc", "shorter"} <= said.keys()
    assert tokens == sum(len(policy.encode(TASK.prompt(item))) for item in items)
    model.save_pretrained(tmp_path / "made")
    policy.backend.tokenizer.save_pretrained(tmp_path / "made")
    judge = load(ModelSpec("made", str(tmp_path / "made"), dtype="float32"), "cpu")
    assert len(judge.model.model.layers) == layers
    choices = dict(judge.choose([ChoiceRequest(TASK.prompt(item), ("Yes", "No")) for item in items]))
    chances = [choices[i].probabilities[0] for i in range(len(items))]  # type: ignore[union-attr]
    right = [(chance > 0.5) == bool(item.label) for chance, item in zip(chances, items, strict=True)]
    training = [ok for ok, item in zip(right, items, strict=True) if not item.validation]
    assert sum(training) / len(training) == pytest.approx(said["accuracy"])
    assert min(chances) < 0.5 < max(chances)


def test_states_are_those_of_each_prompt_alone(tiny_folder: Path) -> None:
    policy = tiny_policy(tiny_folder)
    model = cut(policy.copy(), 2)
    sequences = [policy.encode(TASK.prompt(item)) for item in CANDIDATES]
    sequences += [sequences[0][:3], sequences[0][:5], sequences[0]]
    found = features(model, sequences)
    for sequence, state in zip(sequences, found, strict=True):
        alone = model.model(input_ids=torch.tensor([sequence])).last_hidden_state[0, -1]
        assert torch.allclose(state.float(), alone, atol=1e-4)


def test_bfloat16_makes_no_ties(tiny_folder: Path, tmp_path: Path) -> None:
    policy = tiny_policy(tiny_folder)
    model, _, _ = train_probe(policy, TASK, CANDIDATES, settings_of("probe", {"layer": 2}))
    model.save_pretrained(tmp_path / "made")
    policy.backend.tokenizer.save_pretrained(tmp_path / "made")
    requests = [ChoiceRequest(TASK.prompt(item), ("Yes", "No")) for item in CANDIDATES]
    found = []
    for dtype in ("float32", "bfloat16"):
        judge = load(ModelSpec("made", str(tmp_path / "made"), dtype=dtype), "cpu")
        choices = dict(judge.choose(requests))
        found.append([choices[i].probabilities for i in range(len(requests))])  # type: ignore[union-attr]
    for exact, rounded in zip(*found, strict=True):
        assert sum(exact) == pytest.approx(1, abs=1e-4), "Yes and No are all that it says"
        assert rounded[0] == pytest.approx(exact[0], abs=0.03)
    assert len({yes for yes, _ in found[1]}) >= 0.8 * len({yes for yes, _ in found[0]})


@pytest.mark.parametrize("token", ["following", "alone"])
def test_the_token_that_learns_is_the_one_that_is_read(tiny_folder: Path, tmp_path: Path, token: str) -> None:
    policy, task = tiny_policy(tiny_folder), replace(TASK, framing=replace(TASK.framing, yes_token=token))
    model, _, _ = train_probe(policy, task, CANDIDATES, settings_of("probe", {"layer": 2}))
    model.save_pretrained(tmp_path / "made")
    policy.backend.tokenizer.save_pretrained(tmp_path / "made")
    judge = load(ModelSpec("made", str(tmp_path / "made"), dtype="float32"), "cpu")
    requests = [ChoiceRequest(task.prompt(item), ("Yes", "No"), alone=token == "alone") for item in CANDIDATES]
    found = dict(judge.choose(requests))
    for i in range(len(requests)):
        assert sum(found[i].probabilities) == pytest.approx(1, abs=1e-4)  # type: ignore[union-attr]


def test_the_weights_are_those_of_a_logistic_regression_with_a_constant() -> None:
    torch.manual_seed(0)
    states = torch.randn(400, 5, dtype=torch.float64)
    states[:, 4] = 20 + states[:, 4] / 100  # hidden states have directions that hardly vary
    truth = torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    labels = (torch.rand(400) < torch.sigmoid(states @ truth)).long()
    weights, constant = fit(states, labels, 1e-6)
    logits = states @ weights
    assert (states @ constant).tolist() == pytest.approx([1.0] * len(states), abs=0.2)
    assert area(logits, labels) >= area(states @ truth, labels) - 0.01
    chances = torch.sigmoid(logits)
    assert float(chances.mean()) == pytest.approx(float(labels.double().mean()), abs=0.02)


def test_area_counts_ties_half() -> None:
    assert area(torch.tensor([2.0, 1.0, 1.0]), torch.tensor([1, 0, 1])) == pytest.approx(0.75)


@pytest.mark.parametrize("layer", [0, 4, -2])
def test_a_layer_that_is_not_there_is_refused(tiny_folder: Path, layer: int) -> None:
    with pytest.raises(ConfigError, match="layers 1 to 3"):
        train_probe(tiny_policy(tiny_folder), TASK, CANDIDATES, settings_of("probe", {"layer": layer}))


def test_one_label_alone_is_refused(tiny_folder: Path) -> None:
    right = [item for item in CANDIDATES if item.label]
    with pytest.raises(DataError, match="needs both"):
        train_probe(tiny_policy(tiny_folder), TASK, right, settings_of("probe", {}))
