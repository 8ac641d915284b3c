"""A table as CSV, Markdown, LaTeX and HTML. Knows the formats, no metric."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from tabulate import tabulate

from sqljudge.core.files import write_text
from sqljudge.report.table import Cell, Table
from sqljudge.report.text import bullets, caption, check_format, number, plain, template

CSV_COLUMNS = (
    *("group", "metric", "value", "low", "high", "n", "unit"),
    *("published", "difference", "status", "published_status", "at_random", "without_verdict"),
)


def render(table: Table, file_format: str) -> str:
    """A table as the text of a file of one of FORMATS. Raises ConfigError for another format."""
    check_format(file_format)
    if file_format == "csv":
        return _csv(table)
    if file_format == "md":
        return _markdown(table)
    return template(f"table.{file_format}").render(table=table)


def write_formats(table: Table, **paths: str) -> None:
    """Write a table to a file of each format that is named."""
    for file_format, path in paths.items():
        write_text(path, render(table, file_format))


def _csv(table: Table) -> str:
    """One row per cell: the row's labels, then CSV_COLUMNS. What is not there is empty, and a status says why."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*map(slug, (*table.row_headers, *table.about)), *CSV_COLUMNS])
    for row, column, cell in table.cells():
        blind = None if cell.at_random is None else cell.without_verdict
        shown = (cell.value, cell.low, cell.high, cell.published, cell.difference, cell.at_random, blind)
        value, low, high, published, difference, *ties = (None if each is None else round(each, 6) for each in shown)
        ours = (column.group, column.label, value, low, high, cell.n, column.unit)
        known = "ok" if published is not None else "not published" if cell.in_paper else "not in the paper"
        lines.writerow((*row.labels, *row.about, *ours, published, difference, cell.status, known, *ties))
    return text.getvalue()


def slug(text: str) -> str:
    """A heading as a column name: lower case, words joined by "_"."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _markdown(table: Table) -> str:
    """One Markdown table per column group, the best of a column in bold.

    A cell is "ours [interval] (published)"; without the last where the table has no published value at all.
    """
    known = [cell.published is not None for _, _, cell in table.cells()]
    parts = [f"### {plain(caption(table))}", *(plain(text) for text in (table.origin, table.lead) if text)]
    for group, positions in table.groups():
        parts += [f"**{plain(group)}**"] if group else []
        parts.append(_panel(table, positions, any(known)))
    missing = any(cell.in_paper and cell.published is None for _, _, cell in table.cells())
    legend = " n.p.: not published." if missing else ""
    key = [f"A cell is ours [95 % interval] (published).{legend}"] if any(known) else []
    return "\n\n".join([*parts, bullets([*key, *table.notes])]) + "\n"


def _panel(table: Table, positions: Sequence[int], published: bool) -> str:
    best = {position: table.best(position) for position in positions}
    heads = [*table.row_headers, *table.about, *(table.columns[position].heading for position in positions)]
    body = []
    for block, rows in table.blocks(positions):
        body += [[f"*{plain(block)}*", *[""] * (len(heads) - 1)]] if block else []
        for index in rows:
            row = table.rows[index]
            cells = (_text(row.cells[p], table.columns[p].decimals, index in best[p], published) for p in positions)
            body.append([*map(plain, (*row.labels, *row.about)), *cells])
    sides = ["left"] * len(table.row_headers + table.about) + ["right"] * len(positions)
    return str(tabulate(body, [*map(plain, heads)], tablefmt="pipe", colalign=sides, disable_numparse=True))


def _text(cell: Cell, decimals: int, best: bool, published: bool) -> str:
    value = cell.text(decimals)
    against = f"({number(cell.published, decimals)})" if cell.published is not None else "(n.p.)" * cell.in_paper
    ties = cell.ties(decimals)
    parts = (
        f"**{value}**" if best else value,
        cell.interval(max(0, decimals - 1)),
        f"({ties})" if ties else "",
        against if published else "",
    )
    return " ".join(part for part in parts if part)
