"""What a dataset's format declares, and that stages take it from there: files, levels, knowledge, names, comparison."""

from __future__ import annotations

import json
import sqlite3
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from metric_files import experiment, place
from sqljudge.core.errors import DataError
from sqljudge.core.records import Candidate, CandidateSet, Question, Selection
from sqljudge.data import datasets
from sqljudge.data.datasets import BIRD, FORMATS, DatasetFormat, load_questions, schema_text
from sqljudge.data.sample import sample_questions
from sqljudge.data.staging import stage_dataset
from sqljudge.experiments.config import ROOT
from sqljudge.metrics.end_to_end import evaluate_selections
from sqljudge.models.engines.base import Prompt
from sqljudge.report.cells import Results, build_table
from sqljudge.report.claims import claims_grid, evaluate_claims
from sqljudge.report.notes import EXECUTION_ACCURACY
from sqljudge.report.specs import SPECS
from sqljudge.report.words import question_summary
from sqljudge.sql.official.execution import COMPARISONS, same_rows
from sqljudge.sql.official.schema import Schema
from sqljudge.sql.text import RESERVED, name_text, normalize_sql
from sqljudge.stages.execute import execute_candidates, group_results
from sqljudge.stages.prompts import Framing, fill, read_template

ENTRY: dict[str, Any] = {
    "db_id": "shop",
    "table_names_original": ["item", "Price List"],
    "column_names_original": [[-1, "*"], [0, "ID"], [0, "Free Meal (%)"], [1, "Order"], [1, "item_id"]],
    "foreign_keys": [[4, 1]],
}
ROW: dict[str, Any] = {
    "question_id": 7,
    "db_id": "shop",
    "question": "How many cheap items?",
    "evidence": "cheap means `Free Meal (%)` < 3",
    "SQL": "SELECT COUNT(*) FROM item WHERE `Free Meal (%)` < 3",
    "difficulty": "moderate",
}
PUBLISHED = json.loads((ROOT / "resources/published.json").read_text(encoding="utf-8"))


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE item (ID INTEGER, `Free Meal (%)` REAL)")
        connection.execute("CREATE TABLE `Price List` (`Order` TEXT, item_id INTEGER)")
        connection.executemany("INSERT INTO item VALUES (?, ?)", [(n, n % 4) for n in range(12)])
        connection.execute("INSERT INTO `Price List` VALUES ('Free Meal (%)', 1)")
    connection.close()
    return path


def source(folder: Path, *rows: dict[str, Any]) -> Path:
    """A folder in BIRD's layout."""
    write(folder / "dev.json", list(rows) or [ROW])
    write(folder / "dev_tables.json", [ENTRY])
    database(folder / "dev_databases/shop/shop.sqlite")
    return folder


def zipped(folder: Path, archive: Path, *, below: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.write(path, f"{below}{path.relative_to(folder)}")
    return archive


# --- every format -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset_format", FORMATS.values(), ids=list(FORMATS))
def test_what_a_format_names_exists(dataset_format: DatasetFormat) -> None:
    assert dataset_format.comparison in COMPARISONS
    assert dataset_format.comparison in EXECUTION_ACCURACY
    assert (ROOT / dataset_format.published).is_file()


def test_the_recipe_for_a_format_of_ones_own_works_as_it_is_written(tmp_path: Path) -> None:
    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    recipe = dict(vars(datasets))
    exec(textwrap.dedent(page.split("```python\n")[1].split("```")[0]), recipe)
    assert {**FORMATS, "graded": recipe["GRADED"]} == recipe["FORMATS"]
    lines = Path(str(datasets.__file__)).read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("FORMATS") for line in lines) == 1
    tables = write(tmp_path / "tables.json", [ENTRY])
    row = {"db_id": "shop", "question": "How many?", "sql": "SELECT 1", "grade": "B", "hint": "count them"}
    (question,) = load_questions(write(tmp_path / "dev.json", [row]), tables, recipe["GRADED"])
    assert (question.hardness, question.knowledge, question.gold_sql) == ("B", "count them", "SELECT 1")
    with pytest.raises(DataError, match="question 0: grade is 'D'; it must be one of A, B, C"):
        load_questions(write(tmp_path / "dev.json", [{**row, "grade": "D"}]), tables, recipe["GRADED"])


# --- files ------------------------------------------------------------------------------------------------------------


def as_folder(folder: Path) -> Path:
    return folder


def as_zip(folder: Path) -> Path:
    return zipped(folder, folder.parent / "dev.zip", below="dev_20240627/")


def with_nested_zip(folder: Path) -> Path:
    databases = folder / "dev_databases"
    zipped(databases, folder / "dev_databases.zip", below="dev_databases/")
    (databases / "shop/shop.sqlite").unlink()
    (databases / "shop").rmdir()
    databases.rmdir()
    return folder


def with_bare_nested_zip(folder: Path) -> Path:
    whole = with_nested_zip(folder)
    (whole / "dev_databases.zip").unlink()
    database(folder.parent / "bare/shop/shop.sqlite")
    zipped(folder.parent / "bare", whole / "dev_databases.zip")
    return whole


def as_zip_in_zip(folder: Path) -> Path:
    return as_zip(with_nested_zip(folder))


@pytest.mark.parametrize("packed", [as_folder, as_zip, with_nested_zip, with_bare_nested_zip, as_zip_in_zip])
def test_birds_layout_is_staged_from_folders_and_archives(packed: Callable[[Path], Path], tmp_path: Path) -> None:
    target = tmp_path / "staged"
    assert stage_dataset(packed(source(tmp_path / "own")), target, dataset_format=BIRD) == ["shop"]
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()) == [
        "database/shop/shop.sqlite",
        "questions.json",
        "tables.json",
    ]


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = source(tmp_path / "own")
    with pytest.raises(DataError, match=r"no folder with both dev.json and .*; is it Spider\?"):
        stage_dataset(folder, tmp_path / "out")
    (with_nested_zip(folder) / "dev_databases.zip").unlink()
    with pytest.raises(DataError, match=r"dev_databases/shop/shop\.sqlite is missing; the questions of 'shop' need it"):
        stage_dataset(folder, tmp_path / "out", dataset_format=BIRD)


def test_a_damaged_archive_of_databases_is_named(tmp_path: Path) -> None:
    folder = with_nested_zip(source(tmp_path / "own"))
    (folder / "dev_databases.zip").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match=r"own: dev_databases\.zip: not a zip archive"):
        stage_dataset(folder, tmp_path / "out", dataset_format=BIRD)


# --- questions --------------------------------------------------------------------------------------------------------


def test_a_birds_question_has_its_difficulty_and_its_evidence(tmp_path: Path) -> None:
    folder = source(tmp_path)
    (question,) = load_questions(folder / "dev.json", folder / "dev_tables.json", BIRD)
    text = "-- Table item: id, `free meal (%)`\n-- Table `price list`: `order`, item_id"
    assert question == Question(0, "shop", ROW["question"], ROW["SQL"], text, "moderate", ROW["evidence"])


@pytest.mark.parametrize("empty", ["", None, "  "])
def test_a_question_may_have_no_evidence(tmp_path: Path, empty: str | None) -> None:
    folder = source(tmp_path, {**ROW, "evidence": empty})
    (question,) = load_questions(folder / "dev.json", folder / "dev_tables.json", BIRD)
    assert question.knowledge == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"difficulty": "moderat"}, "question 0: difficulty is 'moderat'; did you mean 'moderate'"),
        ({"difficulty": 3}, "question 0: difficulty is 3; it must be one of simple, moderate, challenging"),
        ({"question": ""}, "question 0: needs the text fields db_id, question and SQL"),
        ({"db_id": "other"}, "question 0: database 'other' is not in"),
    ],
)
def test_a_malformed_question_of_birds(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = source(tmp_path, {**ROW, **change})
    with pytest.raises(DataError, match=said):
        load_questions(folder / "dev.json", folder / "dev_tables.json", BIRD)


def test_the_sample_has_equally_many_of_each_of_the_formats_levels() -> None:
    questions = [Question(i, "shop", "?", "", "", BIRD.levels[i % 3]) for i in range(12)]
    sample = sample_questions(questions, per_hardness=2, seed=1, levels=BIRD.levels)
    assert sorted(question.hardness for question in sample) == sorted([*BIRD.levels, *BIRD.levels])
    with pytest.raises(DataError, match="only 4 usable questions are simple"):
        sample_questions(questions, per_hardness=5, seed=1, levels=BIRD.levels)
    config = {"dataset": {"name": "bird", "format": "bird", "per_hardness": 2}, "seed": 1}
    assert question_summary(config) == "6 questions of ``bird`` (2 of each difficulty, seed 1)"


def test_knowledge_is_a_field_of_prompts(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text("${question} | ${knowledge}\n=== answer ===\nSELECT\n", encoding="utf-8")
    template = read_template(path, required=("question",))
    question = Question(0, "shop", "How many?", "", "", "simple", "cheap: below 3")

    def filled(one: Question) -> Prompt:
        return fill(template, one, framing=Framing("raw"), chat=lambda user, opening: Prompt(user))

    assert filled(question).text == "How many? | cheap: below 3\nSELECT"
    assert filled(Question(0, "shop", "How many?", "", "", "simple")).text == "How many? | none\nSELECT"


# --- names that are no plain words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Order", "free meal", "T(%)", "1st", "naïve", "tick`s", *sorted(RESERVED)])
def test_a_name_as_written_in_the_schema_text_is_a_name_to_sqlite(name: str) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE {name_text(name)} (x, {name_text(name)})")
        connection.execute(f"INSERT INTO {name_text(name)} VALUES (1, 'here')")
        query = f"SELECT {name_text(name)} FROM {name_text(name)} WHERE {name_text(name)} = 'here'"
        assert connection.execute(query).fetchall() == [("here",)]
    connection.close()


def test_plain_names_stay_as_they_are_and_spiders_schema_text_quotes_none() -> None:
    assert name_text("CDSCode") == "cdscode"
    assert schema_text(ENTRY) == "-- Table item: id, free meal (%)\n-- Table price list: order, item_id"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT `Free Meal (%)` FROM Item",
        'SELECT "Free Meal (%)" FROM "item" WHERE "ID" > 3',
        "SELECT [Free Meal (%)] FROM item -- a comment",
        "SELECT T1.`ID` FROM item AS T1 INNER JOIN `Price List` AS T2 ON T1.ID = T2.item_id",
        "SELECT COUNT(*) FROM `Price List` WHERE `Order` = 'Free Meal (%)'",
        'SELECT COUNT(*) FROM "Price List" WHERE "Order" = "Free Meal (%)"',
    ],
)
def test_normalisation_leaves_quoted_names_the_same_query(sql: str, tmp_path: Path) -> None:
    normal = normalize_sql(sql, quoted_names=True)
    assert normalize_sql(normal, quoted_names=True) == normal
    with sqlite3.connect(database(tmp_path / "shop.sqlite")) as connection:
        rows = connection.execute(sql).fetchall()
        assert rows
        assert connection.execute(normal).fetchall() == rows
    connection.close()


def test_where_no_names_are_quoted_double_quotes_hold_values_as_before() -> None:
    assert normalize_sql('select "Name"') == "SELECT 'Name';"
    assert normalize_sql('select "Name"', quoted_names=True) == 'SELECT "Name";'


# --- comparison -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ([(1,), (2,)], [(2,), (1,)], True),
        ([(1,), (1,)], [(1,)], True),
        ([(1, "a")], [("a", 1)], False),
        ([(1,)], [(1.0,)], True),
        ([("1",)], [(1,)], False),
        ([], [], True),
        ([(None,)], [], False),
    ],
)
def test_birds_rule_compares_sets_of_rows(one: list[Any], other: list[Any], equal: bool) -> None:
    assert same_rows(one, other) is equal


GOLD = Question(0, "shop", "?", "SELECT DISTINCT `Free Meal (%)` FROM item", "", "simple")
CANDIDATES = {
    "SELECT `free meal (%)` FROM item ORDER BY id DESC;": (True, None),
    "SELECT DISTINCT `free meal (%)` FROM item LIMIT 3;": (False, None),
    "SELECT nothing FROM item;": (False, None),
    "SELECT `free meal (%)`, id FROM item;": (False, None),
    "SELECT id, `free meal (%)` FROM item;": (False, None),
}


def test_candidates_are_judged_and_grouped_by_the_rule_of_their_dataset(tmp_path: Path) -> None:
    database(tmp_path / "shop/shop.sqlite")
    sqls = [*CANDIDATES, "SELECT DISTINCT `free meal (%)` FROM item;"]
    sets = [CandidateSet(0, tuple(map(Candidate, sqls)))]
    by_rule = {}
    for rule in COMPARISONS:
        runs = execute_candidates([GOLD], sets, tmp_path, comparison=rule)
        groups = group_results([GOLD], sets, runs, tmp_path, comparison=rule)
        by_rule[rule] = [(run.correct, group.group) for run, group in zip(runs, groups, strict=True)]
    assert by_rule["set"] == [(True, 0), (False, 1), (False, None), (False, 3), (False, 4), (True, 0)]
    # Spider's rule strikes DISTINCT from both texts, and takes columns in any order
    assert by_rule["test_suite"] == [(True, 0), (False, 1), (False, None), (False, 3), (False, 3), (True, 5)]


def test_a_gold_query_is_run_as_it_is_written(tmp_path: Path) -> None:
    database(tmp_path / "shop/shop.sqlite")
    gold = Question(0, "shop", "?", "SELECT COUNT(DISTINCT `Free Meal (%)`) FROM item", "", "simple")
    sets = [CandidateSet(0, (Candidate("SELECT 4;"), Candidate("SELECT 12;")))]
    found = {
        rule: [run.correct for run in execute_candidates([gold], sets, tmp_path, comparison=rule)]
        for rule in COMPARISONS
    }
    assert found == {"test_suite": [False, True], "set": [True, False]}


# --- metrics, tables, claims ------------------------------------------------------------------------------------------


def evaluated(**settings: str) -> dict[str, Any]:
    shop = Schema.from_tables_json(ENTRY)
    golds = ["SELECT id FROM item", "SELECT CAST(`Free Meal (%)` AS INT) FROM item", "SELECT id FROM item WHERE id > 3"]
    questions = [Question(i, "shop", "?", golds[i], "", level) for i, level in enumerate(BIRD.levels)]
    chosen = [Selection(i, ";", None, "empty") for i in range(3)]
    found = evaluate_selections(
        questions, chosen, [], {"shop": shop}, levels=BIRD.levels, comparison="set", interval=lambda _: (0.0, 1.0)
    )
    return {"settings": {"planner": "greedy", "generator": "writer", "decoding": "greedy", **settings}, **found}


def test_a_gold_query_beyond_the_official_grammar_is_left_out_of_exact_match_and_counted() -> None:
    found = evaluated()
    assert found["unreadable_gold"] == 1
    assert [row["exact"] for row in found["per_question"]] == [False, None, False]
    assert {level: entry["em"]["n"] for level, entry in found["metrics"].items()} == {
        "simple": 1,
        "moderate": 0,
        "challenging": 1,
        "all": 2,
    }
    assert found["metrics"]["moderate"]["em"]["value"] is None
    assert found["metrics"]["moderate"]["ex"] == {"value": 0.0, "n": 1, "low": 0.0, "high": 1.0}
    assert found["metrics"]["moderate"]["partial_f1"] == {"value": None, "n": 0}
    assert found["metrics"]["all"]["partial_f1"]["n"] == 2


def test_a_table_has_the_levels_of_its_metrics_as_columns_and_says_how_results_were_compared() -> None:
    given = experiment(generators=["writer"], decoding="greedy")
    table = build_table(SPECS["table7"], given, Results(place("end_to_end", evaluated())))
    columns = [column.label for column in table.columns if column.group == "Execution accuracy (EX)"]
    assert columns == ["Simple", "Moderate", "Challenging", "All"]
    assert [column.label for column in table.columns if column.group == "Exact match (EM)"] == columns
    notes = " ".join(table.notes)
    assert "same set of rows" in notes
    assert "leave out up to 1 questions a row" in notes
    assert "test suite" not in notes


def test_tables_of_spider_keep_their_levels_and_metrics_of_two_datasets_are_refused() -> None:
    given = experiment(generators=["writer", "other"], decoding="greedy")
    table = build_table(SPECS["table7"], given, Results({}))
    assert [column.label for column in table.columns][:5] == ["Easy", "Medium", "Hard", "Extra", "All"]
    other = {**evaluated(generator="other"), "levels": ["easy", "hard"]}
    with pytest.raises(DataError, match="different levels"):
        build_table(SPECS["table7"], given, Results(place("end_to_end", evaluated(), other)))


def test_a_claim_about_a_level_that_the_dataset_lacks_is_not_run_and_says_why() -> None:
    pair = {"planner": "rerank", "generator": "stable-code-3b", "decoding": "sample", "context": "no_schema"}
    pair |= {"budget": 512, "scoring": "soft", "mode": "check"}  # type: ignore[dict-item]
    metrics = [evaluated(**pair, discriminator=name) for name in ("distill-r1-1.5b", "codellama-13b")]
    claims = evaluate_claims(place("end_to_end", *metrics), PUBLISHED, resamples=200)
    extra, ties = (claim for claim in claims if claim.number == 4)
    assert (extra.verdict, extra.value) == ("not run", None)
    assert extra.reason == "no question of this dataset is 'extra': its levels are simple, moderate, challenging"
    assert ties.questions == 3
    assert "no p-value can be below" in ties.reason, "three equal answers decide nothing"
    assert extra.reason in claims_grid([extra]).rows[0][-1]
