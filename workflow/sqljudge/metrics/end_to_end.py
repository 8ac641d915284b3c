"""From scored predictions to the end-to-end metrics (evaluator rules, section 5). Knows no SQL and no file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqljudge.core.records import HARDNESS
from sqljudge.sql.official.matching import COMPONENTS, PartialScores

ALL = "all"
LEVELS = (*HARDNESS, ALL)
Interval = Callable[[Sequence[float]], tuple[float, float]]
"""From one number a question (0 or 1) to the interval of their mean."""


@dataclass(frozen=True)
class Scored:
    """What is known of one prediction: None, which counts nowhere, where something could not be decided.

    `executes_right`: whether its result is right. `exact`, `partial`: None where the gold query cannot be read.
    """

    hardness: str
    executes_right: bool | None
    exact: bool | None
    partial: PartialScores | None


def end_to_end(
    scored: Sequence[Scored], interval: Interval | None = None, levels: Sequence[str] = HARDNESS
) -> dict[str, Any]:
    """The metrics by level (`levels`, by default easy, medium, hard, extra; and all), as fractions.

    `metrics`: level -> ex, em (each value, n and, with `interval`, low and high), partial_acc, partial_recall and
    partial_f1 (each the paper's mean over the ten components, and n). `components`: level -> component -> acc, rec,
    f1. A value that rests on no question is None.
    """
    groups = {level: [one for one in scored if level in (one.hardness, ALL)] for level in (*levels, ALL)}
    components = {level: _components(group) for level, group in groups.items()}
    metrics = {level: _metrics(group, components[level], interval) for level, group in groups.items()}
    return {"metrics": metrics, "components": components}


def _metrics(
    group: Sequence[Scored], components: Mapping[str, Mapping[str, float | None]], interval: Interval | None
) -> dict[str, dict[str, float | int | None]]:
    decided = [float(one.executes_right) for one in group if one.executes_right is not None]
    compared = [float(one.exact) for one in group if one.exact is not None]
    metrics = {"ex": _mean(decided, interval), "em": _mean(compared, interval)}
    for name, field in (("partial_acc", "acc"), ("partial_recall", "rec"), ("partial_f1", "f1")):
        values = [value for component in components.values() if (value := component[field]) is not None]
        metrics[name] = {"value": sum(values) / len(values) if values else None, "n": len(compared)}
    return metrics


def _mean(values: Sequence[float], interval: Interval | None) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = {"value": _average(values) if values else None, "n": len(values)}
    if interval is not None:
        found["low"], found["high"] = interval(values) if values else (None, None)
    return found


def _components(group: Sequence[Scored]) -> dict[str, dict[str, float | None]]:
    known = [one.partial for one in group if one.partial is not None]
    return {name: component_scores(partial[name] for partial in known) for name in COMPONENTS}


def component_scores(components: Iterable[tuple[int, int, int, int, int]]) -> dict[str, float | None]:
    """One component over many predictions, each as (acc, rec, f1, counted in gold, counted in prediction).

    Accuracy: mean over predictions that have the component; recall: over gold queries that have it; 0 if there is
    none. F1: their harmonic mean and, as in the official program, 1 if both are 0. All None for no prediction at all.
    """
    some = list(components)
    if not some:
        return {"acc": None, "rec": None, "f1": None}
    acc = _average([score for score, _, _, _, pred in some if pred > 0])
    rec = _average([score for _, score, _, gold, _ in some if gold > 0])
    return {"acc": acc, "rec": rec, "f1": 2 * acc * rec / (acc + rec) if acc + rec else 1.0}


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
