"""Methods of training, and what decides what they make."""

from __future__ import annotations

import pytest
from sqljudge.core.provenance import closure
from sqljudge.training.methods import CODE, ONLINE

ELSEWHERE = {"training", "training.checkpoints", "training.items", "training.methods"}
"""Where a run goes on, and data and settings, which are in a training's key themselves."""


@pytest.mark.parametrize("trainer", CODE)
def test_a_trainer_is_known_by_all_the_code_that_it_runs(trainer: str) -> None:
    of_responses = set() if trainer == ONLINE else {"training.rewards"}  # no other trainer has responses
    reached = {name for name in closure(CODE[trainer]) if name.partition(".")[0] == "training"}
    assert reached - ELSEWHERE - of_responses == {*CODE[trainer]}
