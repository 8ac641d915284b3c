"""Curricula: SAT tasks and their difficulty, the threshold, one question over and over."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import ConfigError
from sqljudge.training.curricula import Ladder, one_shot
from sqljudge.training.rewards import saturn
from sqljudge.training.sat import chance, difficulty, literals, sat_task, sat_tasks, satisfies


@pytest.mark.parametrize(
    ("step", "expected"),
    [((3, 5, 5), 5.632450931), ((3, 5, 6), 6.158519342), ((3, 5, 13), 8.389474190), ((2, 4, 8), 8.0)],
)
def test_difficulty(step: tuple[int, int, int], expected: float) -> None:
    assert difficulty(*step) == pytest.approx(expected)


@given(st.integers(0, 10**6), st.sampled_from([(3, 5, 5), (3, 5, 13), (2, 4, 18), (1, 6, 6), (3, 3, 7), (4, 26, 40)]))
def test_a_task_has_the_sizes_asked_for_and_its_planted_assignment_satisfies_it(
    seed: int, step: tuple[int, int, int]
) -> None:
    n, k, number = step
    task = sat_task(step, random.Random(seed))
    clauses = literals(task.formula)
    assert len(clauses) == number == len({tuple(clause) for clause in clauses})
    assert all(len(clause) == n == len({variable for variable, _ in clause}) for clause in clauses)
    assert all(variable < k for clause in clauses for variable, _ in clause)
    assert len(task.planted) == k
    assert satisfies(task.formula, task.planted)
    assert saturn(rf"\boxed{{{task.planted}}}", task.formula, k) == 1


def test_every_clause_that_the_assignment_satisfies_may_be_drawn() -> None:
    """All sign patterns but one, over the same variables: no more, no less."""
    drawn = set(sat_task((2, 2, 3), random.Random(0)).formula.split(" & "))
    assert len(drawn) == 3
    assert len(drawn | {"AB", "A!B", "!AB", "!A!B"}) == 4


def test_what_a_guess_earns_is_known() -> None:
    found = [chance(task) for task in sat_tasks((3, 5, 5), 100, seed=1)]
    assert sum(found) / len(found) == pytest.approx((7 / 8) ** 5, abs=0.03)


def test_tasks_are_distinct_and_fixed_by_the_seed() -> None:
    one, same, other = (sat_tasks((3, 5, 5), 50, seed) for seed in (1, 1, 2))
    assert one == same != other
    assert len({task.formula for task in one}) == 50


@pytest.mark.parametrize("step", [(3, 2, 1), (2, 2, 4), (0, 3, 1), (3, 27, 5), (3, 5, 0)])
def test_sizes_that_give_no_task_are_refused(step: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="change `steps`"):
        sat_task(step, random.Random(0))


def test_more_tasks_than_there_are_are_refused() -> None:
    with pytest.raises(ConfigError, match="ask for fewer"):
        sat_tasks((1, 1, 1), 3, seed=0)


def test_the_level_rises_above_the_threshold_alone_and_ends_at_the_last_step() -> None:
    ladder = Ladder(3, threshold=0.5)
    assert [ladder.report(solved) for solved in (0.4, 0.5, 0.51, 0.9, 1.0)] == [False, False, True, True, False]
    assert ladder.level == 2
    again = Ladder(3)
    again.restore(json.loads(json.dumps(ladder.state())))
    assert again.level == 2


def test_one_question_is_repeated() -> None:
    assert one_shot(["a", "b"], 3, 1) == ["b", "b", "b"]
    with pytest.raises(ConfigError, match="item 2"):
        one_shot(["a", "b"], 3, 2)
