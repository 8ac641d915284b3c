"""A table of text: a frame for a program, and how a person sees each column, in four formats. Knows no metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tabulate import tabulate

from sqljudge.core.records import write_text
from sqljudge.report.text import bullets, caption, check_format, number, plain, template

Row = Mapping[Any, Any]
"""A row's values by the names of the frame's columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a person sees.

    `value`: a column of the frame, or a function from a row to its text. `align`: "l" or "r" for its side, "w" for
    text at the left that may wrap. `missing`: what stands for None.
    """

    header: str
    value: str | Callable[[Row], str]
    align: str = "l"
    missing: str = "none"

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

    `about`: what it is of, in a line under its title.
    """

    name: str
    title: str
    data: pd.DataFrame
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    about: str = ""

    @property
    def rows(self) -> list[list[str]]:
        """The text of every cell, row by row."""
        return [[column.text(row) for column in self.columns] for row in self.data.to_dict("records")]

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
        body = [[plain(text) for text in row] for row in self.rows]
        sides = ["right" if column.align == "r" else "left" for column in self.columns]
        headers = [plain(column.header) for column in self.columns]
        table = tabulate(body, headers, "pipe", colalign=sides, disable_numparse=True)
        notes = [bullets(self.notes)] if self.notes else []
        about = [plain(self.about)] if self.about else []
        return "\n\n".join([f"### {plain(caption(self))}", *about, table, *notes]) + "\n"

    def write(self, **paths: str) -> None:
        """Write the grid to a file of each format that is named."""
        for file_format, path in paths.items():
            write_text(path, self.render(file_format))
