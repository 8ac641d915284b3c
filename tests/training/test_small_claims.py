"""What the systems claim, in the small: a model of some ten thousand weights, a task of letters, three seeds."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

pytest.importorskip("trl", reason="TRL is not installed (requirements-train.txt)")
pytest.importorskip("peft", reason="peft is not installed (requirements-train.txt)")

from claims import dense_against_sparse, shorter

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)


@pytest.mark.parametrize("method", ["hapo", "laser"])
def test_right_responses_become_shorter_without_a_loss_in_accuracy(tmp_path: Path, method: str) -> None:
    found = [shorter(method, seed, tmp_path / str(seed)) for seed in SEEDS]
    for before, after in found:
        assert after.length < 0.7 * before.length
        assert after.accuracy >= before.accuracy
    assert mean(after.accuracy for _, after in found) > 0.9


def test_a_dense_reward_moves_a_model_that_the_sparse_one_leaves_where_it_is(tmp_path: Path) -> None:
    for seed in SEEDS:
        before, after = dense_against_sparse("dense", seed, tmp_path / f"{seed}d")
        assert after > before + 0.2
        before, after = dense_against_sparse("sparse", seed, tmp_path / f"{seed}s")
        assert after < before + 0.1
