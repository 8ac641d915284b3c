"""What a discriminator's scores are worth without a fixed threshold, and as probabilities. Knows no file.

Three readings of the same scores on a labelled pool. As a ranking of all candidates: AUROC and average precision. As a
classification: F1 at the paper's 0.5, and at a threshold fitted on the other databases. As probabilities: Brier score
and expected calibration error, before and after temperature scaling, its temperature fitted on the other databases.

A candidate without a probability (no verdict, or kept from the model by the executability check) keeps its place below
all others in the ranking and in the classification, as its score says, and is left out of what reads probabilities;
`without_probability` says how many that are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqljudge.core.errors import DataError
from sqljudge.core.files import write_json
from sqljudge.core.records import CORRECT_THRESHOLD, FAILURE_SCORE, CandidateSet, Question, Score, read_jsonl
from sqljudge.metrics.fitting import across_groups, best_temperature, best_threshold, scaled
from sqljudge.metrics.intervals import RESAMPLES, SHARE, Array, Ends, Metric, bootstrap, ratio
from sqljudge.metrics.intrinsic import IntrinsicMetric, macro_f1, macro_f1_ends

Bools = NDArray[np.bool_]

BINS = 10
"""Bins of equal width of the reliability diagram and of the calibration error."""

METRICS: dict[str, IntrinsicMetric] = {
    "f1_fitted": IntrinsicMetric(
        lambda row: (row["tp"], row["fp"], row["fn"], row["tn"]),
        macro_f1,
        lambda row: row["candidates"] > 0,
        macro_f1_ends,
    )
}
"""The metrics that two runs can be compared by, from their `per_question` rows: counts at the fitted threshold."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """A labelled pool as arrays over its candidates: which question (by position), label, score, and database."""

    question: NDArray[np.int64]
    label: Bools
    score: Array
    has_probability: Bools
    database: NDArray[np.str_]
    questions: int

    def sums(self, *values: Array | Bools) -> Array:
        """Each value summed over a question's candidates: [questions, number of values]."""
        columns = [np.bincount(self.question, weights=value, minlength=self.questions) for value in values]
        return np.column_stack(columns)

    def only(self, kept: Bools) -> _Pool:
        """The same pool with some of its candidates."""
        arrays = {name: getattr(self, name)[kept] for name in self.__slots__ if name != "questions"}
        return replace(self, **arrays)


def calibration_metrics(
    candidates: Sequence[CandidateSet],
    scores: Sequence[Score],
    databases: Mapping[int, str],
    *,
    bins: int = BINS,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """AUROC, average precision, F1 at both thresholds, Brier score and calibration error, with 95 % intervals.

    `databases`: the database of each question, by its id. JSON-able: counts; `metrics`, each with value, low, high and
    n (questions resampled); `folds`, what was fitted for each database; `reliability`, the bins of the diagram before
    (`raw`) and after (`scaled`) temperature scaling; `per_question`, counts at the fitted threshold. Intervals are over
    questions with thresholds, temperatures and bins as they are; the calibration error has none. What is fitted needs a
    second database and, there, what it fits on: else its value is None. Raises DataError if a label, score or database
    is missing.
    """
    pool = _pool(candidates, scores, databases)
    thresholds = across_groups(pool.database, lambda rest: best_threshold(pool.score[rest], pool.label[rest]))
    judged = pool.only(pool.has_probability)
    temperatures = across_groups(judged.database, lambda rest: best_temperature(judged.score[rest], judged.label[rest]))
    cooled = scaled(judged.score, _at(judged.database, temperatures))
    table = _statistics(pool, judged, thresholds, cooled, bins)
    metrics = {
        name: asdict(bootstrap(sums, metric, ends, seed=seed, resamples=resamples))
        for name, (sums, metric, ends) in table.items()
    }
    return {
        "questions": pool.questions,
        "candidates": len(pool.label),
        "correct": int(pool.label.sum()),
        "databases": len(set(pool.database.tolist())),
        "bins": bins,
        "metrics": metrics | {"threshold": _median(thresholds), "temperature": _median(temperatures)},
        "folds": {
            name: {"threshold": thresholds.get(name), "temperature": temperatures.get(name)}
            for name in sorted(set(pool.database.tolist()))
        },
        "reliability": {
            name: _reliability(judged, probability, bins, seed, resamples)
            for name, probability in (("raw", judged.score), ("scaled", cooled))
        },
        "per_question": _rows(candidates, table["f1_fitted"][0]),
    }


def _statistics(
    pool: _Pool, judged: _Pool, thresholds: Mapping[str, float], cooled: Array, bins: int
) -> dict[str, tuple[Array, Metric, Ends | None]]:
    """Each metric as what a question adds to it, how the sums make it, and the ends of its interval.

    The calibration error has none: weighing the questions anew raises it.
    """
    fixed = _counts(pool, np.full(len(pool.score), CORRECT_THRESHOLD))
    levels = _level_counts(pool)
    tables: dict[str, tuple[Array, Metric, Ends | None]] = {
        "f1": (fixed, macro_f1, macro_f1_ends),
        "f1_fitted": (_counts(pool, _at(pool.database, thresholds)), macro_f1, macro_f1_ends),
        "auroc": (levels, auroc, ranking_ends),
        "average_precision": (levels, average_precision, ranking_ends),
        "without_probability": (pool.sums(~pool.has_probability, np.ones(len(pool.score))), ratio, SHARE),
    }
    for ending, probability in (("", judged.score), ("_scaled", cooled)):
        known = judged.only(~np.isnan(probability))
        probability = probability[~np.isnan(probability)]
        squares = known.sums((probability - known.label) ** 2, np.ones(len(probability)))
        tables[f"brier{ending}"] = (squares, ratio, SHARE)
        tables[f"ece{ending}"] = (_bin_sums(known, probability, bins), expected_calibration_error, None)
    return tables


def auroc(sums: Array) -> Array:
    """Area under the ROC curve: the chance that a correct candidate scores above a wrong one, a tie counting half.

    `sums`: [..., 2 k]: correct candidates at each of k scores, from the highest to the lowest, then wrong ones. nan
    where one of the classes is missing.
    """
    correct, wrong = np.split(sums, 2, axis=-1)
    above = np.cumsum(correct, axis=-1) - correct / 2
    pairs = correct.sum(axis=-1) * wrong.sum(axis=-1)
    return ratio(np.stack([(wrong * above).sum(axis=-1), pairs], axis=-1))


def ranking_ends(counts: Array) -> tuple[Array, Array]:
    """A question that ranks all of its correct candidates below all wrong ones, and one that ranks them above.

    `counts`: [questions, 2 k], as `auroc` takes them. It has as many of each as a question has candidates on average.
    """
    levels = counts.shape[1] // 2
    size = max(1.0, float(counts.sum(axis=1).mean()))
    low, high = np.zeros(2 * levels), np.zeros(2 * levels)
    low[[levels - 1, levels]] = size
    high[[0, -1]] = size
    return low, high


def average_precision(sums: Array) -> Array:
    """Mean over the correct candidates of the precision among all that score at least as high; `sums` as in `auroc`."""
    correct, wrong = np.split(sums, 2, axis=-1)
    found, taken = np.cumsum(correct, axis=-1), np.cumsum(correct + wrong, axis=-1)
    precision = np.nan_to_num(ratio(np.stack([found, taken], axis=-1)))
    return ratio(np.stack([(correct * precision).sum(axis=-1), correct.sum(axis=-1)], axis=-1))


def expected_calibration_error(sums: Array) -> Array:
    """Mean distance between probability and share correct over bins, weighted by how many candidates a bin holds.

    `sums`: [..., 3 bins]: candidates, summed probability and correct candidates of each bin (Naeini et al. 2015).
    """
    count, probability, correct = np.split(sums, 3, axis=-1)
    gaps = np.abs(probability - correct).sum(axis=-1)
    return ratio(np.stack([gaps, count.sum(axis=-1)], axis=-1))


def _pool(candidates: Sequence[CandidateSet], scores: Sequence[Score], databases: Mapping[int, str]) -> _Pool:
    known = {(score.question_id, score.sql): score for score in scores}
    rows: list[tuple[int, bool, float, bool, str]] = []
    for place, group in enumerate(candidates):
        where = f"question {group.question_id}"
        if group.question_id not in databases:
            raise DataError(f"{where}: not among the questions; make questions and pool again")
        for candidate in group.candidates:
            if candidate.label not in (0, 1) or (group.question_id, candidate.sql) not in known:
                raise DataError(f"{where}: no label or no score of candidate {candidate.sql!r}; score the pool again")
            score = known[group.question_id, candidate.sql]
            judged = score.asked and not score.failure
            rows.append((place, bool(candidate.label), score.score, judged, databases[group.question_id]))
    question, label, value, judged_too, database = zip(*rows, strict=True) if rows else ((),) * 5
    return _Pool(
        np.array(question, dtype=np.int64),
        np.array(label, dtype=np.bool_),
        np.array(value, dtype=np.float64),
        np.array(judged_too, dtype=np.bool_),
        np.array(database, dtype=np.str_),
        len(candidates),
    )


def _at(database: NDArray[np.str_], fitted: Mapping[str, float]) -> Array:
    """What was fitted for each candidate's database; nan where nothing was."""
    return np.array([fitted.get(name, np.nan) for name in database.tolist()], dtype=np.float64)


def _counts(pool: _Pool, threshold: Array) -> Array:
    """True positives, false positives, false negatives and true negatives by question; nothing without a threshold."""
    known, said = ~np.isnan(threshold), pool.score > threshold
    parts = (said & pool.label, said & ~pool.label, ~said & pool.label, ~said & ~pool.label)
    return pool.sums(*(part & known for part in parts))


def fitted_counts(candidates: Sequence[CandidateSet], scores: Sequence[Score], databases: Mapping[int, str]) -> Array:
    """Of each question (tp, fp, fn, tn) at the threshold that is best on all other databases: [questions, 4].

    Nothing counts where there is no other database. Raises DataError if a label, score or database is missing.
    """
    pool = _pool(candidates, scores, databases)
    thresholds = across_groups(pool.database, lambda rest: best_threshold(pool.score[rest], pool.label[rest]))
    return _counts(pool, _at(pool.database, thresholds))


def level_counts(candidates: Sequence[CandidateSet], *runs: Sequence[Score]) -> list[Array]:
    """For each run of scores of one pool a table as `auroc` takes it, over `_levels` of all runs.

    Raises DataError if a label or a score is missing.
    """
    nowhere = {group.question_id: "" for group in candidates}
    pools = [_pool(candidates, scores, nowhere) for scores in runs]
    levels = _levels(*pools)
    return [_at_levels(pool, levels) for pool in pools]


def _level_counts(pool: _Pool) -> Array:
    return _at_levels(pool, _levels(pool))


def _levels(*pools: _Pool) -> Array:
    """The scores that occur, and certainty and no verdict, which an unseen question may get; negative, in order."""
    return np.unique(np.concatenate([-pool.score for pool in pools] + [np.array([-1.0, -FAILURE_SCORE])]))


def _at_levels(pool: _Pool, levels: Array) -> Array:
    """For each question, its correct and then its wrong candidates at each score, from the highest."""
    level = np.searchsorted(levels, -pool.score)
    table = np.zeros((pool.questions, 2 * len(levels)))
    np.add.at(table, (pool.question, np.where(pool.label, level, level + len(levels))), 1.0)
    return table


def _bin_of(probability: Array, bins: int) -> NDArray[np.int64]:
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def _bin_sums(pool: _Pool, probability: Array, bins: int) -> Array:
    inside = [_bin_of(probability, bins) == number for number in range(bins)]
    values: list[Callable[[Bools], Array | Bools]] = [lambda b: b, lambda b: b * probability, lambda b: b & pool.label]
    return pool.sums(*(value(each) for value in values for each in inside))


def _reliability(pool: _Pool, probability: Array, bins: int, seed: int, resamples: int) -> list[dict[str, Any]]:
    """For each bin that holds candidates: its edges, how many, their mean probability, and the share that is correct.

    The share has a 95 % interval over questions.
    """
    known = ~np.isnan(probability)
    sums = _bin_sums(pool.only(known), probability[known], bins)
    found = []
    for number in range(bins):
        count, total, correct = (sums[:, number + bins * part] for part in range(3))
        if count.sum():
            share = bootstrap(np.column_stack([correct, count]), ratio, SHARE, seed=seed, resamples=resamples)
            edges = {"from": number / bins, "to": (number + 1) / bins}
            mean = float(total.sum() / count.sum())
            parts = {"correct": share.value, "low": share.low, "high": share.high}
            found.append({**edges, "candidates": int(count.sum()), "probability": mean, **parts})
    return found


def _median(fitted: Mapping[str, float]) -> dict[str, Any]:
    values = sorted(fitted.values())
    return {"value": float(np.median(values)) if values else None, "n": len(values)}


def _rows(candidates: Sequence[CandidateSet], counts: Array) -> list[dict[str, Any]]:
    names = ("tp", "fp", "fn", "tn")
    return [
        {"question_id": group.question_id, "candidates": int(row.sum()), **dict(zip(names, map(int, row), strict=True))}
        for group, row in zip(candidates, counts, strict=True)
    ]


def write_calibration(
    *,
    questions: str,
    candidates: str,
    scores: str,
    metrics: str,
    settings: Mapping[str, Any],
    bins: int,
    seed: int,
    resamples: int,
) -> None:
    """Write the threshold-free metrics of a discriminator's scores on a labelled pool, with their settings."""
    found = calibration_metrics(
        read_jsonl(candidates, CandidateSet),
        read_jsonl(scores, Score),
        {question.id: question.db_id for question in read_jsonl(questions, Question)},
        bins=bins,
        seed=seed,
        resamples=resamples,
    )
    write_json(metrics, {"settings": settings, **found})
