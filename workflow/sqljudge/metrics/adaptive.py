"""An adaptive budget: a thought stops at the first checkpoint where its forced verdict is settled. Knows no file.

A verdict is settled when it is confident, or when it has stayed the same at so many checkpoints in a row. The two
numbers of this policy are fitted for each database on all other databases, and scored on the one that they have not
seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from sqljudge.core.errors import DataError
from sqljudge.core.files import write_json
from sqljudge.core.records import CORRECT_THRESHOLD, CandidateSet, ForcedVerdict, Question, Score, read_jsonl
from sqljudge.metrics.fitting import across_groups
from sqljudge.metrics.intervals import RESAMPLES, SHARE, Array, bootstrap, mean_between, paired_test, ratio
from sqljudge.metrics.intrinsic import METRICS, SPENT, question_rows
from sqljudge.stages.score import Executable, read_executable, score_forced

Rows = Sequence[Mapping[str, Any]]

CERTAIN = 1.0
"""A confidence that no probability is above."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When to stop: at a probability of either verdict above `confidence`, or at `patience` equal verdicts in a row."""

    confidence: float
    patience: int


def stopped(verdicts: Sequence[ForcedVerdict], policy: Policy) -> ForcedVerdict:
    """The verdict at which a thought is stopped, of those at its checkpoints in order; the last where none is settled.

    A verdict whose request failed is given where it comes first: nothing is known beyond it.
    """
    said: bool | None = None
    run = 0
    for verdict in verdicts:
        if verdict.probability is None:
            return verdict
        now = verdict.probability > CORRECT_THRESHOLD
        said, run = now, run + 1 if now is said else 1
        if run >= policy.patience or max(verdict.probability, 1 - verdict.probability) > policy.confidence:
            return verdict
    return verdicts[-1]


def policies(confidences: Iterable[float], checkpoints: int) -> list[Policy]:
    """All policies that are tried, the most cautious first: it never stops a thought."""
    grid = product(sorted({*confidences, CERTAIN}, reverse=True), range(checkpoints + 1, 0, -1))
    return [Policy(confidence, patience) for confidence, patience in grid]


def adaptive_metrics(
    candidates: Sequence[CandidateSet],
    verdicts: Sequence[ForcedVerdict],
    own: Sequence[Score],
    databases: Mapping[int, str],
    *,
    confidences: Sequence[float],
    mode: str,
    executable: Executable | None,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """What an adaptive budget spends and loses against thinking to the last checkpoint, with 95 % intervals.

    `verdicts`: of every candidate, at the same checkpoints. `own`: scores from the responses' own verdicts at the last
    checkpoint. `databases`: of each question, by its id. For each database the policy is the one that saves the most
    tokens on all others at no loss in PwAcc there (of equal ones the most accurate, then the most patient).

    JSON-able: counts, `checkpoints`, `folds` (the policy of each database) and `metrics`: `own`, `full` and `adaptive`,
    each with `SPENT` (of a candidate that the model was asked about) and `pwacc`; `adaptive` also with
    `saved` (share of the full thought's tokens), `difference` (in PwAcc, to `full`) and the medians of what was fitted.
    Intervals are over questions with the policies as fitted. With a single database there is nothing to fit on, and all
    of `adaptive` is None. Raises DataError if a label, verdict or database is missing.
    """
    thoughts, checkpoints = _thoughts(verdicts)
    grid = policies(confidences, len(checkpoints))
    failed = {verdict.question_id for verdict in verdicts if verdict.probability is None}
    asked = [group for group in candidates if group.question_id not in failed and not group.unanswered]

    def rows(policy: Policy) -> Rows:
        chosen = [stopped(thought, policy) for thought in thoughts.values()]
        return question_rows(asked, score_forced(asked, chosen, mode=mode, executable=executable))

    tried = [rows(policy) for policy in grid]
    full = tried[0]
    group = _databases(full, databases)
    best = _fitted(tried, group)
    mixed = [tried[best[name]][i] for i, name in enumerate(group)] if best else []
    folds = {name: grid[number] for name, number in best.items()}
    return {
        "questions": len(full),
        "left_out": len(candidates) - len(full),
        "candidates": sum(row["candidates"] for row in full),
        "pairs": sum(row["pairs"] for row in full),
        "databases": len(set(group)),
        "checkpoints": checkpoints,
        "policies": len(grid),
        "folds": {name: asdict(policy) for name, policy in folds.items()},
        "metrics": _metrics(
            question_rows(asked, own), full, mixed, list(folds.values()), max(checkpoints, default=0), seed, resamples
        ),
        "per_question": list(mixed),
    }


def _fitted(tried: Sequence[Rows], group: Sequence[str]) -> dict[str, int]:
    """For each database, the policy (by its place) that is best on all others. `group`: each question's database."""
    spent, accuracy = (np.stack([_table(name, each) for each in tried]) for name in ("tokens", "pwacc"))
    return across_groups(np.array(group, dtype=np.str_), lambda rest: _best(spent[:, rest], accuracy[:, rest]))


def _metrics(
    own: Rows, full: Rows, mixed: Rows, fitted: Sequence[Policy], most: int, seed: int, resamples: int
) -> dict[str, dict[str, Any]]:
    """What each way of thinking spends and how accurate it is, and what the adaptive one saves and loses.

    `most`: tokens of a full thought.
    """
    how = {"seed": seed, "resamples": resamples}
    ways = {"own": own, "full": full, "adaptive": mixed}
    found = {
        way: {name: _interval(name, rows, most, **how) for name in (*SPENT, "pwacc")} for way, rows in ways.items()
    }
    found["adaptive"] |= {
        "saved": _saved(mixed, full, **how),
        "difference": _difference(mixed, full, **how),
        "confidence": _median([policy.confidence for policy in fitted]),
        "patience": _median([policy.patience for policy in fitted]),
    }
    return found


def _thoughts(verdicts: Sequence[ForcedVerdict]) -> tuple[dict[tuple[int, str], list[ForcedVerdict]], list[int]]:
    """Each candidate's verdicts from the first checkpoint to the last, and the checkpoints."""
    checkpoints = sorted({verdict.budget for verdict in verdicts})
    found: dict[tuple[int, str], list[ForcedVerdict]] = {}
    for verdict in sorted({(v.question_id, v.sql, v.budget): v for v in verdicts}.values(), key=lambda v: v.budget):
        found.setdefault((verdict.question_id, verdict.sql), []).append(verdict)
    for (question, sql), thought in found.items():
        if len(thought) != len(checkpoints):
            what = f"{len(thought)} forced verdicts of candidate {sql!r} at {len(checkpoints)} checkpoints"
            raise DataError(f"question {question}: {what}; force the verdicts again")
    return found, checkpoints


def _databases(rows: Rows, databases: Mapping[int, str]) -> list[str]:
    missing = [row["question_id"] for row in rows if row["question_id"] not in databases]
    if missing:
        raise DataError(f"question {missing[0]}: its database is not known; make the questions again")
    return [databases[row["question_id"]] for row in rows]


def _best(spent: Array, accuracy: Array) -> int:
    """The policy (by its place) that saves the most, of those that lose nothing against the first, which never stops.

    `spent`, `accuracy`: what each question adds to the metric under each policy, [policies, questions, 2]. Where PwAcc
    rests on nothing, all policies are equally good.
    """
    tokens, accurate = (
        np.nan_to_num(METRICS[name].combine(table.sum(axis=1))).round(12)
        for name, table in (("tokens", spent), ("pwacc", accuracy))
    )
    kept = np.flatnonzero(accurate >= accurate[0])
    return int(min(kept, key=lambda number: (tokens[number], -accurate[number], number)))


def _table(name: str, rows: Rows) -> Array:
    return np.array([METRICS[name].statistics(row) for row in rows], dtype=np.float64).reshape(len(rows), 2)


def _interval(name: str, rows: Rows, most: int, *, seed: int, resamples: int) -> dict[str, Any]:
    """A metric with its interval. `most`: tokens of a full thought."""
    if not rows:
        return {"value": None, "low": None, "high": None, "n": 0}
    ends = mean_between(0.0, most) if name == "tokens" else METRICS[name].ends
    found = bootstrap(_table(name, rows), METRICS[name].combine, ends, seed=seed, resamples=resamples)
    return {**asdict(found), "n": sum(map(METRICS[name].rests_on, rows))}


def _saved(mixed: Rows, full: Rows, *, seed: int, resamples: int) -> dict[str, Any]:
    """1 - tokens spent / tokens of the full thought."""
    spent = [(row["tokens"], whole["tokens"]) for row, whole in zip(mixed, full, strict=False)]
    table = np.array(spent, dtype=np.float64).reshape(len(spent), 2)
    return asdict(bootstrap(table, lambda sums: 1 - ratio(sums), opposite_share, seed=seed, resamples=resamples))


def opposite_share(statistics: Array) -> tuple[Array, Array]:
    """A question that saves nothing, and one that saves all."""
    low, high = SHARE(statistics)
    return high, low


def _difference(mixed: Rows, full: Rows, *, seed: int, resamples: int) -> dict[str, Any]:
    if not mixed:
        return {"value": None, "low": None, "high": None, "n": 0}
    combine = METRICS["pwacc"].combine
    test = paired_test(_table("pwacc", mixed), _table("pwacc", full), combine, SHARE, seed=seed, resamples=resamples)
    return {
        "value": test.difference,
        **{name: getattr(test, name) for name in ("low", "high", "p_value", "n", "deciding")},
    }


def _median(values: Sequence[float]) -> dict[str, Any]:
    return {"value": float(np.median(values)) if len(values) else None, "n": len(values)}


def write_adaptive(
    *,
    questions: str,
    candidates: str,
    forced: str,
    scores: str,
    executions: Sequence[str],
    metrics: str,
    settings: Mapping[str, Any],
    confidences: Sequence[float],
    seed: int,
    resamples: int,
) -> None:
    """Write what stopping thoughts at the checkpoints of `settings` spends and loses, with the settings."""
    checkpoints = settings["checkpoints"]
    found = adaptive_metrics(
        read_jsonl(candidates, CandidateSet),
        [verdict for verdict in read_jsonl(forced, ForcedVerdict) if verdict.budget in checkpoints],
        read_jsonl(scores, Score),
        {question.id: question.db_id for question in read_jsonl(questions, Question)},
        confidences=confidences,
        mode=settings["mode"],
        executable=read_executable(executions),
        seed=seed,
        resamples=resamples,
    )
    write_json(metrics, {"settings": settings, **found})
