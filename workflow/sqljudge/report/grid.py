"""A table of text: a frame for a program, and how a person sees each column, in four formats. Knows no metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tabulate import tabulate

from sqljudge.core.files import write_text
from sqljudge.report.text import bullets, caption, check_format, number, plain, rst, template

Row = Mapping[Any, Any]
"""A row's values by the names of the frame's columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a person sees.

    `tone`: how a page colours what a row says in it: "good", "bad", "open" or "" ("": not at all).
    `value`: a column of the frame, or a function from a row to its text. `align`: "l" or "r" for its side, "w" for
    text at the left that may wrap. `missing`: what stands for None.
    """

    header: str
    value: str | Callable[[Row], str]
    align: str = "l"
    missing: str = "none"
    tone: Callable[[Row], str] | None = None

    def text(self, row: Row) -> str:
        """What stands in this column of a row: whole numbers with commas, others with one decimal."""
        if not isinstance(self.value, str):
            return self.value(row)
        value = row[self.value]
        if value is None:
            return self.missing
        if isinstance(value, int):
            return f"{value:,}"
        return number(value, 1) if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text. `data`: a row each, as a program reads it (the CSV file); `columns`: as a person reads it.

    `origin`: what it is of, in a line under its title. `lead`: a sentence before it. `above`: another grid, which a
    person reads first. `block`: the heading that a row stands under, `order`: these headings as a person meets them;
    without it rows stand as they are in the data.
    """

    name: str
    title: str
    data: pd.DataFrame
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    origin: str = ""
    lead: str = ""
    above: Grid | None = None
    block: Callable[[Row], str] | None = None
    order: tuple[str, ...] = ()

    @property
    def records(self) -> list[Row]:
        """The rows by the names of the data's columns."""
        return [*self.data.to_dict("records")]

    def blocks(self) -> list[tuple[str, list[Row]]]:
        """The blocks of rows from top to bottom, each as its heading ("" for none) and its rows."""
        if self.block is None:
            return [("", self.records)]
        found: dict[str, list[Row]] = {heading: [] for heading in self.order}
        for row in self.records:
            found.setdefault(self.block(row), []).append(row)
        return [(f"{heading} ({len(rows)})", rows) for heading, rows in found.items() if rows]

    @property
    def rows(self) -> list[list[str]]:
        """The text of every cell, row by row."""
        return [[column.text(row) for column in self.columns] for row in self.records]

    def render(self, file_format: str) -> str:
        """The grid as the text of a file of one of FORMATS. Raises ConfigError for another format."""
        check_format(file_format)
        if file_format == "csv":
            rows = self.data.astype(object).to_numpy()
            rounded = [[round(value, 6) if isinstance(value, float) else value for value in row] for row in rows]
            frame = pd.DataFrame(rounded, columns=self.data.columns, dtype=object)
            return str(frame.to_csv(index=False, lineterminator="\n"))
        if file_format == "md":
            return self._markdown()
        return template(f"grid.{file_format}").render(table=self)

    def _markdown(self) -> str:
        body = []
        for heading, rows in self.blocks():
            body += [[f"*{plain(heading)}*", *[""] * (len(self.columns) - 1)]] if heading else []
            body += [[plain(column.text(row)) for column in self.columns] for row in rows]
        sides = ["right" if column.align == "r" else "left" for column in self.columns]
        headers = [plain(column.header) for column in self.columns]
        table = tabulate(body, headers, "pipe", colalign=sides, disable_numparse=True)
        before = [self.above.render("md").rstrip("\n")] if self.above else []
        lead = [plain(self.lead)] if self.lead else []
        notes = [bullets(self.notes)] if self.notes else []
        origin = [plain(self.origin)] if self.origin else []
        return "\n\n".join([*before, f"### {plain(caption(self))}", *origin, *lead, table, *notes]) + "\n"

    def as_rst(self) -> str:
        """The table alone as a list table of reStructuredText; "" without rows."""
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [[column.header for column in self.columns], *self.rows]:
            lines += [f"   {'* -' if number == 0 else '  -'} {rst(text)}" for number, text in enumerate(row)]
        return "\n".join(lines) + "\n" if len(self.data) else ""

    def write(self, **paths: str) -> None:
        """Write the grid to a file of each format that is named."""
        for file_format, path in paths.items():
            write_text(path, self.render(file_format))
