"""A dataset's format and its files: questions and schema text. Knows no model.

The files are as `staging` leaves them, in one layout; a format says in what datasets differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import HARDNESS, NO_LEVEL, Question
from sqljudge.sql.official.hardness import hardness
from sqljudge.sql.official.schema import Schema, load_schemas
from sqljudge.sql.text import name_text

UNPUBLISHED = "resources/unpublished.json"
"""Published figures, where there are none."""


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """Everything in which one dataset's files, questions and rules differ from another's.

    `levels`: of difficulty, the lowest first. `level_field`: where a question's row has its level ("": nowhere; it is
    the official hardness of the gold query). `comparison`: the rule by which results are equal (a name of
    `sql.official.execution.COMPARISONS`). `gold_field`, `knowledge_field`: where a question's row has its gold SQL and
    what its author adds to the question ("": nowhere). `published`: the figures that stand beside this project's, a
    file of the project. `tables_file`, `databases_folder`: beside the question file. `databases_archive`: a zip archive
    beside it that may hold that folder ("": none). `quoted_names`: names may be other than plain words, so that the
    schema's text quotes them and a candidate's double quotes are left as they are.
    """

    title: str
    levels: tuple[str, ...]
    comparison: str
    gold_field: str
    published: str
    level_field: str = ""
    knowledge_field: str = ""
    tables_file: str = "tables.json"
    databases_folder: str = "database"
    databases_archive: str = ""
    quoted_names: bool = False

    @property
    def level_word(self) -> str:
        """What captions call a level."""
        return self.level_field or "hardness"

    def with_files(self, tables_file: str = "", databases_folder: str = "") -> DatasetFormat:
        """The format with other names beside the question file, as a dataset's other splits have; "" keeps one.

        An archive of databases has the name of their folder.
        """
        folder = databases_folder.strip("/") or self.databases_folder
        archive = f"{folder}.zip" if self.databases_archive and databases_folder else self.databases_archive
        tables = tables_file or self.tables_file
        return replace(self, tables_file=tables, databases_folder=folder, databases_archive=archive)

    def figures(self, dataset: str) -> str:
        """The file of published figures beside a dataset's results: none where it is not the format's own."""
        return self.published if dataset == self.title.lower() else UNPUBLISHED

    def question(self, row: Mapping[str, Any], number: int, gold: str, schema_text: str, schema: Schema) -> Question:
        """The question of a row of a question file or pool whose texts have been checked.

        One whose gold SQL is not SQL that the official evaluator reads has NO_LEVEL, where the level is the gold's.
        Raises DataError for a field that holds no level.
        """
        level = row.get(self.level_field) if self.level_field else _hardness(gold, schema)
        if self.level_field and level not in self.levels:
            near = get_close_matches(str(level), self.levels, 1, 0.5)
            advice = f"did you mean '{near[0]}'?" if near else f"it must be one of {', '.join(self.levels)}"
            raise DataError(f"{self.level_word} is {level!r}; {advice}")
        knowledge = str(row.get(self.knowledge_field) or "").strip()
        return Question(number, row["db_id"], row["question"], gold, schema_text, str(level), knowledge)


SPIDER = DatasetFormat(
    title="Spider",
    levels=HARDNESS,
    comparison="test_suite",
    gold_field="query",
    published="resources/published.json",
)
BIRD = DatasetFormat(
    title="BIRD",
    levels=("simple", "moderate", "challenging"),
    comparison="set",
    gold_field="SQL",
    published=UNPUBLISHED,
    level_field="difficulty",
    knowledge_field="evidence",
    tables_file="dev_tables.json",
    databases_folder="dev_databases",
    databases_archive="dev_databases.zip",
    quoted_names=True,
)
"""Li et al. 2023, Can LLM Already Serve as a Database Interface? The layout is that of its development set."""

FORMATS: dict[str, DatasetFormat] = {"spider": SPIDER, "bird": BIRD}
"""Formats of datasets, by name: a new one is a constant above and a line here."""


def _hardness(gold: str, schema: Schema) -> str:
    try:
        return hardness(gold, schema)
    except DataError:
        return NO_LEVEL


def schema_text(entry: Mapping[str, Any], dataset_format: DatasetFormat = SPIDER) -> str:
    """A database's schema as the prompts show it (paper, section 2): one line a table, its names in lower case.

    `entry` is the database's object in Spider's `tables.json`. A format with quoted names has backticks where needed.
    """
    written = name_text if dataset_format.quoted_names else str.lower
    columns: dict[int, list[str]] = {}
    for table, column in entry["column_names_original"]:
        columns.setdefault(table, []).append(written(column))
    lines = [
        f"-- Table {written(table)}: {', '.join(columns.get(index, []))}"
        for index, table in enumerate(entry["table_names_original"])
    ]
    return "\n".join(lines)


def schema_texts(tables_json: str | Path, dataset_format: DatasetFormat = SPIDER) -> dict[str, str]:
    """Schema text of every database of a `tables.json`, by db_id."""
    return {entry["db_id"]: schema_text(entry, dataset_format) for entry in read_json(tables_json)}


def load_questions(
    questions_json: str | Path, tables_json: str | Path, dataset_format: DatasetFormat = SPIDER
) -> list[Question]:
    """Every question of a question file, in file order; `id` is the 0-based position.

    A gold query that is not text, or that the official evaluator does not read, makes no error: its question has the
    `hardness` NO_LEVEL where the level is the gold query's. Raises DataError, naming file and
    position, where a field is missing, another is not text, a database is not in `tables_json`, or a level is unknown.
    """
    schemas, texts = load_schemas(Path(tables_json)), schema_texts(tables_json, dataset_format)
    rows = read_json(questions_json)
    if not isinstance(rows, list):
        raise DataError(f"{questions_json}: not a list of questions; expected {dataset_format.title}'s own format")
    questions = []
    for position, row in enumerate(rows):
        where = f"{questions_json}, question {position}"
        gold_field, found = dataset_format.gold_field, row if isinstance(row, dict) else {}
        texts_given = [found.get(key) for key in ("db_id", "question")]
        if gold_field not in found or not all(isinstance(text, str) and text.strip() for text in texts_given):
            raise DataError(f"{where}: needs the text fields db_id, question and {gold_field}")
        db_id, given = row["db_id"], row[gold_field]
        gold = given if isinstance(given, str) else json.dumps(given)  # which no database runs
        if db_id not in schemas:
            raise DataError(f"{where}: database '{db_id}' is not in {tables_json}")
        try:
            questions.append(dataset_format.question(row, position, gold, texts[db_id], schemas[db_id]))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    return questions
