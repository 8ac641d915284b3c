"""What captions say of a table and of the claims: the right rows, with their numbers."""

from __future__ import annotations

import dataclasses

from sqljudge.report.notes import findings
from sqljudge.report.specs import SPECS
from sqljudge.report.table import Cell, Column, Row, Table

ALL = (Column("EX", "Easy", decimals=1, better="high"), Column("EX", "All", decimals=1, better="high"))
RANK = Column("Ranking", "AUROC", unit="0–1", decimals=3, better="high")
LENGTH = Column("Text", "Words", better=None)


def cell(value: float | None, n: int | None = 60) -> Cell:
    if value is None:
        return Cell()
    return Cell(value, value - 1, value + 1, n, status="ok")


def table(columns: tuple[Column, ...], *rows: tuple[str, list[float | None]], gold: str = "") -> Table:
    made = tuple(Row((name, "–"), tuple(map(cell, values)), uses_gold=name == gold) for name, values in rows)
    return Table("t", "T", ("Who", "How"), columns, made)


def test_the_best_and_the_worst_of_the_column_of_all_questions() -> None:
    found = findings(table(ALL, ("a_1", [9.0, 50.0]), ("b", [1.0, 40.0]), ("c", [5.0, 45.0])))
    assert found == (
        "In this run EX is highest for *a\\_1*, 50.0 % [49.0, 51.0] (n = 60), "
        "and lowest for *b*, 40.0 % [39.0, 41.0] (n = 60)."
    )


def test_an_oracle_is_left_out() -> None:
    assert "oracle" not in findings(table(ALL, ("oracle", [9.0, 99.0]), ("b", [1.0, 40.0]), gold="oracle"))


def test_one_row_is_given_as_it_is() -> None:
    assert (
        findings(table((RANK,), ("a", [0.5])))
        == "In this run AUROC (Ranking) of *a* is 0.500 [-0.500, 1.500] (n = 60)."
    )


def test_rows_that_are_equal_as_shown_compete_for_nothing() -> None:
    assert findings(table(ALL, ("a", [1.0, 50.01]), ("b", [1.0, 50.02]))) == "In this run EX is 50.0 % in every row."


def test_columns_without_a_good_direction_and_rows_not_run_are_not_spoken_of() -> None:
    rows = (("a", [None, 0.5]), ("b", [None, 0.4]))
    assert findings(table((ALL[0], RANK), *rows)).startswith("In this run AUROC (Ranking) is highest for *a*")
    assert findings(table((LENGTH,), ("a", [1.0]))) == "In this run nothing of it has been measured."


def test_of_the_adaptive_table_what_is_saved_and_lost_is_spoken_of() -> None:
    columns = (Column("Full thought", "Tokens", better="low"), Column("Adaptive", "Saved", decimals=1, better="high"))
    spoken_of = SPECS["adaptive"].spoken_of
    found = findings(dataclasses.replace(table(columns, ("a", [90.0, 40.0])), spoken_of=spoken_of))
    assert found == "In this run Saved (Adaptive) of *a* is 40.0 % [39.0, 41.0] (n = 60)."
