"""Time the evaluator: fresh processes, start-up included, on one core and on two, beside the official program's cost.

The reference cases are used if they lie beside the repository, else the hand-written ones, many times over.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
DATA = ROOT / "tests" / "data" / "evaluator"
OFFICIAL_CLAUSES_MS = 0.3
OFFICIAL_EXECUTION_MS = 1.8
"""Milliseconds a pair that the official program took, on one core of a two-core machine."""

Case = dict[str, Any]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each kind (default: 5)")
    parser.add_argument("--once", type=int, metavar="WORKERS", help="only score all cases, with so many workers")
    parser.add_argument("--databases", type=Path, help="with --once: the folder of the databases")
    options = parser.parse_args()
    if options.once:
        score_all(options.once, options.databases)
        return
    with tempfile.TemporaryDirectory() as folder:
        databases = SHARED / "spider" / "database" if has_reference() else hand_made(Path(folder))
        compare_programs(options.repeats, databases)
    compare_results()


def compare_programs(repeats: int, databases: Path) -> None:
    """Whole runs on one and on two cores."""
    cases = load_cases()
    executed = sum(case["exec"] is not None for case in cases)
    official = (len(cases) * OFFICIAL_CLAUSES_MS + executed * OFFICIAL_EXECUTION_MS) / 1000
    print(f"{len(cases)} pairs, {executed} of them executed; the official program: about {official:.1f} s on one core")
    for workers in (1, 2):
        command = [sys.executable, __file__, "--once", str(workers), "--databases", str(databases)]
        seconds = sorted(timed(command, workers) for _ in range(repeats))
        share = median(seconds) / official
        spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
        print(f"{workers} core(s): {median(seconds):.2f} s ({spread}, {repeats} runs), {share:.0%} of the official one")


def timed(command: list[str], cores: int) -> float:
    """Wall seconds of a command held to so many cores, where the system can do that."""
    pin = ["taskset", "-c", ",".join(map(str, range(cores)))] if shutil.which("taskset") else []
    started = time.perf_counter()
    subprocess.run([*pin, *command], check=True)
    return time.perf_counter() - started


def score_all(workers: int, databases: Path) -> None:
    """Everything that the evaluator says of all cases."""
    sys.path.insert(0, str(ROOT / "workflow"))
    from sqljudge.sql.official.matching import match
    from sqljudge.sql.official.schema import Schema, load_schemas
    from sqljudge.sql.sandbox import MatchJob, Sandbox

    cases = load_cases()
    tables = [SHARED / "spider" / "tables.json", SHARED / "evaluator" / "train_tables.json"]
    schemas: dict[str, Schema] = {}
    for path in tables if has_reference() else [DATA / "tables.json"]:
        schemas |= load_schemas(path)
    with Sandbox(workers) as sandbox:
        jobs = [
            MatchJob((databases / case["db_id"] / f"{case['db_id']}.sqlite",), case["gold"], case["pred"])
            for case in cases
            if case["exec"] is not None
        ]
        sandbox.match(jobs)
    for case in cases:
        match(case["gold"], case["pred"], schemas[case["db_id"]])


def compare_results() -> None:
    """The comparison of two large results whose columns hold equal values."""
    sys.path.insert(0, str(ROOT / "workflow"))
    from sqljudge.sql.official.execution import results_equal

    chance = random.Random(7)
    for values in (1, 2, 100, 10_000):
        column = [i % values for i in range(10_000)]
        gold = list(zip(*(chance.sample(column, len(column)) for _ in range(12)), strict=True))
        order = chance.sample(range(12), 12)
        pred = [tuple(row[i] for i in order) for row in chance.sample(gold, len(gold))]
        started = time.perf_counter()
        equal = results_equal(gold, pred, ordered=False)
        seconds = time.perf_counter() - started
        print(f"12 columns of {values} equal values, 10,000 rows: {'equal' if equal else 'DIFFERENT'}, {seconds:.2f} s")


def has_reference() -> bool:
    """Whether the reference cases are there."""
    return (SHARED / "evaluator" / "official_scores.jsonl.gz").is_file()


def load_cases() -> list[Case]:
    """The reference cases, or the hand-written ones a hundred times over, each time with another text."""
    if has_reference():
        with gzip.open(SHARED / "evaluator" / "official_scores.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    cases = [json.loads(line) for line in (DATA / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{**case, "pred": case["pred"] + " " * at} for at in range(100) for case in cases]


def hand_made(folder: Path) -> Path:
    """A folder with the database of the hand-written cases."""
    (folder / "zoo").mkdir()
    with sqlite3.connect(folder / "zoo" / "zoo.sqlite") as db:
        db.executescript((DATA / "zoo.sql").read_text(encoding="utf-8"))
    db.close()
    return folder


if __name__ == "__main__":
    main()
