"""The paper's eight tables and those beyond, as rows, column groups and measures. Knows no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from sqljudge.core.artefacts import RERANK, file_name
from sqljudge.core.errors import ConfigError
from sqljudge.core.planners import BESIDE
from sqljudge.report.tables.measures import (
    AGAINST,
    CONTRAST,
    COOLED,
    DISCRIMINATION,
    EM,
    EX,
    FAILURE,
    FULL,
    INTRINSIC,
    NEEDED,
    OF_DISCRIMINATOR,
    OF_GENERATOR,
    OWN,
    PARTIAL,
    PROBABILITY,
    RANKING,
    REACHED,
    REASONING,
    STOPPED,
    THRESHOLDED,
    Kind,
    Measure,
    Metric,
    Settings,
    by_level,
    find,
    levels_of,
    read_cell,
)
from sqljudge.report.tables.model import Cell, Row, Table
from sqljudge.report.tables.notes import CONTRASTED, WITH_GOLD, WITHOUT_MODEL, table_notes, unasked_notes
from sqljudge.report.tables.published import Published, context_key, published_value
from sqljudge.stages import baselines

Experiment = Mapping[str, Any]
Display = Mapping[str, str]

HEADERS = {
    "discriminator": "Discriminator",
    "generator": "Generator",
    "decoding": "Decoding",
    "mode": "Mode",
    "scoring": "Scores",
    "context": "Context",
    "budget": "Budget (tokens)",
    "pool": "Pool",
    "planner": "Planner",
}
WORDS = {
    "naive": "Naive",
    "check": "Executability check",
    "soft": "Soft",
    "hard": "Hard",
    "forced": "Forced",
    "no_schema": "No schema",
    "schema": "Schema",
    "no_thinking": "No thinking",
    "result": "Result",
    "few_shot": "Demonstrations",
    "rerank": "Re-ranking",
    "majority": "Majority of results, weighed",
}


@dataclass(frozen=True, slots=True)
class Group:
    """A column group: its heading, the settings that its columns have in common, and the measures that it shows."""

    heading: str
    measures: Sequence[Measure]
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """One of the paper's tables.

    `axes`: settings whose values multiply to the rows; the first `shown` of them always have a row header, the others
    only where an experiment gives several values. `defaults`: values of settings that an experiment leaves out.
    `across`: the setting whose values are the column groups, if any. `greedy`: whether rows for the generator alone
    follow.
    """

    title: str
    axes: tuple[str, ...]
    shown: int
    measures: Mapping[str, Sequence[Measure]]
    planner: str | None = None
    across: str | None = None
    greedy: bool = False
    defaults: Settings = field(default_factory=dict)


_QUALITY = {"Discrimination": (*INTRINSIC, FAILURE), "Reasoning quality": REASONING}
_ALL_MATCHES = {"Execution accuracy (EX)": EX, "Exact match (EM)": EM, "Partial match, all": PARTIAL}
_TWO_MATCHES = {"Execution accuracy (EX)": EX, "Exact match (EM)": EM}
_SCORE_VALUE = {
    "Classification": THRESHOLDED,
    "Ranking": RANKING,
    "As probabilities": PROBABILITY,
    "Temperature scaled": COOLED,
}
_MODES = ("naive", "check")
_SCORINGS = ("soft", "hard")

LAYOUTS: dict[str, Layout] = {
    "table1": Layout(
        "Discriminators on the labelled pool",
        ("discriminator", "pool", "context", "budget", "scoring"),
        1,
        {"": INTRINSIC},
        across="mode",
        defaults={"mode": _MODES},
    ),
    "table2": Layout(
        "Re-ranking end to end, every candidate scored",
        ("discriminator", "generator", "decoding", "mode", "context", "budget", "scoring"),
        1,
        _ALL_MATCHES,
        planner="rerank",
        defaults={"mode": "naive"},
    ),
    "table3": Layout(
        "Re-ranking end to end, with the executability check",
        ("discriminator", "generator", "decoding", "mode", "context", "budget", "scoring"),
        1,
        _ALL_MATCHES,
        planner="rerank",
        greedy=True,
        defaults={"mode": "check"},
    ),
    "table4": Layout(
        "The reasoning discriminator without and with the schema",
        ("discriminator", "context", "pool", "mode", "budget", "scoring"),
        2,
        _QUALITY,
        defaults={"mode": "naive", "scoring": "soft", "context": ("no_schema", "schema")},
    ),
    "table5": Layout(
        "Soft and hard scores on the labelled pool",
        ("discriminator", "scoring", "pool", "context", "budget"),
        2,
        {"": INTRINSIC},
        across="mode",
        defaults={"mode": _MODES, "scoring": _SCORINGS},
    ),
    "table6": Layout(
        "Soft and hard scores, end to end",
        ("discriminator", "mode", "scoring", "generator", "decoding", "context", "budget"),
        3,
        _TWO_MATCHES,
        planner="rerank",
        defaults={"mode": _MODES, "scoring": _SCORINGS},
    ),
    "table7": Layout(
        "Generators on their own, one greedy query per question",
        ("generator", "decoding"),
        1,
        _ALL_MATCHES,
        planner="greedy",
    ),
    "table8": Layout(
        "The reasoning discriminator at several budgets",
        ("discriminator", "budget", "pool", "mode", "context", "scoring"),
        2,
        _QUALITY,
        defaults={"mode": "naive", "scoring": "soft"},
    ),
    "thresholds": Layout(
        "Discriminators without the fixed threshold",
        ("discriminator", "mode", "pool", "context", "budget", "scoring"),
        2,
        _SCORE_VALUE,
        defaults={"mode": _MODES},
    ),
    "adaptive": Layout(
        "Thoughts that stop once their verdict is settled",
        ("discriminator", "mode", "pool", "context"),
        2,
        {"Full thought": OWN, "Full thought, forced verdict": FULL, "Adaptive, forced verdict": STOPPED},
        defaults={"mode": _MODES},
    ),
    "evidence": Layout(
        "What more of a candidate and of others like it is worth in the prompt",
        ("discriminator", "context", "mode", "pool", "budget", "scoring"),
        2,
        {"Discrimination": DISCRIMINATION, CONTRASTED: CONTRAST},
        defaults={"mode": "naive", "context": ("no_schema", "result")},
    ),
    "planners": Layout(
        "When is search worth it? Planners and what they need",
        ("discriminator", "planner", "generator", "decoding", "mode", "context", "budget", "scoring"),
        2,
        {
            "Execution accuracy (EX)": REACHED,
            "Against re-ranking": AGAINST,
            "Both models": NEEDED,
            "Generator": OF_GENERATOR,
            "Discriminator": OF_DISCRIMINATOR,
        },
        planner="rerank",
        greedy=True,
        defaults={"planner": RERANK},
    ),
}


def layout_of(name: str) -> Layout:
    """The layout of a table. Raises ConfigError for a name that no table has."""
    if name not in LAYOUTS:
        raise ConfigError(f"{name}: no such table; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def values_of(experiment: Experiment, key: str, default: Any = None) -> tuple[Any, ...]:
    """The values that an experiment gives a setting, under the setting's name or its plural; one or a list of them."""
    given = experiment.get(f"{key}s", experiment.get(key, default))
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def word(key: str, value: Any, display: Display) -> str:
    """What a table calls a setting's value."""
    if str(value) in display:
        return display[str(value)]
    return WORDS.get(context_key(value) if key == "context" else str(value), str(value))


@dataclass(frozen=True, slots=True)
class _Line:
    """One row before its cells are looked up."""

    labels: tuple[str, ...]
    planner: str | None
    settings: Settings
    block: str = ""
    uses_gold: bool = False


def _axes(layout: Layout, experiment: Experiment, name: str) -> dict[str, tuple[Any, ...]]:
    axes = {key: values_of(experiment, key, layout.defaults.get(key)) for key in layout.axes}
    missing = [key for key in layout.axes[: layout.shown] if not axes[key]]
    if missing:
        raise ConfigError(f"experiment {name}: no {missing[0]}s; name at least one")
    return {key: values for key, values in axes.items() if values}


def _lines(layout: Layout, axes: dict[str, tuple[Any, ...]], heads: Sequence[str], display: Display) -> list[_Line]:
    lines = []
    for values in product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        labels = tuple(word(key, settings[key], display) for key in heads)
        lines.append(_Line(labels, settings.get("planner", layout.planner), settings))
    return lines


def _greedy_lines(
    axes: dict[str, tuple[Any, ...]], experiment: Experiment, heads: Sequence[str], display: Display
) -> list[_Line]:
    decoding = experiment.get("greedy_decoding")
    lines = []
    for generator in axes.get("generator", ()):
        settings = {"generator": generator} | ({"decoding": decoding} if decoding else {})
        known = {"discriminator": "None (greedy)", "generator": word("generator", generator, display)}
        lines.append(_Line(tuple(known.get(key, "–") for key in heads), "greedy", settings))
    return lines


def _planner_lines(
    layout: Layout, axes: dict[str, tuple[Any, ...]], experiment: Experiment, heads: Sequence[str], display: Display
) -> list[_Line]:
    """The models' rows again, for each planner beside re-ranking; none where planners are rows themselves."""
    if "planner" in axes:
        return []
    lines = []
    for name, line in product(experiment.get("planners", ()), _lines(layout, axes, heads, display)):
        labels = (f"{BESIDE[name].label} × {line.labels[0]}", *line.labels[1:])
        lines.append(replace(line, labels=labels, planner=name, block=BESIDE[name].heading))
    return lines


def _costless_lines(
    axes: dict[str, tuple[Any, ...]], experiment: Experiment, heads: Sequence[str], display: Display
) -> list[_Line]:
    """Rows for the experiment's discriminators without a model; those that look at the gold query last."""
    planners = [name for name in axes.get("planner", (RERANK,)) if name not in BESIDE]
    common = {key: axes[key][0] for key in ("generator", "decoding") if axes.get(key)}
    lines = []
    for name, planner, mode in product(experiment.get("costless", ()), planners, axes.get("mode", ())):
        settings = {**common, "discriminator": file_name(name), "mode": mode}
        shown = {key: word(key, value, display) for key, value in (("mode", mode), ("planner", planner))}
        shown["discriminator"] = baselines.label(name)
        labels = tuple(shown.get(key, "–") for key in heads)
        gold = baselines.uses_gold(name)
        lines.append(_Line(labels, planner, settings, WITH_GOLD if gold else WITHOUT_MODEL, gold))
    return sorted(lines, key=lambda line: line.uses_gold)


def _groups(layout: Layout, experiment: Experiment, display: Display, levels: Sequence[str]) -> list[Group]:
    if layout.across is None:
        return [Group(heading, by_level(measures, levels)) for heading, measures in layout.measures.items()]
    key = layout.across
    return [
        Group(word(key, value, display), measures, {key: value})
        for value in values_of(experiment, key, layout.defaults.get(key))
        for measures in layout.measures.values()
    ]


def _kind(measure: Measure, planner: str | None) -> Kind:
    if measure.kind == "end_to_end":
        return "greedy" if planner == "greedy" else "rerank"
    return measure.kind


def build_table(
    name: str, experiment: Experiment, metrics: Sequence[Metric], published: Published, display: Display
) -> Table:
    """One of the paper's tables from a run's metrics.

    `experiment` gives the rows: each setting (discriminator, generator, mode, scoring, context, budget, pool,
    decoding) as one value or as a list, under its name or its plural; `greedy_decoding` names the decoding of
    Table 3's row without a discriminator. `display` maps names to labels. A cell whose metric is not among `metrics`
    is "not run". Raises ConfigError for an unknown table or an experiment without rows, DataError for metrics that
    contradict each other or lack a measure.
    """
    layout = layout_of(name)
    axes = _axes(layout, experiment, name)
    heads = [key for position, key in enumerate(axes) if position < layout.shown or len(axes[key]) > 1]
    unasked = experiment.get("unasked", ())
    lines = [
        line
        for line in _lines(layout, axes, heads, display)
        if [line.settings.get("discriminator"), line.settings.get("context")] not in unasked
    ]
    if layout.greedy:
        lines += _greedy_lines(axes, experiment, heads, display)
    lines += _planner_lines(layout, axes, experiment, heads, display)
    lines += _costless_lines(axes, experiment, heads, display)
    groups = _groups(layout, experiment, display, levels_of(metrics))
    used: list[Metric] = []
    rows = tuple(
        Row(line.labels, _row_cells(name, line, groups, metrics, published, used), line.block, line.uses_gold)
        for line in lines
    )
    columns = tuple(measure.column(group.heading) for group in groups for measure in group.measures)
    named = [(word("discriminator", who, display), word("context", context, display)) for who, context in unasked]
    headers = tuple(HEADERS[key] for key in heads)
    table = Table(name, layout.title, headers, columns, rows, unasked_notes(named))
    return table_notes(table, axes, used, published, display)


def _row_cells(
    name: str, line: _Line, groups: Sequence[Group], metrics: Sequence[Metric], published: Published, used: list[Metric]
) -> tuple[Cell, ...]:
    """A row's cells; the metrics that they were read from are added to `used`."""
    cells = []
    for group in groups:
        settings = {**line.settings, **group.settings, "planner": line.planner}
        for measure in group.measures:
            kind = _kind(measure, line.planner)
            metric = find(metrics, kind, _relevant(settings, kind))
            if metric is not None and metric not in used:
                used.append(metric)
            reference = published_value(published, name, settings, measure)
            cells.append(read_cell(metric, measure, reference))
    return tuple(cells)


_SETTINGS_OF_REASONING = {"discriminator", "context", "pool", "budget"}


def _relevant(settings: Settings, kind: Kind) -> Settings:
    if kind != "reasoning":
        return settings
    return {key: value for key, value in settings.items() if key in _SETTINGS_OF_REASONING}
