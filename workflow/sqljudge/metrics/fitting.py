"""What is fitted on some databases and used on another: a threshold, a temperature. Knows scores and labels only.

SciPy is imported where something is fitted: it takes long, and many who know this module fit nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sqljudge.core.records import CORRECT_THRESHOLD
from sqljudge.metrics.intervals import Array
from sqljudge.metrics.intrinsic import macro_f1

Labels = NDArray[np.bool_]
Fitted = TypeVar("Fitted")

CLIP = 1e-6
"""Probabilities are kept so far from 0 and 1, where a logit has no end."""

TEMPERATURES = (0.01, 100.0)
"""The range in which a temperature is looked for."""


def across_groups(group: NDArray[np.str_], fit: Callable[[Labels], Fitted | None]) -> dict[str, Fitted]:
    """For each group, what `fit` finds on the members of all other groups; groups for which it finds nothing left out.

    `group`: [n], the group of each member; `fit` gets a mask [n] of the members to fit on.
    """
    found = {}
    for name in sorted(set(group.tolist())):
        rest = group != name
        value = fit(rest) if rest.any() else None
        if value is not None:
            found[name] = value
    return found


def best_threshold(score: Array, label: Labels) -> float | None:
    """The threshold at which macro F1 is highest; of several, the one nearest to the paper's 0.5.

    Looked for at 0.5, halfway between neighbouring scores, and beyond the lowest and the highest. None without a
    candidate.
    """
    if not len(score):
        return None
    values = np.unique(score)
    beyond = [values[0] - 0.5, values[-1] + 0.5, CORRECT_THRESHOLD]
    edges = np.concatenate([beyond, (values[:-1] + values[1:]) / 2])
    above = [len(part) - np.searchsorted(np.sort(part), edges, side="right") for part in (score[label], score[~label])]
    tp, fp = (part.astype(np.float64) for part in above)
    f1 = macro_f1(np.stack([tp, fp, label.sum() - tp, (~label).sum() - fp], axis=-1)).round(12)
    best = edges[f1 == f1.max()]
    return float(best[np.abs(best - CORRECT_THRESHOLD).argmin()])


def scaled(probability: Array, temperature: Array | float) -> Array:
    """The probability with its logit divided by the temperature (Guo et al. 2017)."""
    from scipy.special import expit, logit

    return np.asarray(expit(logit(np.clip(probability, CLIP, 1 - CLIP)) / temperature), dtype=np.float64)


def best_temperature(probability: Array, label: Labels) -> float | None:
    """The temperature under which the labels are most likely; None unless there are labels of both kinds."""
    if not label.any() or label.all():
        return None
    from scipy.optimize import minimize_scalar
    from scipy.special import logit

    margin = logit(np.clip(probability, CLIP, 1 - CLIP)) * np.where(label, 1.0, -1.0)

    def surprise(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -margin / np.exp(log_temperature)).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(surprise, bounds=(low, high), method="bounded").x))
