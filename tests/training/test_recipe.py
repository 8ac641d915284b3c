"""The recipe of docs/training.md, followed: a new reward trains a model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT
from sqljudge.training import methods, rewards
from toys import rollouts, save_tiny


def test_a_new_reward_is_a_function_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trl", reason="TRL is not installed (requirements-train.txt)")
    from sqljudge.training.online import train_online

    recipe = (ROOT / "docs/training.md").read_text(encoding="utf-8").partition("\n## A new reward")[2]
    function, line = re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)
    monkeypatch.setattr(methods, "METHODS", dict(methods.METHODS))
    exec(compile(function, "recipe", "exec"), vars(rewards))
    exec(compile(line, "recipe", "exec"), vars(methods))
    made = rollouts(save_tiny(tmp_path / "tiny"), "brief", prompts=2, generations=4, learning_rate=1e-2)
    right = rewards.Response("q", "", (1,) * 20, right=True)
    assert made.reward([right, rewards.Response("q", "", (1,) * 21, right=True)]) == [1.0, 0.0]
    trainer = train_online(made, steps=2, folder=tmp_path / "run", device="cpu")
    assert [row["step"] for row in trainer.state.log_history if "loss" in row] == [1, 2]
    del rewards.brief  # type: ignore[attr-defined]
