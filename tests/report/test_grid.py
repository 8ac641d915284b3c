"""Tables of text: what a program reads is exact, what a person reads is set by each column, and no text escapes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sqljudge.core.errors import ConfigError
from sqljudge.core.provenance import closure
from sqljudge.report.grid import Column, Grid
from sqljudge.report.text import FORMATS, number, signed

DATA = pd.DataFrame(
    [{"claim": "a | b < c", "n": 1234, "p": 0.123456789}, {"claim": "", "n": None, "p": None}], dtype=object
)
COLUMNS = (
    Column("Claim", "claim", "w"),
    Column("n", "n", "r"),
    Column("p", "p", "r", missing="–"),
    Column("Twice", lambda row: f"{2 * (row['n'] or 0)}", "r"),
)
GRID = Grid("claims", "The claims", DATA, COLUMNS, ("A note_.",))


def test_a_program_reads_the_frame_with_whole_numbers_and_six_decimals() -> None:
    assert GRID.render("csv") == "claim,n,p\na | b < c,1234,0.123457\n,,\n"


def test_a_person_reads_what_the_columns_say() -> None:
    assert GRID.rows == [["a | b < c", "1,234", "0.1", "2468"], ["", "none", "–", "0"]]


def test_every_format_has_the_text_as_text() -> None:
    assert r"| a \| b \< c | 1,234 | 0.1 |    2468 |" in GRID.render("md")
    assert GRID.render("md").endswith("\n\n- A note\\_.\n")
    cells = '<td data-head="Claim" class="wraps">a | b &lt; c</td>\n<td data-head="n" class="num">1,234</td>'
    assert cells in GRID.render("html")
    assert r"a \textbar{} b" in GRID.render("tex")
    assert r"\begin{tabular}{p{0.18\linewidth}rrr}" in GRID.render("tex")


def test_a_grid_without_rows_or_notes_renders() -> None:
    empty = Grid("none", "Nothing", DATA.head(0), COLUMNS)
    assert empty.render("csv") == "claim,n,p\n"
    for form in FORMATS[1:]:
        assert "Twice" in empty.render(form)


def test_unknown_format() -> None:
    with pytest.raises(ConfigError, match="'docx': not known; choose one of csv, md, tex, html"):
        GRID.render("docx")


def test_each_format_is_written_to_its_file(tmp_path: Path) -> None:
    GRID.write(csv=str(tmp_path / "a/t.csv"), html=str(tmp_path / "t.html"))
    assert (tmp_path / "a/t.csv").read_text(encoding="utf-8") == GRID.render("csv")
    assert (tmp_path / "t.html").read_text(encoding="utf-8") == GRID.render("html")


def test_numbers_have_no_negative_zero_and_differences_a_sign() -> None:
    assert [number(value, 1) for value in (-0.04, 0.0, 1234.56, -1.25)] == ["0.0", "0.0", "1234.6", "-1.2"]
    assert [signed(value, 1) for value in (-0.04, 0.04, 2.0, -2.0)] == ["0.0", "0.0", "+2.0", "-2.0"]


def test_the_templates_are_part_of_the_code_of_every_page() -> None:
    assert all("report" in closure([module]) for module in ("report.costs", "report.claims", "report.render"))
