"""Methods of training, and what decides what they make."""

from __future__ import annotations

import pytest
from sqljudge.core.provenance import closure
from sqljudge.training.methods import CODE, ONLINE

ELSEWHERE = {"training", "training.checkpoints", "training.items", "training.methods"}
"""Where a run goes on, and data and settings, which are in a training's key themselves."""
OF_RESPONSES = {"training.rewards", "training.sat"}
"""What online trainers alone have use for."""


@pytest.mark.parametrize("trainer", CODE)
def test_a_trainer_is_known_by_all_the_code_that_it_runs(trainer: str) -> None:
    reached = {name for name in closure(CODE[trainer]) if name.partition(".")[0] == "training"}
    unused = ELSEWHERE if trainer == ONLINE else ELSEWHERE | OF_RESPONSES
    assert reached - unused == {*CODE[trainer]}
