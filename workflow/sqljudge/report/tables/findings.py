"""What a table says, in a few sentences: the best and the worst of its main columns, with their numbers."""

from __future__ import annotations

from sqljudge.report.tables.model import Cell, Column, Row, Table, interval
from sqljudge.report.text import number, rst

ALL, NO_LABEL = "All", "–"
UNITS = ("%", "bits")
MAIN_COLUMNS = 2
"""How many columns are spoken of: of each of the first groups, that of all questions, or else the first that counts."""
SPOKEN_OF = {"adaptive": ("Saved", "Difference")}
"""The columns that are spoken of in their stead, of tables whose first ones are not the point."""


def findings(table: Table) -> str:
    """A sentence in reStructuredText about a table of this run; rows that look at the gold query are left out."""
    parts = [text for position in _main(table) if (text := _part(table, position))]
    return f"In this run {'; '.join(parts)}." if parts else "In this run nothing of it has been measured."


def _main(table: Table) -> list[int]:
    if table.name in SPOKEN_OF:
        return [p for p, column in enumerate(table.columns) if column.label in SPOKEN_OF[table.name]]
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
    name = rst(_name(column))
    if len(known) == 1:
        return f"{name} of {_row(top)} is {_value(best, column)}"
    if _shown(best, column) == _shown(worst, column):
        return f"{name} is {_shown(best, column)} in every row"
    last = f"lowest for {_row(bottom)}, {_value(worst, column)}"
    return f"{name} is highest for {_row(top)}, {_value(best, column)}, and {last}"


def _name(column: Column) -> str:
    if column.group and column.label == ALL:
        return column.group
    return f"{column.label} ({column.group})" if column.group else column.label


def _row(row: Row) -> str:
    return f"*{rst(', '.join(label for label in row.labels if label != NO_LABEL))}*"


def _shown(cell: Cell, column: Column) -> str:
    return number(cell.value or 0.0, column.decimals) + (f" {column.unit}" if column.unit in UNITS else "")


def _value(cell: Cell, column: Column) -> str:
    rests = f" (n = {cell.n:,})" if cell.n else ""
    return " ".join(part for part in (_shown(cell, column), interval(cell, column.decimals)) if part) + rests
