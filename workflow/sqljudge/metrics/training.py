"""What training did to a model: levels and paired differences to the model before it, over all seeds of a training.

Knows scores, labels and the records of trainings. The questions are those of which no request failed in any run.

Several seeds are pooled in two levels. Questions are weighed at random, the same for every seed and for the model
before; then the mean over seeds is drawn around the seeds' mean by Student's t with their own spread, since two or
three seeds drawn anew would say that the spread is smaller than it is (`intervals.over_seeds`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sqljudge.core.files import parse_json, read_json, write_json
from sqljudge.core.records import CandidateSet, Question, Score, read_jsonl
from sqljudge.metrics.calibration import auroc, fitted_counts, level_counts, ranking_ends
from sqljudge.metrics.end_to_end import EvaluationResult
from sqljudge.metrics.intervals import (
    RESAMPLES,
    SHARE,
    Array,
    Ends,
    Metric,
    bootstrap,
    mcnemar_exact,
    mean_between,
    over_seeds,
    paired_test,
    ratio,
    share_interval,
)
from sqljudge.metrics.intrinsic import METRICS, is_silent, macro_f1, macro_f1_ends, question_rows

NOTHING: dict[str, Any] = {"value": None, "low": None, "high": None}
COSTS = ("generated", "trained", "seconds", "memory")
CURVES = {"reward": "reward", "length": "completions/mean_length", "accuracy": "accuracy", "loss": "loss"}
"""What a figure shows of each step, and where it stands in a trainer's log."""


class _Measured:
    """One metric of some runs: a table of sums a run, how they are combined, and the ends of its interval.

    `counts`: it is a mean of counts, which is 0 where a run counted nothing, as of a judge that writes no token.
    """

    def __init__(
        self,
        tables: Sequence[Array],
        metric: Metric,
        ends: Ends,
        most: float = 1.0,
        *,
        yes_no: bool = False,
        counts: bool = False,
    ):
        self.tables, self.metric, self.ends, self.most = tables, metric, ends, most
        self.yes_no, self.counts = yes_no, counts

    def level(self, tables: Sequence[Array], seed: int, resamples: int) -> dict[str, Any]:
        ends, most = self.ends, self.most
        if self.counts and not _counted(tables):
            ends, most = mean_between(0.0, 0.0), 0.0
        if len(tables) > 1:
            found = over_seeds(tables, None, self.metric, ends, most=most, seed=seed, resamples=resamples)
            return asdict(found)
        known = asdict(bootstrap(tables[0], self.metric, ends, seed=seed, resamples=resamples))
        if self.yes_no and len(tables[0]):
            known["low"], known["high"] = share_interval(int(tables[0][:, 0].sum()), len(tables[0]))
        return known

    def difference(self, tables: Sequence[Array], base: Array, seed: int, resamples: int) -> dict[str, Any]:
        if len(tables) > 1:
            found = over_seeds(tables, base, self.metric, self.ends, most=self.most, seed=seed, resamples=resamples)
            return asdict(found)
        if self.yes_no:
            test = mcnemar_exact([bool(hit) for hit in tables[0][:, 0]], [bool(hit) for hit in base[:, 0]])
        else:
            test = paired_test(tables[0], base, self.metric, self.ends, seed=seed, resamples=resamples)
        values = asdict(test)
        return {"value": values.pop("difference"), **values}

    def spread(self, tables: Sequence[Array], base: Array) -> dict[str, Any]:
        before = float(self.metric(base.sum(axis=0)))
        return _spread([float(self.metric(table.sum(axis=0))) - before for table in tables])


def _counted(tables: Sequence[Array]) -> bool:
    return any(table[:, 0].any() for table in tables if len(table))


def _spread(values: Sequence[float]) -> dict[str, Any]:
    known = [value for value in values if not np.isnan(value)]
    if len(known) < 2:
        return {"value": None, "n": len(known), "status": "one seed"}
    return {"value": float(np.std(known, ddof=1)), "n": len(known), "of_seeds": known}


def training_metrics(
    candidates: Sequence[CandidateSet],
    runs: Sequence[Sequence[Score]],
    base: Sequence[Score] | None,
    databases: Mapping[int, str],
    *,
    budget: int = 0,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """What discriminators of one training, a run a seed, reach on a labelled pool, and their differences to `base`.

    `base`: of the model before training; None for itself and for what was not trained. `databases`: of each question.
    `budget`: most tokens of a response. JSON-able: `questions`, `left_out`, `candidates`, and `metrics`: each of PwAcc,
    AUROC, F1 at 0.5 and at a threshold fitted on other databases, Hit@1, MRR, failure rate and tokens a candidate, as
    its mean over seeds, with 95 % intervals; under `difference` the same minus the base's (of one seed also with
    p_value and deciding); under `spread` the standard deviation of these differences over seeds. Hit@1 and MRR are None
    where a run got no verdict at all. Raises DataError if a label or a score is missing.
    """
    everyone = [*runs, *([base] if base is not None else [])]
    ids = [{row["question_id"] for row in question_rows(candidates, some)} for some in everyone]
    shared = [group for group in candidates if all(group.question_id in each for each in ids)]
    rows = [question_rows(shared, some) for some in everyone]
    silent = any(is_silent(each) for each in rows)
    metrics: dict[str, Any] = {"difference": {}, "spread": {}}
    for name, one in _tables(shared, everyone, rows, databases, budget).items():
        tables, before = list(one.tables[: len(runs)]), one.tables[len(runs) :]
        ranks_nothing = silent and name in ("hit1", "mrr")
        metrics[name] = dict(NOTHING) if ranks_nothing else one.level(tables, seed, resamples)
        metrics[name] |= _ties(name, rows[: len(runs)])
        if base is not None:
            known = dict(NOTHING) if ranks_nothing else one.difference(tables, before[0], seed, resamples)
            metrics["difference"][name] = known
            metrics["spread"][name] = dict(NOTHING) if ranks_nothing else one.spread(tables, before[0])
    return {
        "questions": len(shared),
        "left_out": len(candidates) - len(shared),
        "candidates": sum(len(group.candidates) for group in shared),
        "metrics": metrics,
    }


def _ties(name: str, runs: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """What a metric that rests on the order of equal scores is on average if they are shuffled; see `intrinsic`."""
    if name not in METRICS or not (key := METRICS[name].at_random) or not all(runs):
        return {}
    return {"at_random": float(np.mean([[row[key] for row in rows] for rows in runs]))}


def _tables(
    shared: Sequence[CandidateSet],
    runs: Sequence[Sequence[Score]],
    rows: Sequence[Sequence[Mapping[str, Any]]],
    databases: Mapping[int, str],
    budget: int,
) -> dict[str, _Measured]:
    found = {}
    for name, rule in METRICS.items():
        tables = [
            np.array([rule.statistics(row) for row in some], dtype=np.float64).reshape(len(some), -1) for some in rows
        ]
        counts = name == "tokens"
        most = (budget if _counted(tables) else 0.0) if counts else 1.0
        ends = mean_between(0.0, most) if counts else rule.ends or SHARE
        found[name] = _Measured(tables, rule.combine, ends, most, yes_no=rule.yes_no, counts=counts)
    found["auroc"] = _Measured(level_counts(shared, *runs), auroc, ranking_ends)
    fitted = [fitted_counts(shared, some, databases) for some in runs]
    found["f1_fitted"] = _Measured(fitted, macro_f1, macro_f1_ends)
    return found


def generator_metrics(
    runs: Sequence[EvaluationResult], base: EvaluationResult | None, *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Execution accuracy of generators of one training, a run a seed, and their difference to `base`'s.

    As `training_metrics`; the questions are those that were decided in every run.
    """
    right = [
        {row["question_id"]: float(row["exec"]) for row in run["per_question"] if row["exec"] is not None}
        for run in (*runs, *([base] if base is not None else []))
    ]
    shared = sorted(set.intersection(*(set(each) for each in right)))
    tables = [np.array([[each[q], 1.0] for q in shared]).reshape(len(shared), 2) for each in right]
    one = _Measured(tables, ratio, SHARE, yes_no=True)
    own, before = tables[: len(runs)], tables[len(runs) :]
    metrics: dict[str, Any] = {"ex": one.level(own, seed, resamples), "difference": {}, "spread": {}}
    if before:
        metrics["difference"]["ex"] = one.difference(own, before[0], seed, resamples)
        metrics["spread"]["ex"] = one.spread(own, before[0])
    everyone = {row["question_id"] for run in runs for row in run["per_question"]}
    return {"questions": len(shared), "left_out": len(everyone - set(shared)), "metrics": metrics}


def training_cost(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """What one training cost, the mean over seeds: tokens generated and trained on, seconds; and the most memory, MiB.

    `runs`: by seed, the records of its trainings, the first stage first.
    """
    each = [
        {
            "generated": sum(record["tokens"]["generated"] for record in records),
            "trained": sum(record["tokens"]["trained"] for record in records),
            "seconds": sum(record["seconds"] for record in records),
            "memory": max(record["peak_memory_mib"] for record in records),
        }
        for records in runs.values()
        if records
    ]
    if not each:
        return {key: {"value": None, "status": "not compared"} for key in ("seeds", *COSTS)}
    found = {name: {"value": float(np.mean([one[name] for one in each])), "n": len(each)} for name in COSTS[:-1]}
    return {
        "seeds": {"value": len(each)},
        **found,
        "memory": {"value": max(one["memory"] for one in each), "n": len(each)},
    }


def curves(runs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[list[float]]]]:
    """By seed, what the log of its last training says of each step: pairs of step and value, by what it is of.

    `runs`: as files; the log lies beside each.
    """
    found: dict[str, dict[str, list[list[float]]]] = {}
    for seed, files in runs.items():
        lines = Path(files[-1]).with_name("log.jsonl").read_text(encoding="utf-8").splitlines() if files else []
        rows = [parse_json(line) for line in lines]
        shown = {
            name: [[row["step"], row[key]] for row in rows if key in row and "step" in row]
            for name, key in CURVES.items()
        }
        found[seed] = {name: points for name, points in shown.items() if points}
    return found


def write_training(
    *,
    questions: str,
    candidates: str,
    scores: Sequence[str],
    base: Sequence[str],
    metrics: str,
    settings: Mapping[str, Any],
    runs: Mapping[str, Sequence[str]],
    seed: int,
    resamples: int,
) -> None:
    """Write what training did to a discriminator. `scores`: of each seed; `base`: of the model before, or nothing.

    `runs`: by seed the records of its trainings, their logs beside them.
    """
    found = training_metrics(
        read_jsonl(candidates, CandidateSet),
        [read_jsonl(file, Score) for file in scores],
        next((read_jsonl(file, Score) for file in base), None),
        {question.id: question.db_id for question in read_jsonl(questions, Question)},
        budget=settings.get("budget", 0),
        seed=seed,
        resamples=resamples,
    )
    _write(metrics, found, settings, runs)


def write_trained_generator(
    *,
    end_to_end: Sequence[str],
    base: Sequence[str],
    metrics: str,
    settings: Mapping[str, Any],
    runs: Mapping[str, Sequence[str]],
    seed: int,
    resamples: int,
) -> None:
    """Write what training did to a generator, from end-to-end metrics; else as `write_training`."""
    before = next((read_json(file) for file in base), None)
    found = generator_metrics([read_json(file) for file in end_to_end], before, seed=seed, resamples=resamples)
    _write(metrics, found, settings, runs)


def _write(metrics: str, found: dict[str, Any], settings: Mapping[str, Any], runs: Mapping[str, Sequence[str]]) -> None:
    records = {name: [read_json(file) for file in files] for name, files in runs.items()}
    found["metrics"]["cost"] = training_cost(records)
    against = {"against": settings["base"]}
    write_json(metrics, {"settings": settings, **against, "seeds": list(runs), "curves": curves(runs), **found})
