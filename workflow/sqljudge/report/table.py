"""What a table is: labelled rows of cells, each ours beside the published one. Knows no metric and no format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from sqljudge.report.text import number

Status = Literal["ok", "not run", "no data", "no verdict", "not compared", "one seed"]
"""Of a cell's own value: "not run": no such metric in this run; "no data": run, but the metric rests on nothing; "no
verdict": the model gave none at all, so that the value would be the tie rule's; "not compared": a
difference of a row to itself, or what its training cost; "one seed": no spread over several."""

SILENT = ("not compared", "one seed")
"""What a cell says that has no value by its row's nature."""

ACROSS = 8
"""Columns of values that a page shows side by side."""

Better = Literal["high", "low"] | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of values. `group` is the heading that it shares with its neighbours ("" for none).

    `unit` is "%", "points" (a difference of two shares in per cent) or another; `decimals` digits are shown after the
    point; `better` is the good direction, if any; `in_csv` columns, the last of a table, are in the CSV file alone.
    """

    group: str
    label: str
    unit: str = "%"
    decimals: int = 2
    better: Better = None
    in_csv: bool = False

    @property
    def heading(self) -> str:
        """Its label with its unit."""
        return f"{self.label} ({self.unit})"


@dataclass(frozen=True, slots=True)
class Cell:
    """One value in its column's unit, its 95 % interval, what it rests on (`n`), and the published value beside it.

    `at_random`: what the value is on average if equal scores are shuffled. `without_verdict`: what of the value is the
    tie rule's alone, since no candidate of a question got a verdict. `link`: the page of its questions, from the
    table's folder; "" for none. `in_paper`: the paper's table has such a cell.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    published: float | None = None
    status: Status = "not run"
    at_random: float | None = None
    without_verdict: float = 0.0
    link: str = ""
    in_paper: bool = False

    @property
    def difference(self) -> float | None:
        """Ours minus published, in the column's unit (percentage points or bits); None unless both are there."""
        if self.value is None or self.published is None:
            return None
        return self.value - self.published

    def text(self, decimals: int) -> str:
        """Its own value, or the word that says why there is none."""
        return self.status if self.value is None else number(self.value, decimals)

    def ties(self, decimals: int) -> str:
        """What equal scores do to the value, as far as it shows; "" if nothing."""
        parts = []
        if self.at_random is not None and abs(self.at_random - (self.value or 0.0)) >= 0.5 / 10**decimals:
            parts.append(f"shuffled {number(self.at_random, decimals)}")
        if self.value is not None and self.without_verdict >= 0.5 / 10**decimals:
            parts.append(f"unjudged {number(self.without_verdict, decimals)}")
        return ", ".join(parts)

    def interval(self, decimals: int) -> str:
        """Its interval as "[low, high]", "" if it has none."""
        if self.low is None or self.high is None or math.isnan(self.low) or math.isnan(self.high):
            return ""
        return f"[{number(self.low, decimals)}, {number(self.high, decimals)}]"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a label under each of the table's row headers, a cell under each of its columns.

    `block`: the heading that it stands under with its neighbours ("" for the table's own rows). `uses_gold`: it looked
    at the gold query, so it competes with no other row. `about`: a text under each of the table's headers of that name.
    """

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    block: str = ""
    uses_gold: bool = False
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of values.

    `origin`: what it is of, in a line under its title. `lead`: what a reader sees, in a sentence under that. `about`:
    headers of what is said of a row and does not name it, such as a model's size. `notes`: sentences under it.
    `spoken_of`: labels of the columns that its findings speak of, if not of the first.
    """

    name: str
    title: str
    row_headers: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    spoken_of: tuple[str, ...] = ()
    origin: str = ""
    lead: str = ""
    about: tuple[str, ...] = ()

    def groups(self) -> list[tuple[str, list[int]]]:
        """The column groups that a page shows, left to right, each as its heading and the positions of its columns.

        A group in which no row says anything is left out.
        """
        shown = (position for position, column in enumerate(self.columns) if not column.in_csv)
        runs = groupby(shown, key=lambda position: self.columns[position].group)
        groups = [(heading, list(positions)) for heading, positions in runs]
        return [(heading, positions) for heading, positions in groups if not self.rows or self.blocks(positions)]

    def panels(self) -> list[list[tuple[str, list[int]]]]:
        """The column groups in panels that a page shows below each other, of at most ACROSS columns or one group."""
        found: list[list[tuple[str, list[int]]]] = []
        for group in self.groups():
            width = sum(len(positions) for _, positions in found[-1]) if found else ACROSS
            if width + len(group[1]) > ACROSS:
                found.append([])
            found[-1].append(group)
        return found

    def blocks(self, positions: Sequence[int]) -> list[tuple[str, list[int]]]:
        """The blocks of rows that say something in some columns: the heading of each, and where its rows stand."""
        speaks = [any(row.cells[position].status not in SILENT for position in positions) for row in self.rows]
        rows = (index for index, spoken in enumerate(speaks) if spoken)
        runs = groupby(rows, key=lambda index: self.rows[index].block)
        return [(heading, list(indices)) for heading, indices in runs]

    def cells(self) -> Iterator[tuple[Row, Column, Cell]]:
        """Every cell with its row and column, row by row."""
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells, strict=True):
                yield row, column, cell

    def tied(self, index: int, positions: Sequence[int]) -> bool:
        """Whether equal scores move a value of a row in some columns."""
        return any(self.rows[index].cells[p].ties(self.columns[p].decimals) for p in positions)

    def best(self, position: int) -> frozenset[int]:
        """Rows that are best in a column as shown: empty if nothing is better, fewer than two are run, or all tie.

        Rows that use the gold query are not looked at.
        """
        column = self.columns[position]
        shown = {
            index: round(row.cells[position].value or 0.0, column.decimals)
            for index, row in enumerate(self.rows)
            if row.cells[position].value is not None and not row.uses_gold
        }
        if column.better is None or len(set(shown.values())) < 2:
            return frozenset()
        top = max(shown.values()) if column.better == "high" else min(shown.values())
        return frozenset(index for index, value in shown.items() if value == top)
