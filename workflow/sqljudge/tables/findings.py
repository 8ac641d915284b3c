"""What a table says, in a few sentences: the best and the worst of its main columns, with their numbers."""

from __future__ import annotations

from sqljudge.tables.model import Cell, Column, Row, Table, interval, number
from sqljudge.tables.render import rst

MAIN_COLUMNS = 2
"""How many columns are spoken of: the first with a good direction, of each of the first groups."""


def findings(table: Table) -> str:
    """Sentences in reStructuredText about a table of this run; rows that look at the gold query are left out."""
    return " ".join(text for position in _main(table) if (text := _sentence(table, position)))


def _main(table: Table) -> list[int]:
    groups = [[p for p in positions if table.columns[p].better] for _, positions in table.groups()]
    return [positions[0] for positions in groups if positions][:MAIN_COLUMNS]


def _sentence(table: Table, position: int) -> str:
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
    name = rst(f"{column.label} ({column.group})" if column.group else column.label)
    if len(known) == 1:
        return f"In this run {name} of {_row(top)} is {_value(best, column)}."
    last = f"lowest for {_row(bottom)}, {_value(worst, column)}"
    return f"In this run {name} is highest for {_row(top)}, {_value(best, column)}, and {last}."


def _row(row: Row) -> str:
    return f"*{rst(', '.join(row.labels))}*"


def _value(cell: Cell, column: Column) -> str:
    value = number(cell.value or 0.0, column.decimals)
    rests = f" (n = {cell.n:,})" if cell.n else ""
    return rst(" ".join(part for part in (value, column.unit, interval(cell, column.decimals)) if part)) + rests
