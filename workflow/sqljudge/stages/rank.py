"""The order of candidates by score: one rule for planners, metrics and pages. Knows no record."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby


def ranked(scored: Mapping[str, float], *, as_listed: bool = False) -> list[list[str]]:
    """Queries by score, the highest first, those of equal score together: the one order of planners, metrics and pages.

    Among equal scores the lexicographically smallest SQL comes first (paper, section 5) or, as in the paper's metrics
    of the labelled pool, the one that is listed first (`as_listed`; section 6). `scored`: queries in listed order.
    """
    order = sorted(scored if as_listed else sorted(scored), key=lambda sql: -scored[sql])
    return [list(tied) for _, tied in groupby(order, key=lambda sql: scored[sql])]
