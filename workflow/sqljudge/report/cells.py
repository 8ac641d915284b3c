"""From a table's spec and an experiment to its cells, each with its metric file, and from the files to the table.

`files` is the input of a table's rule, and `build_table` opens just those: nothing is searched for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any
from urllib.parse import urlencode

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.records import HARDNESS
from sqljudge.core.variants import (
    GREEDY,
    NONE,
    OF_BUDGETS,
    POOL,
    RERANK,
    Experiment,
    Variant,
    baseline_variant,
    cell_of,
    greedy_variant,
    only,
    path,
    reference,
    setting_name,
)
from sqljudge.report.measures import BESIDE_RERANKING, COMPARED, WITH_GOLD, WITHOUT_MODEL, Measure
from sqljudge.report.notes import NO_LABEL, table_notes
from sqljudge.report.specs import SPECS, TableSpec, tables_of
from sqljudge.report.table import Cell, Column, Row, Status, Table
from sqljudge.report.words import HEADERS, About, Display, label

Metric = dict[str, Any]
ABOUT = ("Size", "Reasons")
"""Headers of what some tables say of a model that judges: see `words.About`."""


@dataclass(frozen=True, slots=True)
class Results:
    """What tables and figures are made of.

    `metrics`: by path. `published`: the paper's figures. `display`: labels by name. `uses_gold`: the baselines that
    look at the gold query. `about`: the discriminators that ask a model, by name.
    """

    metrics: Mapping[str, Metric]
    published: Mapping[str, Any] = field(default_factory=dict)
    display: Display = field(default_factory=dict)
    uses_gold: Collection[str] = ()
    about: Mapping[str, About] = field(default_factory=dict)

    def metric(self, kind: str, variant: Variant) -> Metric | None:
        """The metric of a kind and variant; None if it was not run."""
        found = self.metrics.get(path(kind, variant))
        return found["budgets"].get(str(variant.budget)) if found and kind == OF_BUDGETS else found


@dataclass(frozen=True, slots=True)
class Line:
    """One row before its cells are filled: its labels, what it shows, and the block that it stands in."""

    labels: tuple[str, ...]
    variant: Variant
    block: str = ""
    uses_gold: bool = False
    about: tuple[str, ...] = ()


def cells(spec: TableSpec, experiment: Experiment) -> set[tuple[str, Variant]]:
    """The kind of metric and the variant of all cells of a table, and of what its figures show beyond them.

    Raises ConfigError where the experiment lacks a setting of the table.
    """
    places = product(_lines(spec, experiment, {}, ()), _columns(spec, experiment, HARDNESS, {}))
    variants = ((measure, replace(line.variant, **own)) for line, (_, measure, own) in places)
    shown = {(measure.kind, variant) for measure, variant in variants if not compares_itself(measure, variant)}
    return {(kind, cell_of(kind, each)) for kind, each in (*shown, *(spec.drawn(experiment) if spec.drawn else ()))}


def files(spec: TableSpec, experiment: Experiment) -> list[str]:
    """The metric files of a table's cells and figures; sorted, each once. Raises as `cells` does."""
    return sorted({path(*each) for each in cells(spec, experiment)})


def all_files(experiments: Mapping[str, Experiment]) -> list[str]:
    """The metric files of every table that can be made of some experiments; sorted, each once."""
    return sorted({file for name, one in tables_of(experiments).items() for file in files(SPECS[name], one)})


def build_table(spec: TableSpec, experiment: Experiment, results: Results) -> Table:
    """A table of a run's metrics: a cell whose file is not among them is "not run".

    Raises ConfigError where the experiment lacks a setting of the table, DataError for metrics that contradict each
    other or lack a measure.
    """
    axes, display = _axes(spec, experiment), results.display
    columns = _columns(spec, experiment, levels_of(results.metrics.values()), display)
    columns = [each for each in columns if not each[1].shared or _is_shared(each[1], results)]
    lines = _lines(spec, experiment, display, results.uses_gold)
    if spec.about:
        lines = [replace(line, about=_about(line, results.about)) for line in lines]
    figures = results.published.get(spec.source) if spec.published else None
    settings = results.published.get("settings", {}).get(spec.source, {})

    generator = settings.get("generator")

    def published_of(measure: Measure, variant: Variant) -> float | None:
        """The paper's figure, if its table is of the same generator's candidates."""
        if spec.published is None or not figures:
            return None
        same = variant.planner == GREEDY or not generator or variant.generator == generator
        return spec.published(figures, variant, measure.path) if same else None

    used: dict[tuple[str, Variant], tuple[Variant, Metric]] = {}
    rows = []
    for line in lines:
        row = []
        for _, measure, own in columns:
            variant = replace(line.variant, **own)
            if compares_itself(measure, variant):
                row.append(Cell(status="not compared"))
                continue
            metric = results.metric(measure.kind, variant)
            if metric is not None:
                used[measure.kind, cell_of(measure.kind, variant)] = (variant, metric)
            published = published_of(measure, variant)
            row.append(
                replace(_cell(path(measure.kind, variant), metric, measure, published), link=_link(measure, variant))
            )
        rows.append(Row(line.labels, tuple(row), line.block, line.uses_gold, line.about))
    headers = tuple(HEADERS.get(axis, axis.title()) for axis in _heads(spec, axes))
    shown = tuple(column for column, _, _ in columns)
    made = Table(spec.name, spec.title, headers, shown, tuple(rows), spoken_of=spec.spoken_of, about=ABOUT * spec.about)
    citation = results.published.get("citation", "the paper")
    notes = table_notes(made, axes, list(used.values()), settings, citation, experiment.left_out, display)
    return replace(made, notes=notes, lead=spec.description)


def _is_shared(measure: Measure, results: Results) -> bool:
    """Whether the large of two models read anything for any row."""
    found: list[Any] = [metric.get("metrics", {}) for metric in results.metrics.values()]
    for step in measure.path:
        found = [each.get(step) or {} for each in found]
    return any(each.get("value") for each in found)


def compares_itself(measure: Measure, variant: Variant) -> bool:
    """Whether a column of differences would hold a row against itself, or against nothing."""
    if measure.kind == "contrast":
        return variant.context == variant.base
    if measure.kind in ("training", "trained_generator"):
        return len(measure.path) > 1 and variant.base in (variant.discriminator, variant.generator)
    return measure.kind == "planner" and measure.path[0] in COMPARED and reference(variant) is None


def _axes(spec: TableSpec, experiment: Experiment) -> dict[str, tuple[Any, ...]]:
    for setting in spec.settings:
        if not experiment.values(setting.removesuffix("s")):
            raise ConfigError(f"experiment {spec.source}: no {setting}; name at least one")
    return {axis: experiment.values(axis) for axis in spec.axes}


def _heads(spec: TableSpec, axes: Mapping[str, Sequence[Any]]) -> list[str]:
    return [axis for number, axis in enumerate(axes) if number < spec.heads or len(axes[axis]) > 1]


def _columns(
    spec: TableSpec, experiment: Experiment, levels: Sequence[str], display: Display
) -> list[tuple[Column, Measure, dict[str, Any]]]:
    """Each column with its measure, and the field of a row's variant that it sets, if any."""
    headings: list[tuple[str, Sequence[Measure], dict[str, Any]]] = [
        (heading, measures, {}) for heading, measures in spec.columns.items()
    ]
    if spec.across:
        headings = [
            (label(spec.across, value, display), measures, {spec.across: value})
            for value, (_, measures, _) in product(experiment.values(spec.across), headings)
        ]
    return [
        (measure.column(heading), measure, own)
        for heading, measures, own in headings
        for each in measures
        for measure in each.each(levels)
    ]


def _lines(spec: TableSpec, experiment: Experiment, display: Display, uses_gold: Collection[str]) -> list[Line]:
    """The rows: the models, the generators alone, other planners, and the baselines, those that use gold last."""
    axes = _axes(spec, experiment)
    heads = _heads(spec, axes)

    def labels(**known: Any) -> tuple[str, ...]:
        return tuple(label(axis, known[axis], display) if axis in known else NO_LABEL for axis in heads)

    models = []
    for values in product(*axes.values()):
        known = dict(zip(axes, values, strict=True))
        if (known.get("discriminator"), known.get("context")) not in experiment.left_out:
            models.append(Line(labels(**known), _variant(spec, experiment, known)))
    optional = {name: getattr(experiment, name) for name in spec.optional}
    others = [
        Line(
            labels(discriminator=row.discriminator, budget=row.budget, scoring=row.scoring, mode=mode),
            replace(row, pool=experiment.pool, mode=mode, base=row.discriminator),
        )
        for row, mode in product(experiment.extra_rows if spec.pools else (), experiment.modes)
    ]
    for generator in experiment.generators if optional.get("greedy_decoding") else ():
        text = labels(discriminator="None (greedy)", generator=generator)
        others.append(Line(text, greedy_variant(f"{generator}.{experiment.greedy_decoding}")))
    for planner, line in product(optional.get("planners", ()), models):
        prefix, heading = BESIDE_RERANKING[planner]
        text = (f"{prefix} × {line.labels[0]}", *line.labels[1:])
        others.append(Line(text, replace(line.variant, planner=planner), heading))
    planners = [planner for planner in axes.get("planner", (RERANK,)) if planner not in BESIDE_RERANKING]
    below = []
    for name, planner, mode in product(optional.get("baselines", ()), planners, experiment.modes):
        text, gold = labels(discriminator=name, planner=planner, mode=mode), name in uses_gold
        variant = baseline_variant(name, experiment.pool, mode, planner)
        variant = replace(variant, base=name) if spec.pools else variant
        below.append(Line(text, variant, WITH_GOLD if gold else WITHOUT_MODEL, gold))
    return [*models, *others, *sorted(below, key=lambda line: line.uses_gold)]


def _variant(spec: TableSpec, experiment: Experiment, known: dict[str, Any]) -> Variant:
    """What a row of a model or generator shows, with all that any kind of metric file depends on."""
    own = {"planner": spec.planner, **known}
    pool = f"{own.pop('generator')}.{own.pop('decoding')}" if "generator" in own else POOL
    base = experiment.values(spec.against)[0] if experiment.values(spec.against) else ""
    if spec.planner == GREEDY:
        return replace(greedy_variant(pool), base=base if spec.pools else "")
    return Variant(pool, **own, base=base, checkpoints=tuple(sorted(experiment.checkpoints)))


def _about(line: Line, about: Mapping[str, About]) -> tuple[str, str]:
    """The size of the model that judges in a row, and whether it reasons."""
    known = about.get(line.variant.discriminator)
    return known.texts if known else (NO_LABEL, NO_LABEL)


OUTCOMES = {"ex": "right", "hit1": "right", "failure_rate": "some_no_verdict"}
"""The questions behind a measure, as the explorer calls their outcome; of all others every question."""


def _link(measure: Measure, variant: Variant) -> str:
    """The explorer's view of a cell's questions, from the folder of tables; "" for what the explorer does not show."""
    if measure.kind not in ("intrinsic", "calibration", "end_to_end", "planner"):
        return ""
    known = {"intrinsic": RERANK, "calibration": RERANK}
    shown = only("selections", replace(variant, planner=known.get(measure.kind, variant.planner)))
    level = measure.path[0] if measure.kind == "end_to_end" and measure.path[0] != "all" else ""
    who = "-" if shown.discriminator == NONE else shown.discriminator
    view = {"q": "table", "hardness": level, "discriminator": who, "setting": setting_name(shown)}
    view["outcome"] = OUTCOMES.get(measure.path[-1], "")
    return f"../explorer/index.html#{urlencode({key: text for key, text in view.items() if text})}"


def _cell(place: str, metric: Metric | None, measure: Measure, published: float | None) -> Cell:
    """A cell in its column's unit: "not run" without a metric, "no data" where the value is None."""
    in_paper, published = published is not None, None if published is None or math.isnan(published) else published
    if metric is None:
        return Cell(published=published, in_paper=in_paper)
    entry: Any = metric["metrics"]
    for step in measure.path:
        if not isinstance(entry, Mapping) or step not in entry:
            raise DataError(f"{place}: has no {'.'.join(measure.path)}; re-run its evaluation")
        entry = entry[step]
    if not isinstance(entry, Mapping):
        entry = {"value": entry}
    scale = 100.0 if measure.unit in ("%", "points") else 1.0
    numbers = (entry.get(key) for key in ("value", "low", "high", "at_random"))
    value, low, high, at_random = (None if each is None else float(each) * scale for each in numbers)
    status: Status = "ok" if value is not None else "no data" if at_random is None else "no verdict"
    status = entry.get("status", status)
    blind = scale * entry.get("without_verdict", 0.0)
    return Cell(value, low, high, entry.get("n"), published, status, at_random, blind, in_paper=in_paper)


def levels_of(metrics: Iterable[Metric]) -> tuple[str, ...]:
    """The levels of difficulty that end-to-end metrics are given by; Spider's where none says so.

    Raises DataError for metrics of datasets with different levels.
    """
    found = {tuple(metric["levels"]) for metric in metrics if "levels" in metric}
    if len(found) > 1:
        which = "; ".join(", ".join(levels) for levels in sorted(found))
        raise DataError(f"metrics of questions with different levels ({which}); delete those of the other dataset")
    return next(iter(found), HARDNESS)
