"""The figures of accuracy against tokens, and the fronts that nothing beats: of reading a thought, and of planners.

Knows metrics, not how they came to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from sqljudge.core.variants import FORCED, Experiment, Variant, baseline_variant, greedy_variant
from sqljudge.report.cells import Results
from sqljudge.report.figures.style import INK, arms, fitting_legend, say, shades
from sqljudge.report.words import About, label

MARKERS = "s^vPXd<>h"
RULED = ("#c1121f", "#0077b6", "#2a7f2a", "#8338ec", "#b5651d")
"""Colours of the rules that say which of two models gives a token; their marks differ, too."""
RULES = {
    "router": "a trained router routes",
    "entropy": "the small one's entropy routes",
    "random": "chance routes",
    "always": "all routed",
    "never": "none routed",
}
NOBODY = About("", False)
NEW_TOKENS = "New tokens a candidate (mean); even steps in the shaded part, doubling beyond"
Work = Callable[[Variant, Mapping[str, Any]], float | None]
"""What a variant spends, from its metrics; None where that is not known."""
LEAST_SPAN = 5.0
"""Points of EX that an axis shows at least, so that equal planners look equal."""
NUMBER_SIZE = 6.5
"""Of a budget beside its mark, in points."""

_ARM: dict[str, Any] = {"fmt": "none", "elinewidth": 0.7, "alpha": 0.6}


@dataclass(frozen=True, slots=True)
class Point:
    """One variant: its mean tokens, its accuracy in per cent with its interval, and what stands beside it.

    `tokens` are new ones; of a figure that shows models which share the work, what `_work` gives.
    """

    tokens: float
    accuracy: float
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Variants that are drawn alike; `joined` by a line where they differ in the budget alone."""

    label: str
    points: tuple[Point, ...]
    marker: str
    colour: Any
    joined: bool = False
    hollow: bool = False


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in both, fewest tokens first: none is at most as dear and more accurate."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.tokens, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def accuracy_against_tokens(experiment: Experiment, results: Results) -> Figure:
    """A panel for each mode: PwAcc against new tokens a candidate. Where there is room, marks have their budgets.

    Where two models share the work in any row, against what both compute (`_work`), and the numbers at the marks of a
    rule that says which gives a token are its thresholds.
    """
    modes, budgets = experiment.modes, sorted(experiment.checkpoints)
    series = 3 * len(experiment.discriminators) + len(experiment.extra_rows)
    figure = Figure(figsize=(max(7.2, 1.2 + 4.4 * len(modes)), 4.4 + 0.1 * series), layout="constrained")
    panels = figure.subplots(1, len(modes), squeeze=False, sharey=True)[0]
    keys: dict[str, Line2D] = {}
    shared = shares_work(experiment, results)
    shown = [thoughts(experiment, results, mode) for mode in modes]
    for axes, mode, drawn in zip(panels, modes, shown, strict=True):
        for each in drawn:
            keys[each.label] = _draw_series(axes, each)
        dashed = _draw_front(axes, [point for each in drawn for point in each.points])
        axes.tick_params(labelsize=8)
        axes.set_title(label("mode", mode, results.display), fontsize=9, loc="left")
        if shared:
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(8))
            continue
        # Logarithmic above the least budget, linear below, so that no tokens have a place.
        least = min(budget for budget in budgets if budget)
        axes.set_xscale("symlog", base=2, linthresh=least)
        axes.xaxis.set_major_locator(FixedLocator([0, *(budget for budget in budgets if budget)]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(-0.15 * least, budgets[-1] * 1.3)
        axes.axvspan(-0.15 * least, least, color=INK, alpha=0.04, lw=0)
    figure.supxlabel(_work_label(experiment, results) if shared else NEW_TOKENS, fontsize=9)
    figure.supylabel("Pairwise accuracy (%)", fontsize=9)
    fitting_legend(figure, [*keys.values(), dashed], 2, 8)
    figure.draw_without_rendering()
    for axes, drawn in zip(panels, shown, strict=True):
        _number(axes, drawn)
    return figure


def thoughts(experiment: Experiment, results: Results, mode: str) -> list[Series]:
    """What a panel of a mode shows: of each discriminator its curves and where it stops, then the extra rows."""
    names, budgets = experiment.discriminators, tuple(sorted(experiment.checkpoints))
    work = _work(experiment, results)
    found = []
    for name, colour in zip(names, shades(len(names), 0.25, 0.7), strict=True):
        own = Variant(experiment.pool, name, experiment.contexts[0], mode=mode, checkpoints=budgets)
        cut, forced = (
            tuple(
                point
                for budget in budgets
                for point in _point(results, "intrinsic", replace(own, budget=budget, scoring=scoring), "pwacc", work)
            )
            for scoring in ("soft", FORCED)
        )
        stops = tuple(_point(results, "adaptive", own, "pwacc", work, "adaptive"))
        called = label("discriminator", name, results.display)
        found.append(Series(f"{called}: cut at a budget", cut, "o", colour, joined=True, hollow=True))
        found.append(Series(f"{called}: verdict forced at a budget", forced, "o", colour, joined=True))
        found.append(Series(f"{called}: adaptive", stops, "*", colour))
    rules: dict[str, list[Point]] = {}
    alone = 0
    for row in experiment.extra_rows:
        who, context, scoring = (
            label(setting, getattr(row, setting), results.display)
            for setting in ("discriminator", "context", "scoring")
        )
        points = tuple(_point(results, "intrinsic", replace(row, pool=experiment.pool, mode=mode), "pwacc", work))
        about = results.about.get(row.discriminator, NOBODY)
        if about.rule:
            text = f"{about.pair}, {RULES[about.rule]}, {context.lower()}, {scoring.lower()}"
            rules.setdefault(text, []).extend(replace(point, note=about.threshold) for point in points)
            continue
        text = f"{who}, {context.lower()}, {scoring.lower()}"
        found.append(Series(text, points, MARKERS[alone % len(MARKERS)], INK, hollow=True))
        alone += 1
    for number, (text, some) in enumerate(rules.items()):
        points = tuple(sorted(some, key=lambda point: point.tokens))
        found.append(Series(text, points, MARKERS[number % len(MARKERS)], RULED[number % len(RULED)], joined=True))
    return [each for each in found if each.points]


def shares_work(experiment: Experiment, results: Results) -> bool:
    """Whether two models share the work in any row of a figure."""
    return any(results.about.get(name, NOBODY).rule for name in _judges(experiment))


def _judges(experiment: Experiment) -> list[str]:
    return [*experiment.discriminators, *(row.discriminator for row in experiment.extra_rows)]


def _sizes(experiment: Experiment, results: Results) -> dict[str, tuple[float, ...]]:
    """The parameters of each discriminator's model or models, in thousand millions; nothing where one is not known."""
    sizes = {name: results.about.get(name, NOBODY).sizes for name in _judges(experiment)}
    known = {name: tuple(size / 1e9 for size in each if size is not None) for name, each in sizes.items()}
    return known if all(len(known[name]) == len(each) for name, each in sizes.items()) else {}


def _work_label(experiment: Experiment, results: Results) -> str:
    tokens = "tokens read a candidate, prompts included (mean), of both models"
    return f"Thousand million parameters × {tokens}" if _sizes(experiment, results) else tokens.capitalize()


def _work(experiment: Experiment, results: Results) -> Work:
    """What a variant spends on a candidate, from its metrics: new tokens.

    Where two models share the work in any row, all tokens that a model computes, the prompt's too, each times its
    parameters; so too of a model alone. Where a size is not known, tokens alone.
    """
    if not shares_work(experiment, results):
        return _all_tokens
    sizes = _sizes(experiment, results)

    def work(variant: Variant, found: Mapping[str, Any]) -> float | None:
        read, large = (found.get(name, {}).get("value") for name in ("read", "large_tokens"))
        if read is None:
            return None
        own = sizes.get(variant.discriminator, (1.0, 1.0))
        return float(own[0] * read + own[-1] * (large or 0))

    return work


def accuracy_of_planners(experiment: Experiment, results: Results) -> Figure:
    """EX against the tokens of a question, both models together; the front leaves out what looks at the gold query."""
    drawn = planners(experiment, results)
    figure = Figure(figsize=(8.0, 4.4 + 0.1 * len(drawn)), layout="constrained")
    axes = figure.add_subplot()
    keys = [_draw_series(axes, each) for each in drawn]
    keys.append(_draw_front(axes, [point for each in drawn if not each.hollow for point in each.points]))
    if drawn:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        low, high = axes.get_ylim()
        axes.set_ylim(max(-1.0, min(low, high - LEAST_SPAN)), max(high, LEAST_SPAN))
    axes.tick_params(labelsize=8)
    axes.set_xlabel("Tokens a question, read and written, of all models (mean)", fontsize=9)
    axes.set_ylabel("Execution accuracy (%)", fontsize=9)
    fitting_legend(figure, keys, 2, 8)
    return figure


def planners(experiment: Experiment, results: Results) -> list[Series]:
    """One point for each planner with each discriminator: a shape a planner, a shade a discriminator.

    Discriminators that look at the gold query are hollow.
    """
    below = (baseline_variant(name, experiment.pool, experiment.modes[0]) for name in experiment.baselines)
    judges = [*experiment.variants(), *below]
    found = []
    for variant, colour in zip(judges, shades(len(judges), 0.05, 0.8), strict=True):
        who = label("discriminator", variant.discriminator, results.display)
        for number, planner in enumerate(experiment.planners):
            points = tuple(_point(results, "planner", replace(variant, planner=planner), "ex", _all_tokens))
            text = f"{who}: {label('planner', planner, results.display).lower()}"
            marker, hollow = MARKERS[number % len(MARKERS)], variant.discriminator in results.uses_gold
            found.append(Series(text, points, marker, colour, hollow=hollow))
    alone = greedy_variant(f"{experiment.generators[0]}.{experiment.greedy_decoding}")
    found.append(
        Series("Generator alone, greedy", tuple(_point(results, "planner", alone, "ex", _all_tokens)), "*", INK)
    )
    return [each for each in found if each.points]


def _all_tokens(_: Variant, found: Mapping[str, Any]) -> float | None:
    value: float | None = found.get("tokens", {}).get("value")
    return value


def _point(results: Results, kind: str, variant: Variant, accuracy: str, work: Work, *path: str) -> Iterator[Point]:
    """The point of a metric; nothing where there is none, or where it rests on nothing."""
    metric = results.metric(kind, variant)
    found: Any = metric["metrics"] if metric else {}
    for step in path:
        found = found.get(step, {})
    spent, reached = work(variant, found), found.get(accuracy, {})
    if spent is not None and reached.get("value") is not None:
        value, low, high = (100 * reached[key] for key in ("value", "low", "high"))
        yield Point(spent, value, low, high, str(variant.budget))


def _draw_series(axes: Axes, series: Series) -> Line2D:
    """Draw a series with its intervals; its key for a legend."""
    tokens, accuracy = [point.tokens for point in series.points], [point.accuracy for point in series.points]
    whiskers = arms(*((point.accuracy, point.low, point.high) for point in series.points))
    look: dict[str, Any] = {
        "marker": series.marker,
        "ms": 11 if series.marker == "*" else 5,
        "color": series.colour,
        "mfc": "white" if series.hollow else series.colour,
        "mec": series.colour,
        "linestyle": (":" if series.hollow else "-") if series.joined else "none",
        "lw": 1.2,
        "zorder": 4 if series.marker == "*" else 3,
    }
    axes.errorbar(tokens, accuracy, yerr=whiskers, ecolor=series.colour, **_ARM)
    axes.plot(tokens, accuracy, **look)
    return Line2D([], [], **{**look, "ms": min(look["ms"], 8)}, label=series.label)


def _number(axes: Axes, drawn: Sequence[Series]) -> None:
    """Write budgets beside the marks that they are of, each where no mark and no other budget is; else nowhere.

    The figure's layout is made already.
    """
    dot = axes.get_figure().dpi / 72  # type: ignore[union-attr]
    places = [[(point, axes.transData.transform((point.tokens, point.accuracy))) for point in s.points] for s in drawn]
    taken = [Bbox.from_bounds(x - 4 * dot, y - 4 * dot, 8 * dot, 8 * dot) for some in places for _, (x, y) in some]
    for series, some in zip(drawn, places, strict=True):
        for point, (x, y) in some if series.joined else ():
            wide = 0.7 * NUMBER_SIZE * len(point.note)
            for right, up in ((5, 4), (5, -4 - NUMBER_SIZE), (-5 - wide, 4), (-5 - wide, -4 - NUMBER_SIZE)):
                box = Bbox.from_bounds(x + right * dot, y + up * dot, wide * dot, 1.1 * NUMBER_SIZE * dot)
                if not any(box.overlaps(other) for other in taken):
                    beside: Any = {"xytext": (right, up), "textcoords": "offset points", "fontsize": NUMBER_SIZE}
                    axes.annotate(point.note, (point.tokens, point.accuracy), **beside)
                    taken.append(box)
                    break


def _draw_front(axes: Axes, points: Sequence[Point]) -> Line2D:
    """Draw the front of some points, dashed, or say that there are none; its key for a legend."""
    best = front(points)
    tokens, accuracy = [point.tokens for point in best], [point.accuracy for point in best]
    look: Any = {"color": INK, "lw": 1.5, "linestyle": "--"}
    axes.step(tokens, accuracy, where="post", zorder=2, gid="front", **look)
    for point in best:
        axes.plot(point.tokens, point.accuracy, "o", ms=13, mfc="none", mec=INK, mew=1.0, zorder=2)
    for point in best[-1:]:  # from the last one on, nothing is better
        tail = Line2D([point.tokens, 1e9], [point.accuracy] * 2, zorder=2, **look)
        axes.add_artist(tail).set_clip_path(axes.patch)  # as an artist it does not widen the axes
    if not points:
        say(axes, "not run")
    return Line2D([], [], marker="o", ms=8, mfc="none", mec=INK, label="Pareto front", **look)
