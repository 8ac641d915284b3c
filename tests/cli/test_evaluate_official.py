"""Agreement with the official evaluator, case by case: our own hand-written pairs, and the reference cases if there.

The scores of both come from the official program.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqljudge.sql.official.matching import match
from sqljudge.sql.official.schema import Schema, load_schemas
from sqljudge.sql.sandbox import MatchJob, Sandbox
from sqljudge.sql.text import normalize_sql

DATA = Path(__file__).parents[1] / "data" / "evaluator"
SHARED = Path(__file__).parents[3] / "shared"

Case = dict[str, Any]


def clause_disagreements(cases: Sequence[Case], schemas: Mapping[str, Schema]) -> list[str]:
    """Every field of every case on which clauses, components or hardness differ from what the case says."""
    found = []
    for case in cases:
        ours = match(case["gold"], case["pred"], schemas[case["db_id"]])
        partial = {name: list(component) for name, component in ours.partial.items()}
        pairs = {
            "hardness": (ours.hardness, case["hardness"]),
            "parsed": (ours.parsed, case["parsed"]),
            "exact": (int(ours.exact), case["exact"]),
            **{name: (partial.get(name), numbers) for name, numbers in case["partial"].items()},
        }
        found += [f"{field}: {us} not {them}: {case}" for field, (us, them) in pairs.items() if us != them]
    return found


def execution_disagreements(cases: Sequence[Case], databases: Path) -> list[str]:
    """Every case whose execution match differs from what the case says; cases without a verdict are left out."""
    decided = [case for case in cases if case["exec"] is not None]
    files = {case["db_id"]: (databases / case["db_id"] / f"{case['db_id']}.sqlite",) for case in decided}
    with Sandbox(2) as sandbox:
        ours = sandbox.match([MatchJob(files[case["db_id"]], case["gold"], case["pred"]) for case in decided])
    return [f"{us}: {case}" for us, case in zip(ours, decided, strict=True) if us.correct is not bool(case["exec"])]


@pytest.fixture(scope="module")
def handwritten() -> list[Case]:
    return [json.loads(line) for line in (DATA / "cases.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("databases")
    (folder / "zoo").mkdir()
    with sqlite3.connect(folder / "zoo" / "zoo.sqlite") as db:
        db.executescript((DATA / "zoo.sql").read_text(encoding="utf-8"))
    db.close()
    return folder


def test_the_handwritten_clauses_agree(handwritten: list[Case]) -> None:
    assert len(handwritten) >= 60
    assert clause_disagreements(handwritten, load_schemas(DATA / "tables.json")) == []


def test_the_handwritten_executions_agree(handwritten: list[Case], databases: Path) -> None:
    assert execution_disagreements(handwritten, databases) == []


def test_a_wrong_case_is_found(handwritten: list[Case], databases: Path) -> None:
    """So that agreement is not an empty word."""
    case = handwritten[0]
    wrong = {**case, "exact": 0, "exec": 0, "partial": {**case["partial"], "select": [1, 1, 1, 1, 2]}}
    assert len(clause_disagreements([wrong], load_schemas(DATA / "tables.json"))) == 2
    assert len(execution_disagreements([wrong], databases)) == 1


reference = pytest.mark.skipif(
    not (SHARED / "evaluator" / "official_scores.jsonl.gz").is_file(),
    reason="the reference cases of the official evaluator are not beside the repository",
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    with gzip.open(SHARED / "evaluator" / "official_scores.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@reference
def test_all_reference_clauses_agree(cases: list[Case]) -> None:
    dev, train = (SHARED / "spider" / "tables.json"), (SHARED / "evaluator" / "train_tables.json")
    assert clause_disagreements(cases, load_schemas(dev) | load_schemas(train)) == []


@reference
def test_all_reference_executions_agree(cases: list[Case]) -> None:
    assert execution_disagreements(cases, SHARED / "spider" / "database") == []


@reference
def test_the_normal_form_of_every_reference_query_is_scored_as_the_query(cases: list[Case]) -> None:
    normal = [{**case, "gold": normalize_sql(case["gold"]), "pred": normalize_sql(case["pred"])} for case in cases]
    assert execution_disagreements(normal, SHARED / "spider" / "database") == []
