"""What is said of a table: the notes under it, and its findings in a sentence. Knows tables and settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqljudge.core.variants import Variant
from sqljudge.report.measures import EM, EX, NOTES
from sqljudge.report.table import Cell, Column, Row, Table
from sqljudge.report.text import number, rst
from sqljudge.report.words import Display, context_key, label, setting_text

Metric = dict[str, Any]

INTERVALS = (
    "In brackets: 95 % interval, for other questions like these. It is exact (Clopper-Pearson) for a share of "
    "questions; for all else questions are weighed at random, an unseen one among them. In simulations of 3 to 400 "
    "questions it holds the true value in 95 to 100 of 100 cases (docs/method.md#intervals)."
)
EXECUTION_ACCURACY = {
    "test_suite": "EX (execution accuracy): share of questions whose query gives the gold query's result on the "
    "question's own database (one database, not the test suite's many; two empty results are equal).",
    "set": "EX (execution accuracy): share of questions whose query gives the same set of rows as the gold query on "
    "the question's own database (BIRD's rule: the order of rows and how often each occurs do not count, the order "
    "of columns does).",
}
"""What EX means, by the rule that results were compared by."""

TIES = (
    "Of equally scored candidates the planner takes the one whose SQL sorts first, as the paper says. 'Shuffled': the "
    "mean EX if it drew one of them, where that changes what is shown."
)

COUNTED = {
    "questions": "questions",
    "candidates": "candidates",
    "correct": "right ones",
    "databases": "databases",
    "pairs": "pairs with different labels",
    "bins": "bins of probabilities",
    "policies": "policies tried",
    "responses": "responses",
}
"""What a table rests on, by its name in metric files."""


def table_notes(
    table: Table,
    axes: Mapping[str, Sequence[Any]],
    used: Sequence[tuple[Variant, Metric]],
    paper: Mapping[str, Any],
    citation: str,
    left_out: Collection[tuple[str, str]],
    display: Display,
) -> tuple[str, ...]:
    """The notes of a table.

    `axes`: all settings of the rows. `used`: the metrics that its cells were read from. `paper`: the settings of the
    paper's table, `citation`: where it stands. `left_out`: pairs of a discriminator and a context without a row.
    """
    metrics = [metric for _, metric in used]
    names = {column.label for column in table.columns} | {column.group for column in table.columns}
    names |= {row.block for row in table.rows}
    single = {axis: values[0] for axis, values in axes.items() if len(values) == 1}
    shown = [setting_text(axis, value, display) for axis, value in single.items() if axis != "discriminator"]
    rules = {metric["comparison"] for metric in metrics if "comparison" in metric} or {"test_suite"}
    notes = [
        f"Settings: {'; '.join(shown)}." if shown else "",
        _basis(metrics),
        _left_out(metrics),
        INTERVALS if any(cell.low is not None for _, _, cell in table.cells()) else "",
        " ".join(EXECUTION_ACCURACY[rule] for rule in sorted(rules)) if EX in names else "",
        TIES if EX in names else "",
        *(text for name, text in NOTES.items() if name in names),
        _unreadable_gold(metrics) if EM in names else "",
        _failures(used, display) if "Failure rate" not in names else "",
        *_published(table, single, paper, citation, display),
        *(
            f"{label('discriminator', who, display)} is not asked in {label('context', context, display)}: that "
            "context has no prompt of its kind."
            for who, context in left_out
        ),
    ]
    return tuple(note for note in notes if note)


def _basis(metrics: Sequence[Metric]) -> str:
    """The least and the most of everything that is counted."""
    parts = []
    for key, text in COUNTED.items():
        if found := sorted({metric[key] for metric in metrics if metric.get(key) is not None}):
            parts.append(" to ".join(f"{amount:,}" for amount in dict.fromkeys((found[0], found[-1]))) + f" {text}")
    return f"Based on {', '.join(parts)}." if metrics else "Nothing of this table was run."


def _left_out(metrics: Sequence[Metric]) -> str:
    most = max((metric.get("left_out", 0) for metric in metrics), default=0)
    return f"Left out, since a model request got no answer: up to {most:,} questions a row." if most else ""


def _unreadable_gold(metrics: Sequence[Metric]) -> str:
    most = max((metric.get("unreadable_gold", 0) for metric in metrics), default=0)
    if not most:
        return ""
    return (
        f"EM and partial match leave out up to {most:,} questions a row, whose gold query is beyond the official "
        "evaluator's grammar; those that are left tend to be the plainer ones."
    )


def _failures(used: Sequence[tuple[Variant, Metric]], display: Display) -> str:
    rates = {}
    for variant, metric in used:
        if rate := (metric["metrics"].get("failure_rate") or {}).get("value"):
            which = f"{label('discriminator', variant.discriminator, display)}, {variant.mode}"
            blind = metric.get("no_verdict", 0)
            questions = f", on {blind:,} of {metric['questions']:,} questions all of them" if blind else ""
            rates[which] = f"{which}: {number(100 * rate, 2)} %{questions}"
    return f"Candidates without a verdict (scored −0.5): {'; '.join(rates.values())}." if rates else ""


def _published(
    table: Table, single: Mapping[str, Any], paper: Mapping[str, Any], citation: str, display: Display
) -> list[str]:
    """Whose the published figures are, and where the run's own settings are not the paper's."""
    if not any(cell.published is not None for _, _, cell in table.cells()):
        if not any(cell.in_paper for _, _, cell in table.cells()):
            return ["The paper has no such rows."]
        return ["The paper gives no figure for any of these rows: not published."]
    notes = [f"Published: {citation}. Differences are ours minus published, in points (entropy: in bits)."]
    differing = [
        f"{setting_text(axis, value, display)} (here: {setting_text(axis, single[axis], display)})"
        for axis, value in paper.items()
        if axis in single and context_key(str(value)) != context_key(str(single[axis]))
    ]
    if differing:
        notes.append(f"The paper's own settings: {'; '.join(differing)}: a difference is also one of settings.")
    return notes


def listed(question_ids: str) -> tuple[str, ...]:
    """The note on a list of questions; none for a sample."""
    if not question_ids:
        return ()
    return (
        f"Questions: those of {question_ids}, but for any whose gold query does not run, and any over a database "
        "without rows (in most copies of Spider wta_1, with 20 of the paper's 400).",
    )


ALL, NO_LABEL = "All", "–"
UNITS = ("%", "points", "bits")
MAIN_COLUMNS = 2
"""How many columns are spoken of: of each of the first groups, that of all questions, or else the first that counts."""


def findings(table: Table) -> str:
    """A sentence in reStructuredText about a table of this run: the best and the worst of its main columns.

    Rows that look at the gold query are left out.
    """
    parts = [text for position in _main(table) if (text := _part(table, position))]
    return f"In this run {'; '.join(parts)}." if parts else "In this run nothing of it has been measured."


def _main(table: Table) -> list[int]:
    if table.spoken_of:
        return [p for p, column in enumerate(table.columns) if column.label in table.spoken_of]
    groups = [[p for p in positions if table.columns[p].better] for _, positions in table.groups()]
    chosen = [[p for p in positions if table.columns[p].label == ALL] or positions for positions in groups]
    return [positions[0] for positions in chosen if positions][:MAIN_COLUMNS]


def _part(table: Table, position: int) -> str:
    column = table.columns[position]
    known = [
        (cell.value, row, cell)
        for row in table.rows
        if not row.uses_gold and (cell := row.cells[position]).value is not None
    ]
    if not known:
        return ""
    ordered = sorted(known, key=lambda one: one[0] or 0.0, reverse=True)
    (_, top, best), (_, bottom, worst) = ordered[0], ordered[-1]
    name = f"{column.label} ({column.group})" if column.group else column.label
    name = rst(column.group if column.group and column.label == ALL else name)
    if len(known) == 1:
        return f"{name} of {_row(top)} is {_value(best, column)}"
    if _shown(best, column) == _shown(worst, column):
        return f"{name} is {_shown(best, column)} in every row"
    last = f"lowest for {_row(bottom)}, {_value(worst, column)}"
    return f"{name} is highest for {_row(top)}, {_value(best, column)}, and {last}"


def _row(row: Row) -> str:
    return f"*{rst(', '.join(text for text in row.labels if text != NO_LABEL))}*"


def _shown(cell: Cell, column: Column) -> str:
    return number(cell.value or 0.0, column.decimals) + (f" {column.unit}" if column.unit in UNITS else "")


def _value(cell: Cell, column: Column) -> str:
    rests = f" (n = {cell.n:,})" if cell.n else ""
    return " ".join(part for part in (_shown(cell, column), cell.interval(column.decimals)) if part) + rests
