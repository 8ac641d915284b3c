"""The answer: the best discriminator that reasons against the best that does not, and the best free baseline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import pandas as pd

from sqljudge.core.provenance import made_line
from sqljudge.core.variants import RERANK, Experiment, Variant, baseline_variant
from sqljudge.metrics.best import Contest, compare_best
from sqljudge.metrics.intervals import CONFIDENCE
from sqljudge.report.cells import Results
from sqljudge.report.grid import Column, Grid, Row
from sqljudge.report.specs import SPECS, experiment_from
from sqljudge.report.text import number, rst, signed
from sqljudge.report.words import MODES, Display, label
from sqljudge.report.write import Beside, read_results, write_beside

TABLE = "table3"
"""The table whose choices answer the question: what a planner picks is what a user gets."""
REASONS, PLAIN, FREE = "reasons", "does not reason", "free baseline"
BETTER, WORSE, UNDECIDED = "reasoning is better", "reasoning is worse", "not decidable with this many questions"
TONES = {BETTER: "good", WORSE: "bad", UNDECIDED: "open"}


@dataclass(frozen=True, slots=True)
class System:
    """A discriminator whose choices are compared. `kind`: REASONS, PLAIN or FREE. `hits`: by question."""

    name: str
    kind: str
    variant: Variant
    hits: Mapping[int, bool]


def systems(experiment: Experiment, results: Results) -> list[System]:
    """The discriminators of a table of re-ranked choices that were run, but for those that look at the gold query.

    A question that nobody could decide is left out.
    """
    models = [replace(variant, planner=RERANK) for variant in experiment.variants()]
    free = [name for name in experiment.baselines if name not in results.uses_gold]
    below = [baseline_variant(name, experiment.pool, mode, RERANK) for name in free for mode in experiment.modes]
    found = []
    for variant in (*models, *below):
        metric = results.metric("end_to_end", variant)
        about = results.about.get(variant.discriminator)
        kind = FREE if variant in below else REASONS if about and about.reasons else PLAIN
        if metric is not None:
            hits = {row["question_id"]: row["exec"] for row in metric["per_question"] if row["exec"] is not None}
            found.append(System(variant.discriminator, kind, variant, hits))
    return found


def contests(found: Sequence[System]) -> list[tuple[str, Contest]]:
    """The best that reasons against the best of each other kind, on the questions that all of both kinds answered."""
    mine = [each for each in found if each.kind == REASONS]
    compared = []
    for kind in (PLAIN, FREE):
        theirs = [each for each in found if each.kind == kind]
        if mine and theirs:
            shared = sorted(set.intersection(*(set(each.hits) for each in (*mine, *theirs))))
            groups = ({each.name: [each.hits[q] for q in shared] for each in group} for group in (mine, theirs))
            compared.append((kind, compare_best(*groups)))
    return compared


def verdict(contest: Contest) -> str:
    """What a contest says of reasoning."""
    if contest.p_value is None or contest.low is None or contest.p_value >= 1 - CONFIDENCE:
        return UNDECIDED
    return BETTER if contest.low > 0 else WORSE


def named(name: str, results: Results) -> str:
    """What a discriminator is called, with its size where its name does not say it."""
    called, about = label("discriminator", name, results.display), results.about.get(name)
    size = about.size if about else ""
    return called if not size or size in called else f"{called} ({size})"


def _interval(row: Row) -> str:
    if row["low"] is None:
        return "–"
    return f"[{number(row['low'], 1)}, {number(row['high'], 1)}]"


def _share(key: str) -> Column:
    return Column("EX (%)", lambda row: "no data" if row[key] is None else number(row[key], 1), "r")


COLUMNS = (
    Column("Reasons", "reasoning", "w"),
    _share("reasoning_ex"),
    Column("Against", lambda row: f"{row['other']} ({row['kind']})", "w"),
    _share("other_ex"),
    Column("Difference (points)", lambda row: "–" if row["difference"] is None else signed(row["difference"], 1), "r"),
    Column("95 % interval", _interval, "r"),
    Column("Questions that decide", lambda row: f"{row['deciding']:,} of {row['questions']:,}", "r"),
    Column("Verdict", "verdict", "w", tone=lambda row: TONES[row["verdict"]]),
)
FIELDS = (
    *("reasoning", "reasoning_ex", "other", "kind", "other_ex", "difference", "low", "high"),
    *("questions", "deciding", "p", "verdict"),
)


def answer_grid(experiment: Experiment, results: Results, dataset: str) -> Grid:
    """The answer as a table of text, with its sentence before it. `dataset`: what it is called."""
    found = systems(experiment, results)
    shares = {each.name: each.hits for each in found}
    records = []
    for kind, contest in contests(found):
        one, other = (named(name, results) for name in (contest.first, contest.second))
        values = [None if x is None else 100 * x for x in (contest.difference, contest.low, contest.high)]
        shared = _shared(found, kind)
        ex = [_per_cent(shares[name], shared) for name in (contest.first, contest.second)]
        counted = (contest.n, contest.deciding, contest.p_value)
        records.append((one, ex[0], other, kind, ex[1], *values, *counted, verdict(contest)))
    data = pd.DataFrame(records, columns=FIELDS, dtype=object)
    lead = _sentence(data.to_dict("records"), experiment, results.display, dataset)
    return Grid("answer", "Does reasoning judge SQL better?", data, COLUMNS, _notes(found), lead=lead)


def _shared(found: Sequence[System], kind: str) -> set[int]:
    return set.intersection(*(set(each.hits) for each in found if each.kind in (REASONS, kind)))


def _per_cent(hits: Mapping[int, bool], shared: Collection[int]) -> float | None:
    return 100 * sum(hits[question] for question in shared) / len(shared) if shared else None


_KINDS = {PLAIN: "the best discriminator that does not reason", FREE: "the best baseline without a model"}


def _sentence(rows: Sequence[Row], experiment: Experiment, display: Display, dataset: str) -> str:
    """What the table says, in a sentence for each of its rows."""
    if not rows:
        return "This run does not compare a discriminator that reasons with anything."
    mode = MODES[experiment.modes[0]].phrase
    generator = " and ".join(label("generator", name, display) for name in experiment.generators)
    first = rows[0]
    best = "no data" if first["reasoning_ex"] is None else f"{number(first['reasoning_ex'], 1)} %"
    parts = [
        f"Of {generator}'s candidates for {first['questions']:,} questions of {dataset} ({mode}), the best "
        f"discriminator that reasons, {first['reasoning']}, picks a right one for {best} of the questions"
    ]
    for row in rows:
        if row["difference"] is None:
            continue
        parts.append(
            f"{_KINDS[row['kind']]}, {row['other']}, for {number(row['other_ex'], 1)} % "
            f"({signed(row['difference'], 1)} points {_interval(row)}, {row['deciding']:,} questions decide: "
            f"{row['verdict']})"
        )
    said = "; ".join(parts) + "."
    if not any(row["reasoning_ex"] or row["other_ex"] for row in rows):
        said += " No choice of anyone was right, so this run cannot tell them apart."
    return said


def _notes(found: Sequence[System]) -> tuple[str, ...]:
    counts = {kind: sum(each.kind == kind for each in found) for kind in (REASONS, PLAIN, FREE)}
    return (
        f"EX (execution accuracy): share of questions whose chosen query gives the gold query's result, as in Table 3. "
        "A question decides if one of the two is right and the other is not. Each best is chosen on the questions "
        f"that it is measured on (of {counts[REASONS]} that reason, {counts[PLAIN]} that do not, {counts[FREE]} free "
        "baselines), which flatters it. Interval and verdict allow for that: they are of the truly best of each "
        "kind, whichever that is (McNemar's exact test of all pairs, Bonferroni over the candidates for the best).",
        "A verdict is about these questions, prompts and models. Models differ in more than size and reasoning.",
    )


def write_answer(
    metrics: Sequence[str],
    runs: Sequence[str],
    published: str,
    *,
    html: str,
    csv: str,
    md: str,
    tex: str,
    experiment: Mapping[str, Any],
    display: Mapping[str, str],
    uses_gold: Sequence[str],
    about: Mapping[str, Sequence[Any]],
    dataset: str,
    subject: str,
    **beside: Unpack[Beside],
) -> None:
    """Write the answer in four formats. The arguments are those of `write_table`."""
    given = experiment_from(experiment)
    grid = answer_grid(given, read_results(SPECS[TABLE], given, metrics, published, display, uses_gold, about), dataset)
    replace(grid, origin=made_line(subject)).write(html=html, csv=csv, md=md, tex=tex)
    write_beside(
        f"{rst(grid.lead)}\n\n{grid.as_rst()}",
        inputs=[*metrics, published],
        runs=runs,
        settings={"answer": experiment},
        **beside,
    )
