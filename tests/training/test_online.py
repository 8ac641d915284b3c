"""Online training on a tiny model: what TRL is told, what a resumed run does, and what each trap would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from toys import rollouts, save_tiny

pytest.importorskip("trl", reason="TRL is not installed (requirements-train.txt)")
pytest.importorskip("peft", reason="peft is not installed (requirements-train.txt)")

from sqljudge.training.online import train_online


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    model = trainer.accelerator.unwrap_model(trainer.model)
    return {name: part.detach().clone() for name, part in model.named_parameters() if part.requires_grad}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Stopped(BaseException):
    """What stands for a kill."""


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("hapo", {}),
        ("one_shot", {"rank": 4}),
        ("laser_d", {"lower": 2, "upper": 8, "step": 1, "every": 3, "monitored": 4}),
    ],
)
def test_a_run_that_is_killed_ends_as_one_that_is_not(
    tiny_folder: Path, tmp_path: Path, method: str, given: dict[str, Any]
) -> None:
    given = {"prompts": 2, "generations": 4, "learning_rate": 1e-2, "save_every": 2, **given}
    whole = rollouts(tiny_folder, method, **given)
    trained = train_online(whole, steps=8, folder=tmp_path / "whole", device="cpu")

    first = rollouts(tiny_folder, method, **given)
    answer = first.batch

    def killed(numbers: Any, step: int) -> Any:
        if step == 6:
            raise Stopped
        return answer(numbers, step)

    first.batch = killed  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train_online(first, steps=8, folder=tmp_path / "killed", device="cpu")
    second = rollouts(tiny_folder, method, **given)
    resumed = train_online(second, steps=8, folder=tmp_path / "killed", device="cpu")

    assert equal(weights(resumed), weights(trained))
    assert second.state() == whole.state()
    steps = [
        [{key: row.get(key) for key in ("step", "reward", "loss")} for row in t.state.log_history]
        for t in (resumed, trained)
    ]
    assert steps[0] == steps[1]
