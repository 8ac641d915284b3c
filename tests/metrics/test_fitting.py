"""What is fitted is the best there is, and is fitted on the other databases alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sqljudge.metrics.fitting import TEMPERATURES, across_groups, best_temperature, best_threshold, scaled

SCORES = st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.5, 0.51, 0.9, 1.0])


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), SCORES), min_size=1, max_size=12))
def test_no_threshold_does_better_than_the_fitted_one(candidates: list[tuple[bool, float]]) -> None:
    label, score = np.array([a for a, _ in candidates]), np.array([b for _, b in candidates])

    def f1(threshold: float) -> float:
        found = f1_score(label, score > threshold, average="macro", labels=[False, True], zero_division=0)
        return float(found)

    fitted = best_threshold(score, label)
    assert fitted is not None
    assert f1(fitted) == pytest.approx(max(f1(x) for x in (-2, -0.75, -0.25, 0.15, 0.4, 0.505, 0.7, 0.95, 2)))
    if f1(fitted) == pytest.approx(f1(0.5)):
        assert fitted == 0.5, "of equally good ones, the paper's"


def test_a_temperature_undoes_the_factor_that_a_logit_was_stretched_by() -> None:
    random = np.random.default_rng(7)
    honest = random.uniform(0.02, 0.98, 20_000)
    label = random.uniform(size=len(honest)) < honest
    stretched = scaled(honest, 1 / 3)
    assert best_temperature(stretched, label) == pytest.approx(3, rel=0.05)
    assert np.allclose(scaled(stretched, 3.0), honest)


def test_a_temperature_does_not_move_a_score_across_one_half() -> None:
    before = np.array([0.0, 0.2, 0.49, 0.5, 0.51, 1.0])
    for temperature in (0.1, 1.0, 30.0):
        after = scaled(before, temperature)
        assert ((after > 0.5) == (before > 0.5)).all()
        assert ((after >= 0) & (after <= 1)).all()


def test_temperatures_need_labels_of_both_kinds() -> None:
    assert best_temperature(np.array([0.2, 0.9]), np.array([True, True])) is None
    assert best_temperature(np.array([]), np.array([], dtype=bool)) is None
    assert TEMPERATURES[0] < best_temperature(np.array([0.2, 0.9]), np.array([False, True])) < 1


def test_across_groups_hands_out_everyone_else() -> None:
    group = np.array(["a", "b", "a", "c"])
    seen = across_groups(group, lambda rest: float(rest @ np.array([1, 2, 4, 8])))
    assert seen == {"a": 10.0, "b": 13.0, "c": 7.0}
    assert across_groups(group, lambda rest: None) == {}
