"""How often intervals hold what they are of, by simulation: every kind of number that a table shows, few questions too.

A population of questions is drawn once; a sample of n of them gives an interval of the population's value.
docs/method.md has what `PYTHONPATH=workflow python tests/metrics/test_coverage.py` prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.random import Generator
from scipy.stats import binom
from sqljudge.metrics.adaptive import opposite_share
from sqljudge.metrics.calibration import auroc, average_precision, ranking_ends
from sqljudge.metrics.intervals import (
    SHARE,
    Array,
    Ends,
    Metric,
    bootstrap,
    mcnemar_exact,
    mean_between,
    opposite,
    paired_test,
    ratio,
    share_interval,
)
from sqljudge.metrics.intrinsic import macro_f1, macro_f1_ends
from sqljudge.metrics.planner import _gain_ends, _points_for_tokens

SIZES = (3, 12, 60, 400)
POPULATION = 20_000
LEVELS = 12


@dataclass(frozen=True)
class Case:
    """A population [questions, k], a metric of it, and the ends of the metric's intervals."""

    population: Array
    metric: Metric
    ends: Ends


def values(draw: Array) -> Array:
    """One value a question."""
    return np.column_stack([draw, np.ones(len(draw))])


def judged(random: Generator, skill: float) -> tuple[Array, Array, Array]:
    """Labels and scores of up to five candidates a question, [questions, 5]; and which of them there are.

    Questions differ in how many candidates are correct, and in how well they are told apart.
    """
    there = np.arange(5) < random.integers(1, 6, POPULATION)[:, None]
    label = random.random((POPULATION, 5)) < random.beta(0.6, 0.6, POPULATION)[:, None]
    talent = skill + random.normal(0, 1, POPULATION)[:, None]
    score = np.clip(np.round(5 + 2 * (random.normal(0, 1, (POPULATION, 5)) + (label - 0.5) * talent)), 0, LEVELS - 1)
    return label, score, there


def pairs(label: Array, score: Array, there: Array) -> Array:
    one, other = (label & there)[:, :, None], (~label & there)[:, None, :]
    won = score[:, :, None] > score[:, None, :]
    return np.column_stack([(one & other & won).sum((1, 2)), (one & other).sum((1, 2))]).astype(float)


def confusion(label: Array, score: Array, there: Array) -> Array:
    said = score > LEVELS / 2
    parts = (label & said, ~label & said, label & ~said, ~label & ~said)
    return np.column_stack([(part & there).sum(1) for part in parts]).astype(float)


def at_levels(label: Array, score: Array, there: Array) -> Array:
    table = np.zeros((POPULATION, 2 * LEVELS))
    rows = np.repeat(np.arange(POPULATION)[:, None], 5, axis=1)[there]
    place = (LEVELS - 1 - score).astype(int)
    np.add.at(table, (rows, np.where(label, place, place + LEVELS)[there]), 1.0)
    return table


def beside(make: Callable[..., Array], random: Generator, skill: float) -> Array:
    """The statistics of two runs on the same candidates, the second a little better."""
    label, score, there = judged(random, skill)
    better = np.clip(score + np.where(label, 1, -1) * (random.random(score.shape) < 0.3), 0, LEVELS - 1)
    return np.hstack([make(label, score, there), make(label, better, there)])


def minus(metric: Metric, width: int) -> Metric:
    return lambda sums: metric(sums[..., :width]) - metric(sums[..., width:])


def relative(sums: Array) -> Array:
    own, its = ratio(sums[..., :2]), ratio(sums[..., 2:])
    return ratio(np.stack([own - its, its], axis=-1))


@cache
def cases() -> dict[str, Case]:
    random = np.random.default_rng(11)
    rank = random.choice([0, 1, 2, 3], size=POPULATION, p=[0.3, 0.5, 0.15, 0.05])
    reciprocal = np.divide(1.0, rank, out=np.zeros(POPULATION), where=rank > 0)
    asked = random.integers(1, 6, POPULATION)
    tokens = np.minimum(512, random.lognormal(5, 0.8, (POPULATION, 5))) * (np.arange(5) < asked[:, None])
    spent = tokens.sum(1) * random.beta(2, 2, POPULATION)
    squares = (random.beta(0.5, 0.5, (POPULATION, 5)) * (np.arange(5) < asked[:, None])).sum(1)
    gained = random.choice([-1, 0, 1], size=POPULATION, p=[0.03, 0.85, 0.12])
    found = {
        "MRR": Case(values(reciprocal), ratio, SHARE),
        "failure rate, rare": Case(
            values((random.random(POPULATION) < 0.05) * random.random(POPULATION)), ratio, SHARE
        ),
        "failure rate, all or none": Case(values(random.beta(0.2, 0.2, POPULATION)), ratio, SHARE),
        "repetition": Case(values(random.beta(0.3, 6, POPULATION)), ratio, SHARE),
        "diversity": Case(values(random.normal(0.65, 0.08, POPULATION)), ratio, mean_between(0, 2)),
        "entropy": Case(values(random.gamma(20, 0.22, POPULATION)), ratio, mean_between(0, 9)),
        "tokens": Case(np.column_stack([tokens.sum(1), asked]), ratio, mean_between(0, 512)),
        "tokens saved": Case(np.column_stack([spent, tokens.sum(1)]), lambda s: 1 - ratio(s), opposite_share),
        "Brier": Case(np.column_stack([squares, asked]), ratio, SHARE),
        "gain": Case(np.column_stack([gained, random.gamma(2, 400, POPULATION)]), _points_for_tokens, _gain_ends),
        "relative EX": Case(np.tile(values(rank == 1), 2), relative, opposite(SHARE, 2)),
    }
    for skill in (0.2, 1.5):
        of = judged(random, skill)
        found |= {
            f"PwAcc, skill {skill}": Case(pairs(*of), ratio, SHARE),
            f"F1, skill {skill}": Case(confusion(*of), macro_f1, macro_f1_ends),
            f"AUROC, skill {skill}": Case(at_levels(*of), auroc, ranking_ends),
            f"AP, skill {skill}": Case(at_levels(*of), average_precision, ranking_ends),
        }
        of_two = {"PwAcc": (pairs, ratio, SHARE, 2), "F1": (confusion, macro_f1, macro_f1_ends, 4)}
        of_two["AUROC"] = (at_levels, auroc, ranking_ends, 2 * LEVELS)
        for name, (make, metric, ends, width) in of_two.items():
            table = beside(make, random, skill)
            found[f"difference in {name}, skill {skill}"] = Case(table, minus(metric, width), opposite(ends, width))
    drawn = values(random.permutation(reciprocal))
    found["difference in MRR"] = Case(np.hstack([values(reciprocal), drawn]), minus(ratio, 2), opposite(SHARE, 2))
    second = found["relative EX"].population.copy()
    second[random.random(POPULATION) < 0.2, 2] = 1.0
    found["relative EX"] = Case(second, relative, opposite(SHARE, 2))
    return found


def coverage(case: Case, n: int, samples: int, resamples: int = 400) -> float:
    """The share of samples whose interval holds the population's value, of those that have an interval."""
    truth, random = float(case.metric(case.population.sum(axis=0))), np.random.default_rng(n)
    held = []
    for seed in range(samples):
        sample = case.population[random.integers(len(case.population), size=n)]
        found = bootstrap(sample, case.metric, case.ends, seed=seed, resamples=resamples)
        if found.low is not None and found.high is not None:
            held.append(found.low <= truth <= found.high)
    return float(np.mean(held)) if held else 1.0


LEAST = 0.9
"""What every interval must reach; the noise of so many samples is below it."""
SAMPLES = {3: 200, 12: 200, 60: 100, 400: 50}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", list(cases()))
def test_intervals_hold_the_value_in_at_least_95_of_100_samples(name: str, n: int) -> None:
    reached = coverage(cases()[name], n, SAMPLES[n])
    assert reached >= LEAST - (0.04 if n == 400 else 0.0), f"{name}, n = {n}: {reached:.3f}"


@pytest.mark.parametrize("n", SIZES)
def test_the_interval_of_a_share_is_exact(n: int) -> None:
    """No simulation: the binomial distribution itself, for shares from 0 to 1."""
    bounds = [share_interval(hits, n) for hits in range(n + 1)]
    for share in np.linspace(0, 1, 201):
        held = [low <= share <= high for low, high in bounds]
        assert binom.pmf(np.arange(n + 1), n, share)[held].sum() >= 0.95
    assert bounds[0][0] == 0 and 0 < bounds[0][1] < 1 and bounds[n][1] == 1 and 0 < bounds[n][0] < 1


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.02, 0.0), (0.05, 0.05), (0.3, 0.1), (0.9, 0.05)])
def test_the_interval_of_a_paired_difference_of_shares_holds_it(n: int, shares: tuple[float, float]) -> None:
    """`shares`: of questions that the first run alone gets right, and that the second alone does."""
    random, held = np.random.default_rng(n), []
    for _ in range(80 if n < 400 else 40):
        kind = random.choice(3, size=n, p=[*shares, 1 - sum(shares)])
        test = mcnemar_exact((kind == 0).tolist(), (kind == 1).tolist())
        assert test.low is not None and test.high is not None and test.low < test.high
        held.append(test.low <= shares[0] - shares[1] <= test.high)
    assert np.mean(held) >= LEAST


@pytest.mark.parametrize("n", [3, 12, 60])
@pytest.mark.parametrize("what", ["PwAcc", "F1", "AUROC"])
def test_equal_runs_differ_in_at_most_5_of_100_tests(n: int, what: str) -> None:
    case = cases()[f"difference in {what}, skill 1.5"]
    width, random = case.population.shape[1] // 2, np.random.default_rng(n)
    metric, ends = {"PwAcc": (ratio, SHARE), "F1": (macro_f1, macro_f1_ends), "AUROC": (auroc, ranking_ends)}[what]
    small = []
    for seed in range(200):
        sample = case.population[random.integers(POPULATION, size=n)]
        swapped = (random.random(n) < 0.5)[:, None]
        first, second = sample[:, :width], sample[:, width:]
        one, other = np.where(swapped, second, first), np.where(swapped, first, second)
        test = paired_test(one, other, metric, ends, seed=seed, resamples=400)
        small.append(test.p_value is not None and test.p_value < 0.05)
    assert np.mean(small) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


if __name__ == "__main__":
    for name in cases():
        print(
            "|", name, "|", " | ".join(f"{100 * coverage(cases()[name], n, 1000):.0f}" for n in SIZES), "|", flush=True
        )
