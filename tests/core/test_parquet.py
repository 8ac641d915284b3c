"""Judgments go through a Parquet file unchanged; a damaged file is one line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import Judgment

YES_NO = Judgment(3, "SELECT 1;", p_yes=0.1234567890123, prompt_tokens=7)
REASONED = Judgment(4, "SELECT 'é';", None, "Hm 😀", (5, 2**31 - 1, 7), (-0.5, -1.25, 0.0), (2, 3, 4), "stop", 512, 80)


def test_judgments_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "j.parquet"
    write_judgments(path, [YES_NO, REASONED, YES_NO])
    assert read_judgments(path) == [YES_NO, REASONED, YES_NO]
    assert path.stat().st_mode & 0o777 == 0o644


def test_no_judgments(tmp_path: Path) -> None:
    write_judgments(tmp_path / "j.parquet", [])
    assert read_judgments(tmp_path / "j.parquet") == []


def test_half_a_surrogate_pair_keeps_its_place(tmp_path: Path) -> None:
    write_judgments(tmp_path / "j.parquet", [Judgment(1, "x;", response="a\ud83db")])
    assert read_judgments(tmp_path / "j.parquet")[0].response == "a\ufffdb"


def test_the_same_judgments_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_judgments(tmp_path / name, [YES_NO, REASONED])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "j.parquet"
    write_judgments(path, [YES_NO])
    with pytest.raises(pa.ArrowException):
        write_judgments(path, [Judgment("not a number", "x;")])  # type: ignore[arg-type]
    assert read_judgments(path) == [YES_NO]
    assert [file.name for file in tmp_path.iterdir()] == ["j.parquet"]


def refused(path: Path) -> str:
    with pytest.raises(DataError) as error:
        read_judgments(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("p_yes", [float("nan"), float("inf"), 1.5, -0.1])
def test_a_probability_that_is_none(tmp_path: Path, p_yes: float) -> None:
    write_judgments(tmp_path / "j.parquet", [YES_NO, Judgment(3, "x;", p_yes=p_yes)])
    assert "question 3, 'x;': p_yes is" in refused(tmp_path / "j.parquet")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "delete it and re-run" in refused(tmp_path / "none.parquet")


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_file(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "j.parquet"
    write_judgments(path, [REASONED])
    path.write_bytes(path.read_bytes()[:keep])
    assert "not a whole judgments file" in refused(path)


@pytest.mark.parametrize("columns", [{"question_id": [1]}, {"other": ["x"]}])
def test_a_file_of_something_else(tmp_path: Path, columns: dict[str, list[object]]) -> None:
    path = tmp_path / "j.parquet"
    pq.write_table(pa.table(columns), path)
    assert "other columns" in refused(path)


def test_a_file_with_other_types(tmp_path: Path) -> None:
    path = tmp_path / "j.parquet"
    write_judgments(path, [YES_NO])
    table = pq.read_table(path)
    column = table.schema.get_field_index("question_id")
    pq.write_table(table.set_column(column, "question_id", pa.array(["three"])), path)
    assert "not a whole judgments file" in refused(path)
