"""The command that reads the official evaluator's files."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from clock import HANGS
from sqljudge.cli.evaluate import _parser, main
from sqljudge.cli.pairs import read_pairs
from sqljudge.sql.official.matching import COMPONENTS

DATA = Path(__file__).parents[1] / "data" / "evaluator"
WORKFLOW = Path(__file__).parents[2] / "workflow"
GOLD = "SELECT name FROM animal WHERE age > 3"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """gold.sql, pred.sql and a folder of databases: zoo, and an empty copy of it."""
    script = (DATA / "zoo.sql").read_text(encoding="utf-8")
    for name, filled in (("zoo", True), ("void", False)):
        (tmp_path / "db" / name).mkdir(parents=True)
        with sqlite3.connect(tmp_path / "db" / name / f"{name}.sqlite") as db:
            db.executescript(script if filled else script.split("INSERT")[0])
        db.close()
    (entry,) = json.loads((DATA / "tables.json").read_text(encoding="utf-8"))
    (tmp_path / "tables.json").write_text(json.dumps([entry, {**entry, "db_id": "void"}]))
    lines(
        tmp_path / "gold.sql",
        f"{GOLD}\tzoo",
        "SELECT count(*) FROM keeper\tzoo",
        "SELECT DISTINCT kind FROM animal\tzoo",
    )
    lines(tmp_path / "pred.sql", f"{GOLD}", "SELECT count(*) FROM feeds", "SELECT kind FROM animal")
    return tmp_path


def lines(path: Path, *some: str) -> None:
    path.write_text("".join(f"{line}\n" for line in some), encoding="utf-8")


def run(files: Path, *options: str, etype: str = "all") -> int:
    return main(
        [
            *("--gold", str(files / "gold.sql"), "--pred", str(files / "pred.sql"), "--db", str(files / "db")),
            *("--table", str(files / "tables.json"), "--etype", etype, "--workers", "1", *options),
        ]
    )


def table_row(text: str, name: str, at: int = 0) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"{name} ")][at][20:].split()


def test_table_csv_and_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, "--csv", str(files / "o.csv"), "--json", str(files / "o.json")) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["easy", "medium", "hard", "extra", "all"]
    assert table_row(out, "count") == ["3", "0", "0", "0", "3"]
    assert table_row(out, "execution") == ["0.667", "0.000", "0.000", "0.000", "0.667"]
    assert table_row(out, "exact match") == ["0.667", "0.000", "0.000", "0.000", "0.667"]
    assert [table_row(out, "select", at)[0] for at in range(3)] == ["1.000", "1.000", "1.000"]
    assert "execution: EX (one database)" in out
    with (files / "o.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    parts = ("acc", "rec", "f1", "gold", "pred")
    names = [f"{component}.{part}" for component in COMPONENTS for part in parts]
    assert list(rows[0]) == ["db_id", "hardness", "parsed", "exact", "exec", *names]
    assert [(row["exact"], row["exec"]) for row in rows] == [("1", "1"), ("0", "0"), ("1", "1")]
    assert [rows[0][f"where.{part}"] for part in parts] == ["1"] * 5
    report = json.loads((files / "o.json").read_text())
    assert (report["execution_metric"], report["questions"], report["notes"]) == (
        "EX",
        3,
        ["execution: EX (one database)"],
    )
    assert report["metrics"]["all"]["ex"] == {"value": pytest.approx(2 / 3), "n": 3}
    assert report["per_question"][1]["reason"] == "other result"


def test_keep_distinct(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, "--keep_distinct", etype="exec") == 0
    out = capsys.readouterr().out
    assert table_row(out, "execution")[0] == "0.333"
    assert "exact match" not in out


def test_match_needs_no_database_and_exec_no_schema(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = ["--gold", str(files / "gold.sql"), "--pred", str(files / "pred.sql")]
    assert main([*pair, "--etype", "match", "--table", str(files / "tables.json")]) == 0
    assert "execution" not in capsys.readouterr().out
    assert main([*pair, "--etype", "exec", "--db", str(files / "db"), "--csv", str(files / "o.csv")]) == 0
    assert table_row(capsys.readouterr().out, "execution")[0] == "0.667"
    assert (files / "o.csv").read_text().splitlines()[1].startswith("zoo,easy,,,1,,")


def test_the_official_programs_shortest_command(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It scores execution, and needs no schemas."""
    pair = [f"--gold={files / 'gold.sql'}", f"--pred={files / 'pred.sql'}"]
    assert main([*pair, f"--db={files / 'db'}"]) == 0
    out = capsys.readouterr().out
    assert table_row(out, "execution")[0] == "0.667"
    assert "exact match" not in out
    assert main([*pair, "--db", str(files / "db"), "--etype", "exec", "--progress_bar_for_each_datapoint"]) == 0
    assert capsys.readouterr().out == out


def test_options_and_defaults_are_the_official_programs() -> None:
    official = {
        "gold": None,
        "pred": None,
        "db": None,
        "table": None,
        "etype": "exec",
        "plug_value": False,
        "keep_distinct": False,
        "progress_bar_for_each_datapoint": False,
    }
    parser = _parser()
    for action in parser._actions:
        if action.dest in official:
            assert action.option_strings == [f"--{action.dest}"]
            assert action.default == official.pop(action.dest)
            assert action.dest != "etype" or action.choices == ("all", "exec", "match")
    assert official == {}


@pytest.mark.parametrize("marked", ["gold.sql", "pred.sql", "tables.json"])
def test_files_with_a_byte_order_mark(files: Path, capsys: pytest.CaptureFixture[str], marked: str) -> None:
    """In a prediction it would make the query wrong, without a word."""
    assert run(files) == 0
    before = capsys.readouterr().out
    text = (files / marked).read_text(encoding="utf-8")
    (files / marked).write_text(text, encoding="utf-8-sig")
    assert run(files) == 0
    assert capsys.readouterr().out == before
    for encoding in ("utf-16", "utf-16-le"):
        (files / marked).write_text(text, encoding=encoding)
        assert run(files) == 1
        assert capsys.readouterr().err == (
            f"error: {files / marked}: not UTF-8 text but UTF-16 or UTF-32; save the file as UTF-8\n"
        )


def test_a_test_suite_is_used_and_named(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(files / "db" / "zoo" / "zoo_v2.sqlite") as db:
        db.executescript((DATA / "zoo.sql").read_text(encoding="utf-8") + "INSERT INTO Feeds VALUES (3, 1, 1);")
    db.close()
    lines(files / "pred.sql", "SELECT name FROM animal WHERE age > 4", "SELECT 3", "SELECT kind FROM animal")
    assert run(files) == 0
    out = capsys.readouterr().out
    assert table_row(out, "execution")[0] == "1.000"
    assert "execution: TS (test suite of several databases)" in out


def test_databases_without_rows_are_left_out_unless_asked_for(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines(files / "gold.sql", f"{GOLD}\tzoo", f"{GOLD}\tvoid")
    lines(files / "pred.sql", "SELECT 1", "SELECT name FROM keeper")
    assert run(files) == 0
    out = capsys.readouterr().out
    assert table_row(out, "execution")[0] == "0.000"
    assert "execution: 1 questions left out: the database holds no rows" in out
    assert run(files, "--score_empty_databases") == 0
    assert table_row(capsys.readouterr().out, "execution")[0] == "0.500"


def test_dialogues(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines(files / "gold.sql", f"{GOLD}\tzoo", f"{GOLD}\tzoo", "", "", f"{GOLD}\tzoo", "")
    lines(files / "pred.sql", "", GOLD, "SELECT 1", "", GOLD)
    assert run(files) == 0
    out = capsys.readouterr().out
    assert table_row(out, "count") == ["3", "0", "0", "0", "3", "2"]
    assert table_row(out, "execution")[-2:] == ["0.667", "0.500"]
    assert table_row(out, "count", 1) == ["2", "1", "0", "0", "0"]
    assert table_row(out, "exact match", 1) == ["1.000", "0.000", "0.000", "0.000", "0.000"]


def test_think2sql(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, "--think2sql", "--json", str(files / "o.json")) == 0
    assert "Think2SQL refined_ex: 0.333" in capsys.readouterr().out
    report = json.loads((files / "o.json").read_text())
    assert report["per_question"][2]["think2sql"]["tuple_cardinality"] == 0.5
    assert report["think2sql"]["cell_recall"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("gold", "pred", "options", "message"),
    [
        ("", "SELECT 1\n", [], "gold.sql: holds no query"),
        (f"{GOLD}\tzoo\n", "\n\n", [], "pred.sql: holds no query"),
        (f"{GOLD}\tzoo\n", "SELECT 1\nSELECT 2\n", [], "gold.sql holds 1 queries and .*pred.sql 2"),
        (f"{GOLD}\tzoo\n\n{GOLD}\tzoo\n", "SELECT 1\nSELECT 2\n", [], "do not break into dialogues at the same lines"),
        (f"{GOLD}\n", "SELECT 1\n", [], "gold.sql, line 1: expected a query, one tab and a db_id"),
        (f"{GOLD}\tzoo\n{GOLD}\tnowhere\n", "SELECT 1\nSELECT 2\n", [], "line 2: the database 'nowhere' is not in"),
        (
            f"{GOLD}\tzoo\n",
            "SELECT 1\n",
            ["--db", "no_such_folder"],
            "line 1 .*no_such_folder/zoo/zoo.sqlite: no such data",
        ),
        ("SELECT x FROM y\tzoo\n", "SELECT 1\n", [], "line 1"),
        (f"{GOLD}\tzoo\n", "SELECT 1\n", ["--plug_value"], "--plug_value is not supported"),
        (f"{GOLD}\tzoo\n", "SELECT 1\n", ["--rows", "0"], "limit rows=0"),
        (f"{GOLD}\tzoo\n", "SELECT 1\n", ["--table", "no_such_file"], "no_such_file: cannot be read"),
    ],
)
def test_errors_are_one_clear_line(
    files: Path, capsys: pytest.CaptureFixture[str], gold: str, pred: str, options: list[str], message: str
) -> None:
    (files / "gold.sql").write_text(gold)
    (files / "pred.sql").write_text(pred)
    assert run(files, *options) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert re.search(message, captured.err)


def test_predictions_may_hold_any_bytes(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "pred.sql").write_bytes(b"SELECT '\xff'\nSELECT \0\r\nSELECT 'a\xe2\x80\xa8b'\tnot read\n")
    assert [pair.pred_sql for pair in read_pairs(files / "gold.sql", files / "pred.sql")][2] == "SELECT 'a\u2028b'"
    assert run(files, "--json", str(files / "o.json"), "--csv", str(files / "o.csv"), "--think2sql") == 0
    assert table_row(capsys.readouterr().out, "execution")[0] == "0.000"


def test_it_runs_as_a_module(files: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sqljudge", "evaluate", "--gold", files / "gold.sql", "--pred", files / "pred.sql",
         "--db", files / "db", "--table", files / "tables.json", "--etype", "all"],
        cwd=WORKFLOW, capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert table_row(done.stdout, "execution")[-1] == "0.667"
