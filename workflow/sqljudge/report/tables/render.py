"""Tables as CSV, Markdown, LaTeX and HTML. Knows the formats, no metric."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.report.tables.model import Cell, Column, Table, interval
from sqljudge.report.text import FORMATS, bullets, caption, number, plain, template

CSV_COLUMNS = (
    *("group", "metric", "value", "low", "high", "n", "unit"),
    *("published", "difference", "status", "published_status"),
)
SHORT = {"not published": "n.p."}
LEGEND = "n.p.: not published."


def slug(text: str) -> str:
    """A heading as a column name: lower case, words joined by "_"."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def table_csv(table: Table) -> str:
    """One line per cell: the row's labels, then CSV_COLUMNS. What is not there is empty, and a status says why."""
    rows: list[Sequence[Any]] = [(*map(slug, table.row_headers), *CSV_COLUMNS)]
    for row, column, cell in table.cells():
        numbers = [_rounded(value) for value in (cell.value, cell.low, cell.high)]
        against = (_rounded(cell.published), _rounded(cell.difference), cell.status, cell.published_status)
        rows.append((*row.labels, column.group, column.label, *numbers, cell.n, column.unit, *against))
    return _csv(rows)


def heading(column: Column) -> str:
    """A column's label with its unit."""
    return f"{column.label} ({column.unit})"


def own_text(cell: Cell, decimals: int) -> str:
    """A cell's own value, or the word that says why there is none."""
    return cell.status if cell.value is None else number(cell.value, decimals)


def _markdown_cell(cell: Cell, column: Column, best: bool, against: bool) -> str:
    value = own_text(cell, column.decimals)
    published = SHORT["not published"] if cell.published is None else number(cell.published, column.decimals)
    beside = f"({published})" if against else ""
    parts = [f"**{value}**" if best else value, interval(cell, max(0, column.decimals - 1)), beside]
    return " ".join(part for part in parts if part)


def _pipes(heads: Sequence[str], body: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table whose columns also line up as plain text; `align` holds "l" or "r" for each column."""
    widths = [max(3, *(len(row[i]) for row in (heads, *body))) for i in range(len(heads))]
    sides = list(zip(widths, align, strict=True))
    rule = ["-" * (width - 1) + ":" if side == "r" else ":" + "-" * (width - 1) for width, side in sides]
    lines = [
        [f"{text:{'>' if side == 'r' else '<'}{width}}" for text, (width, side) in zip(row, sides, strict=True)]
        for row in (heads, rule, *body)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _panel(table: Table, positions: Sequence[int]) -> str:
    best = {position: table.best(position) for position in positions}
    against = has_published(table)
    heads = [*map(plain, table.row_headers), *(plain(heading(table.columns[position])) for position in positions)]
    body = []
    for block, rows in table.blocks():
        body += [[f"*{plain(block)}*", *[""] * (len(heads) - 1)]] if block else []
        for index in rows:
            row = table.rows[index]
            cells = (_markdown_cell(row.cells[p], table.columns[p], index in best[p], against) for p in positions)
            body.append([*map(plain, row.labels), *cells])
    return _pipes(heads, body, "l" * len(table.row_headers) + "r" * len(positions))


def has_published(table: Table) -> bool:
    """Whether any published value stands beside ours."""
    return any(cell.published is not None for _, _, cell in table.cells())


def table_markdown(table: Table) -> str:
    """One Markdown table per column group, the best of a column in bold.

    A cell is "ours [interval] (published)"; without the last where the table has no published value at all.
    """
    parts = [f"### {plain(caption(table))}"]
    for group, positions in table.groups():
        parts += [f"**{plain(group)}**"] if group else []
        parts.append(_panel(table, positions))
    unpublished = any(cell.published is None for _, _, cell in table.cells())
    legend = f" {LEGEND}" if unpublished else ""
    key = [f"A cell is ours [95 % interval] (published).{legend}"] if has_published(table) else []
    return "\n\n".join([*parts, bullets([*key, *table.notes])]) + "\n"


def render(table: Table, form: str) -> str:
    """A table as the text of a file of one of FORMATS. Raises ConfigError for another format."""
    if form not in FORMATS:
        raise ConfigError(f"table format {form!r}: not known; choose one of {', '.join(FORMATS)}")
    if form == "csv":
        return table_csv(table)
    if form == "md":
        return table_markdown(table)
    return template(f"table.{form}", heading=heading, own_text=own_text, interval=interval).render(table=table)
