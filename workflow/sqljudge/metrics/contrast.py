"""What one discriminator gains or loses by what its prompt shows: paired differences of two runs on one pool.

Knows no file. The questions are those of which no request failed in either run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqljudge.core.files import write_json
from sqljudge.core.records import CandidateSet, Score, read_jsonl
from sqljudge.metrics.calibration import auroc, level_counts, ranking_ends
from sqljudge.metrics.intervals import RESAMPLES, PairedTest, paired_test
from sqljudge.metrics.intrinsic import METRICS, SPENT, compare, question_rows

COMPARED = tuple(name for name in METRICS if name not in SPENT)
"""The intrinsic metrics that are compared; AUROC comes beside them."""


def contrast_metrics(
    candidates: Sequence[CandidateSet],
    scores: Sequence[Score],
    base: Sequence[Score],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Each metric of `scores` minus that of `base`, as fractions, with 95 % intervals and p-values.

    JSON-able: the counts `questions`, `left_out` (of which a request failed in one of the runs) and `candidates`;
    `metrics`, each with value (the difference), low, high, p_value, n (questions) and deciding (those on which the runs
    differ). Hit@1 is tested by McNemar's exact test, all else by swaps (`paired_test`). Raises DataError if a label or
    a score is missing.
    """
    ids = [{row["question_id"] for row in question_rows(candidates, some)} for some in (scores, base)]
    shared = [group for group in candidates if all(group.question_id in each for each in ids)]
    rows, others = question_rows(shared, scores), question_rows(shared, base)
    how = {"seed": seed, "resamples": resamples}
    found = {name: compare(name, rows, others, **how) for name in COMPARED}
    levels, other_levels = level_counts(shared, scores, base)
    found["auroc"] = paired_test(levels, other_levels, auroc, ranking_ends, **how)
    return {
        "questions": len(rows),
        "left_out": len(candidates) - len(rows),
        "candidates": sum(row["candidates"] for row in rows),
        "metrics": {name: _as_metric(test) for name, test in found.items()},
    }


def _as_metric(test: PairedTest) -> dict[str, Any]:
    values = asdict(test)
    return {"value": values.pop("difference"), **values}


def write_contrast(
    *, candidates: str, scores: str, base: str, metrics: str, settings: Mapping[str, Any], seed: int, resamples: int
) -> None:
    """Write the paired differences between a discriminator's scores in one context and another, with their settings."""
    found = contrast_metrics(
        read_jsonl(candidates, CandidateSet),
        read_jsonl(scores, Score),
        read_jsonl(base, Score),
        seed=seed,
        resamples=resamples,
    )
    write_json(metrics, {"settings": settings, "against": settings["base"], **found})
