"""What the metric files hold: how one is found among many, and which of its measures a column shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqljudge.core.errors import DataError
from sqljudge.core.records import HARDNESS
from sqljudge.report.tables.model import Better, Cell, Column

Metric = dict[str, Any]
Settings = Mapping[str, Any]
EACH_LEVEL = "each level"
"""In a measure's place: one for each of the levels that the metrics are given by."""

Kind = Literal["intrinsic", "rerank", "greedy", "reasoning", "calibration", "adaptive", "contrast", "planned"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of a metric file: where it stands under "metrics", and the column that shows it.

    `family` and `key` name it in the published figures: ("intrinsic", "pwacc"), ("ex", "easy"), ("partial", "f1").
    """

    kind: Literal["intrinsic", "end_to_end", "reasoning", "calibration", "adaptive", "contrast", "planned"]
    path: tuple[str, ...]
    family: str
    key: str
    label: str
    unit: str = "%"
    decimals: int = 2
    better: Better = "high"

    def column(self, group: str) -> Column:
        return Column(group, self.label, self.unit, self.decimals, self.better)


_MARKS: dict[str, Kind] = {
    "responses": "reasoning",
    "reliability": "calibration",
    "checkpoints": "adaptive",
    "against": "contrast",
    "compared": "planned",
}
"""A field that only metrics of one kind have."""


def kind_of(metric: Metric) -> Kind:
    """Which of the kinds a metric file is of, by the fields that only that kind has."""
    planner = metric["settings"].get("planner")
    plain: Kind = "intrinsic" if planner is None else "greedy" if planner == "greedy" else "rerank"
    return next((kind for field, kind in _MARKS.items() if field in metric), plain)


def _agrees(settings: Settings, key: str, wanted: Any) -> bool:
    found = settings.get(key)
    return found is None or str(found) == str(wanted)


def find(metrics: Iterable[Metric], kind: Kind, wanted: Settings) -> Metric | None:
    """The one metric of a kind with the wanted settings; None if there is none.

    A setting that a metric does not have (None or absent: a yes/no discriminator has no budget) agrees with all.
    Raises DataError if two different metrics fit.
    """
    fitting: list[Metric] = []
    for metric in metrics:
        fits = kind_of(metric) == kind and all(_agrees(metric["settings"], key, wanted[key]) for key in wanted)
        if fits and metric not in fitting:
            fitting.append(metric)
    if len(fitting) > 1:
        which = ", ".join(f"{key} {value}" for key, value in wanted.items())
        raise DataError(f"{len(fitting)} different {kind} metrics for one cell ({which}); delete all but one of them")
    return fitting[0] if fitting else None


def _percent(value: Any, scale: float) -> float | None:
    return None if value is None else float(value) * scale


def read_cell(metric: Metric | None, measure: Measure, published: float | None) -> Cell:
    """The cell of a measure in its column's unit: "not run" without a metric, "no data" where the value is None.

    Raises DataError if the metric file does not have the measure.
    """
    if metric is None:
        return Cell(published=published)
    entry: Any = metric["metrics"]
    for step in measure.path:
        if not isinstance(entry, Mapping) or step not in entry:
            raise DataError(f"a metric of {describe(metric)} has no {'.'.join(measure.path)}; re-run its evaluation")
        entry = entry[step]
    if not isinstance(entry, Mapping):
        entry = {"value": entry}
    scale = 100.0 if measure.unit == "%" else 1.0
    value, low, high = (_percent(entry.get(key), scale) for key in ("value", "low", "high"))
    return Cell(value, low, high, entry.get("n"), published, "no data" if value is None else "ok")


def describe(metric: Metric) -> str:
    """A metric's settings in one line."""
    return ", ".join(f"{key} {value}" for key, value in metric["settings"].items())


def _intrinsic(key: str, label: str, **how: Any) -> Measure:
    return Measure("intrinsic", (key,), "intrinsic", key, label, **how)


def _by_hardness(family: str) -> tuple[Measure, ...]:
    levels = (EACH_LEVEL, "all")
    return tuple(Measure("end_to_end", (level, family), family, level, level.title(), decimals=1) for level in levels)


def levels_of(metrics: Iterable[Metric]) -> tuple[str, ...]:
    """The levels of difficulty that end-to-end metrics are given by; Spider's where none says so.

    Raises DataError for metrics of datasets with different levels.
    """
    found = {tuple(metric["levels"]) for metric in metrics if "levels" in metric}
    if len(found) > 1:
        which = "; ".join(", ".join(levels) for levels in sorted(found))
        raise DataError(f"metrics of questions with different levels ({which}); delete those of the other dataset")
    return next(iter(found), HARDNESS)


def by_level(measures: Sequence[Measure], levels: Sequence[str]) -> tuple[Measure, ...]:
    """The measures, with one for each level in the place of what stands for them all."""
    return tuple(
        replace(measure, path=(level, *measure.path[1:]), key=level, label=level.title()) if level else measure
        for measure in measures
        for level in (levels if measure.key == EACH_LEVEL else ("",))
    )


def _reasoning(key: str, label: str, unit: str = "%") -> Measure:
    return Measure("reasoning", (key,), "intrinsic", key, label, unit=unit, better=None)


INTRINSIC: Sequence[Measure] = (
    _intrinsic("pwacc", "PwAcc"),
    _intrinsic("f1", "F1"),
    _intrinsic("hit1", "Hit@1"),
    _intrinsic("mrr", "MRR"),
)
FAILURE = Measure("intrinsic", ("failure_rate",), "intrinsic", "fail_rate", "Failure rate", better="low")
EX = _by_hardness("ex")
EM = _by_hardness("em")
PARTIAL = tuple(
    Measure("end_to_end", ("all", f"partial_{key}"), "partial", key, label)
    for key, label in (("acc", "Accuracy"), ("recall", "Recall"), ("f1", "F1"))
)
REASONING = (
    _reasoning("repetition", "Repetition"),
    _reasoning("one_minus_ttr", "1 − TTR"),
    _reasoning("repeated_ngrams", "Repeated bigrams"),
    _reasoning("entropy_bits", "Entropy", "bits"),
    _reasoning("diversity", "Diversity"),
)


def _calibration(key: str, label: str, unit: str = "0–1", decimals: int = 3, **how: Any) -> Measure:
    return Measure("calibration", (key,), "calibration", key, label, unit=unit, decimals=decimals, **how)


THRESHOLDED = (
    _calibration("f1", "F1 at 0.5", "%", 2),
    _calibration("f1_fitted", "F1 fitted", "%", 2),
    _calibration("threshold", "Threshold", "median", 2, better=None),
)
AUROC = _calibration("auroc", "AUROC")
RANKING = (AUROC, _calibration("average_precision", "AP"))
PROBABILITY = (
    _calibration("brier", "Brier", better="low"),
    _calibration("ece", "ECE", better="low"),
    _calibration("without_probability", "None given", "%", 1, better="low"),
)
COOLED = (
    _calibration("brier_scaled", "Brier", better="low"),
    _calibration("ece_scaled", "ECE", better="low"),
    _calibration("temperature", "Temperature", "median", 2, better=None),
)


def _adaptive(policy: str, key: str, label: str, unit: str = "%", decimals: int = 2, **how: Any) -> Measure:
    return Measure("adaptive", (policy, key), "adaptive", key, label, unit=unit, decimals=decimals, **how)


def _spent_and_right(policy: str) -> tuple[Measure, Measure]:
    tokens = _adaptive(policy, "tokens", "Tokens", "a candidate", 1, better="low")
    return tokens, _adaptive(policy, "pwacc", "PwAcc", better="high")


OWN = _spent_and_right("own")
FULL = _spent_and_right("full")
STOPPED = (
    *_spent_and_right("adaptive"),
    _adaptive("adaptive", "saved", "Saved", decimals=1),
    _adaptive("adaptive", "difference", "Difference"),
    _adaptive("adaptive", "confidence", "Confidence", "median", 3, better=None),
    _adaptive("adaptive", "patience", "Patience", "median", 1, better=None),
)

DISCRIMINATION = (*INTRINSIC, AUROC, FAILURE)
CONTRAST = tuple(replace(each, kind="contrast", path=(each.path[-1],), family="contrast") for each in DISCRIMINATION)
"""The same measures as differences to the same discriminator in the first context."""


def _planned(key: str, label: str, unit: str = "a question", decimals: int = 1, **how: Any) -> Measure:
    return Measure("planned", (key,), "planned", key, label, unit=unit, decimals=decimals, **how)


REACHED = (_planned("ex", "All", "%", better="high"),)
AGAINST = (
    _planned("difference", "Difference", "%", better="high"),
    _planned("p_value", "p value", "0–1", 3, better=None),
    _planned("extra", "Extra tokens", decimals=0, better="low"),
    _planned("gain", "Gain", "points per 1,000 tokens", 2, better="high"),
)
NEEDED = (_planned("tokens", "Tokens", decimals=0, better="low"), _planned("queries", "Queries", better=None))
OF_GENERATOR, OF_DISCRIMINATOR = (
    (
        _planned(f"{role}_calls", "Calls", better="low"),
        _planned(f"{role}_read", "Read", decimals=0, better="low"),
        _planned(f"{role}_written", "Written", decimals=0, better="low"),
    )
    for role in ("generator", "discriminator")
)
