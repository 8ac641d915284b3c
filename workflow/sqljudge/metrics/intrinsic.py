"""How well scores tell right candidates from wrong ones, on a labelled pool (paper, section 6). Knows no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from math import comb
from typing import Any

import numpy as np

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import write_json
from sqljudge.core.records import CORRECT_THRESHOLD, CandidateSet, Score, by_candidate, check_values, read_jsonl
from sqljudge.metrics.intervals import (
    RESAMPLES,
    SHARE,
    Array,
    Ends,
    Metric,
    PairedTest,
    bootstrap,
    mcnemar_exact,
    paired_test,
    ratio,
    share_interval,
)
from sqljudge.stages.rank import ranked

Row = Mapping[str, Any]


def macro_f1(counts: Array) -> Array:
    """Mean of the F1 of the classes correct and wrong: (tp, fp, fn, tn) [..., 4] -> [...].

    A class that is neither true nor predicted anywhere has F1 0; nan where there is no candidate at all.
    """
    tp, fp, fn, tn = (counts[..., index] for index in range(4))
    correct = np.nan_to_num(ratio(np.stack([2 * tp, 2 * tp + fp + fn], axis=-1)))
    wrong = np.nan_to_num(ratio(np.stack([2 * tn, 2 * tn + fp + fn], axis=-1)))
    return np.where(counts.sum(axis=-1) > 0, (correct + wrong) / 2, np.nan)


def macro_f1_ends(counts: Array) -> tuple[Array, Array]:
    """A question whose candidates are all called wrongly, and one with all called rightly; half of them are correct."""
    half = counts.sum(axis=1).max() / 2
    return np.array([0.0, half, half, 0.0]), np.array([half, 0.0, 0.0, half])


@dataclass(frozen=True, slots=True)
class IntrinsicMetric:
    """A metric as a function of sums over questions.

    `statistics`: what a question adds, from its row of `per_question`. `combine`: the metric of the sums. `rests_on`:
    whether a question can count at all (what `n` counts). `yes_no`: a question is right or wrong, nothing between.
    `ends`: of its intervals; None where it has none. `at_random`: of a mean over questions, what stands in such a row
    for it where equal scores are shuffled.
    """

    statistics: Callable[[Row], tuple[float, ...]]
    combine: Metric
    rests_on: Callable[[Row], bool]
    ends: Ends | None = SHARE
    yes_no: bool = False
    at_random: str = ""


def _share_of_failures(row: Row) -> tuple[float, float]:
    return (row["failures"] / row["asked"], 1.0) if row["asked"] else (0.0, 0.0)


def _mean_of(name: str) -> Callable[[Row], tuple[float, float]]:
    return lambda row: (row[name], row["asked"])


SPENT = ("tokens", "read", "large_tokens")
"""What is spent on a candidate that the model was asked about: new tokens; those and the prompt's, which the model (of
two that share the work, the small one) reads; what the large one of two reads."""

METRICS: dict[str, IntrinsicMetric] = {
    "pwacc": IntrinsicMetric(lambda row: (row["pairs_won"], row["pairs"]), ratio, lambda row: row["pairs"] > 0),
    "f1": IntrinsicMetric(
        lambda row: (row["tp"], row["fp"], row["fn"], row["tn"]),
        macro_f1,
        lambda row: row["candidates"] > 0,
        macro_f1_ends,
    ),
    "hit1": IntrinsicMetric(
        lambda row: (row["hit1"], 1), ratio, lambda row: True, yes_no=True, at_random="hit1_at_random"
    ),
    "mrr": IntrinsicMetric(
        lambda row: (row["reciprocal_rank"], 1), ratio, lambda row: True, at_random="reciprocal_rank_at_random"
    ),
    "failure_rate": IntrinsicMetric(_share_of_failures, ratio, lambda row: row["asked"] > 0),
    **{name: IntrinsicMetric(_mean_of(name), ratio, lambda row: row["asked"] > 0, None) for name in SPENT},
}
"""The metrics by name; the formulas are of the paper, section 6."""


def intrinsic_metrics(
    candidates: Sequence[CandidateSet], scores: Sequence[Score], *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """PwAcc, macro F1, Hit@1, MRR and failure rate of a labelled pool, as fractions, with 95 % intervals; and `SPENT`.

    JSON-able: the counts `questions`, `left_out` (questions of which a request failed; they count nowhere else),
    `candidates`, `pairs` (of one question's candidates with different labels), `no_verdict` (questions whose candidates
    all failed, of those that the model was asked about);
    `metrics`, each with value, low, high and n (questions that it rests on; value None if there are none);
    `per_question`, the counts that all of it is made of.
    Hit@1 and MRR rank equal scores as listed (paper, section 6). Beside them stand `at_random`, their mean if equal
    scores are shuffled, and `without_verdict`, what of their value the questions of `no_verdict` give. Where that is
    every question, there is no value: the order of the file is no achievement of the model.
    A question without candidates counts as missed in Hit@1 and MRR, and not at all elsewhere. The failure rate and the
    new tokens written are over candidates that the model was asked about. Raises DataError as `question_rows` does.
    """
    rows = question_rows(candidates, scores)
    return {
        "questions": len(rows),
        "left_out": len(candidates) - len(rows),
        "candidates": sum(row["candidates"] for row in rows),
        "pairs": sum(row["pairs"] for row in rows),
        "no_verdict": sum(row["no_verdict"] for row in rows),
        "metrics": {name: _interval(rule, rows, seed, resamples) | _ties(rule, rows) for name, rule in METRICS.items()},
        "per_question": rows,
    }


def _ties(metric: IntrinsicMetric, rows: Sequence[Row]) -> dict[str, Any]:
    """What the order of equal scores gives of a metric that rests on it: see `intrinsic_metrics`."""
    if not metric.at_random or not rows:
        return {}
    parts = {
        "at_random": sum(row[metric.at_random] for row in rows) / len(rows),
        "without_verdict": sum(metric.statistics(row)[0] for row in rows if row["no_verdict"]) / len(rows),
    }
    return {**parts, **dict.fromkeys(("value", "low", "high"))} if is_silent(rows) else parts


def is_silent(rows: Sequence[Row]) -> bool:
    """Whether a run got no verdict on any question that its model was asked about: it ranks nothing."""
    asked = [row for row in rows if row["asked"]]
    return bool(asked) and all(row["failures"] == row["asked"] for row in asked)


def question_rows(candidates: Sequence[CandidateSet], scores: Sequence[Score]) -> list[dict[str, Any]]:
    """The counts of each question of which no request failed.

    Raises DataError if a candidate has no label or no score, two scores of it differ, or a value is none that it can
    be (`check_values`).
    """
    for group in candidates:
        check_values(group)
    known = by_candidate(scores, "scores")
    unanswered = {score.question_id for score in scores if not score.answered}
    unanswered |= {group.question_id for group in candidates if group.unanswered}
    return [_question_row(group, known) for group in candidates if group.question_id not in unanswered]


def compare(
    metric: str, first: Sequence[Row], second: Sequence[Row], *, seed: int, resamples: int = RESAMPLES
) -> PairedTest:
    """Paired test of two runs on one pool, by their `per_question` rows (matched by question).

    McNemar's exact test where a question is right or wrong (Hit@1), else swaps (`paired_test`). A run without any
    verdict has no Hit@1 and no MRR to compare.
    Raises ConfigError for an unknown metric, DataError if the runs are not of the same questions.
    """
    if metric not in METRICS:
        raise ConfigError(f"metric {metric!r}: not known; choose one of {', '.join(METRICS)}")
    rule, by_question = METRICS[metric], {row["question_id"]: row for row in second}
    if len(first) != len(second) or any(row["question_id"] not in by_question for row in first):
        raise DataError(f"{metric}: the runs are of different questions; compare runs on one pool")
    one, other = _table(rule, first), _table(rule, [by_question[row["question_id"]] for row in first])
    if rule.at_random and (is_silent(first) or is_silent(second)):
        return PairedTest(None, None, None, None, len(one), int((one != other).any(axis=1).sum()))
    if rule.yes_no:
        return mcnemar_exact([bool(hit) for hit in one[:, 0]], [bool(hit) for hit in other[:, 0]])
    return paired_test(one, other, rule.combine, rule.ends, seed=seed, resamples=resamples)


def _interval(metric: IntrinsicMetric, rows: Sequence[Row], seed: int, resamples: int) -> dict[str, Any]:
    table, n = _table(metric, rows), sum(map(metric.rests_on, rows))
    found = asdict(bootstrap(table, metric.combine, metric.ends, seed=seed, resamples=resamples))
    if metric.yes_no and rows:
        found["low"], found["high"] = share_interval(int(table[:, 0].sum()), len(rows))
    return {**found, "n": n}


def _table(metric: IntrinsicMetric, rows: Sequence[Row]) -> Array:
    if not rows:
        return np.zeros((0, 4))  # as wide as the widest metric: sums of zero, so that every metric rests on nothing
    return np.array([metric.statistics(row) for row in rows], dtype=np.float64)


def _question_row(group: CandidateSet, known: Mapping[tuple[int, str], Score]) -> dict[str, Any]:
    """One question's counts; see `intrinsic_metrics`."""
    judged = [_labelled(group.question_id, candidate.sql, candidate.label, known) for candidate in group.candidates]
    right = [score.score for label, score in judged if label]
    wrong = [score.score for label, score in judged if not label]
    order = ranked({score.sql: score.score for _, score in judged}, as_listed=True)
    correct = {score.sql for label, score in judged if label}
    rank = next((place for place, sql in enumerate(chain.from_iterable(order), 1) if sql in correct), None)
    hit, reciprocal = at_random([(len(tied), sum(sql in correct for sql in tied)) for tied in order])
    asked, failures = sum(score.asked for _, score in judged), sum(score.failure for _, score in judged)
    return {
        "question_id": group.question_id,
        "candidates": len(judged),
        "pairs": len(right) * len(wrong),
        "pairs_won": sum(better > worse for better in right for worse in wrong),
        "hit1": int(rank == 1),
        "reciprocal_rank": 1 / rank if rank else 0.0,
        "hit1_at_random": hit,
        "reciprocal_rank_at_random": reciprocal,
        "asked": asked,
        "failures": failures,
        "no_verdict": int(0 < asked == failures),
        "tokens": sum(score.tokens for _, score in judged),
        "read": sum(score.prompt_tokens + score.tokens for _, score in judged),
        "large_tokens": sum(score.large_tokens for _, score in judged),
        "tp": sum(score > CORRECT_THRESHOLD for score in right),
        "fp": sum(score > CORRECT_THRESHOLD for score in wrong),
        "fn": sum(score <= CORRECT_THRESHOLD for score in right),
        "tn": sum(score <= CORRECT_THRESHOLD for score in wrong),
    }


def at_random(tied: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """What Hit@1 and the reciprocal rank of a question are on average if candidates of equal score are shuffled.

    `tied`: from the highest score to the lowest, how many candidates have it, and how many of these are correct.
    """
    before = 0
    for size, correct in tied:
        if correct:
            first = [comb(size - place, correct - 1) / comb(size, correct) for place in range(1, size + 1)]
            return (0.0 if before else correct / size), sum(p / (before + n) for n, p in enumerate(first, 1))
        before += size
    return 0.0, 0.0


def _labelled(
    question_id: int, sql: str, label: int | None, known: Mapping[tuple[int, str], Score]
) -> tuple[int, Score]:
    if label not in (0, 1):
        raise DataError(f"question {question_id}: candidate {sql!r} has the label {label}; label the pool with 0 or 1")
    if (question_id, sql) not in known:
        raise DataError(f"question {question_id}: no score of candidate {sql!r}; score the pool again")
    return label, known[question_id, sql]


def write_intrinsic(
    *, candidates: str, scores: str, metrics: str, settings: Mapping[str, Any], seed: int, resamples: int
) -> None:
    """Write the metrics of a discriminator's scores on a labelled pool, with their settings."""
    found = intrinsic_metrics(
        read_jsonl(candidates, CandidateSet), read_jsonl(scores, Score), seed=seed, resamples=resamples
    )
    write_json(metrics, {"settings": settings, **found})
