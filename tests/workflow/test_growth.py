"""The benchmark of growth: a small one of the real workflow, and how its figures are fitted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from clock import HANGS
from harness import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import growth

SIZES = [(400, 5), (1000, 5), (1034, 5)]


@pytest.mark.parametrize(
    ("values", "power"),
    [
        ([400, 1000, 1034], "1.00"),
        ([400**2, 1000**2, 1034**2], "2.00"),
        ([7, 7, 7], "0.00"),
        ([None, 100.0, 103.4], "1.00"),
        ([None, None, 5], "-"),
    ],
)
def test_the_power_of_a_growth(values: Sequence[float | None], power: str) -> None:
    assert growth.power(SIZES, values) == power


def test_a_table_has_a_row_for_each_figure() -> None:
    last = list(growth.MEASURES)[-1]
    found = [{name: float(a * b) for name in growth.MEASURES if name != last} for a, b in SIZES]
    lines = growth.table(SIZES, found).splitlines()
    assert lines[0] == "| | 400 x 5 | 1,000 x 5 | 1,034 x 5 | grows with the power |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in growth.MEASURES]
    assert lines[-1] == f"| {last} | not measured | not measured | not measured | - |"


def test_a_project_of_a_size(tmp_path: Path) -> None:
    growth.write_project(tmp_path, 130, 7)
    asked = json.loads((tmp_path / "data/dev.json").read_text(encoding="utf-8"))
    assert len({(each["db_id"], each["question"]) for each in asked}) == 130
    assert len({each["db_id"] for each in asked}) > 3
    script = json.loads((tmp_path / "script.json").read_text(encoding="utf-8"))
    lists = [rule["response"] for rule in script if rule["match"].startswith("Question")]
    assert [len(set(one)) for one in lists] == [7] * len(lists)


@pytest.mark.slow
def test_a_small_run_is_measured() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "growth.py"), "--sizes", "4x2", "--cores", "2"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=HANGS, check=True)
    rows = dict(line.strip("| ").split(" | ")[:2] for line in done.stdout.splitlines()[2:])
    assert list(rows) == list(growth.MEASURES)
    assert float(rows["jobs"]) > 50
    assert float(rows["requests in the journal"]) >= 4 * 2 * 7, "one generator's samples, judged by six"
    assert all(float(rows[name]) > 0 for name in rows if rows[name] != "not measured")
