"""A dataset's format and its files: questions, schema text, and the stratified sample. Knows no model.

The files are as `staging` leaves them, in one layout; a format says in what datasets differ.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.records import HARDNESS, Question, read_json, write_jsonl
from sqljudge.sql.databases import database_path, databases_with_rows
from sqljudge.sql.official.hardness import hardness
from sqljudge.sql.official.schema import Schema, load_schemas
from sqljudge.sql.sandbox import Sandbox
from sqljudge.sql.text import name_text

log = logging.getLogger(__name__)


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

    def question(self, row: Mapping[str, Any], number: int, gold: str, schema_text: str, schema: Schema) -> Question:
        """The question of a row of a question file or pool whose texts have been checked.

        Raises DataError for one without a level (Spider: its gold SQL is not Spider SQL, so that it has no hardness).
        """
        level = row.get(self.level_field) if self.level_field else hardness(gold, schema)
        if level not in self.levels:
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
    published="resources/unpublished.json",
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

    Raises DataError, naming file and position, where a field is missing or not text, a database is not in
    `tables_json`, or a question has no level.
    """
    schemas, texts = load_schemas(Path(tables_json)), schema_texts(tables_json, dataset_format)
    rows = read_json(questions_json)
    if not isinstance(rows, list):
        raise DataError(f"{questions_json}: not a list of questions; expected {dataset_format.title}'s own format")
    questions = []
    for position, row in enumerate(rows):
        where = f"{questions_json}, question {position}"
        keys = ("db_id", "question", dataset_format.gold_field)
        fields = [row.get(key) if isinstance(row, dict) else None for key in keys]
        if not all(isinstance(field, str) and field.strip() for field in fields):
            raise DataError(f"{where}: needs the text fields db_id, question and {keys[-1]}")
        db_id = row["db_id"]
        if db_id not in schemas:
            raise DataError(f"{where}: database '{db_id}' is not in {tables_json}")
        try:
            questions.append(dataset_format.question(row, position, row[keys[-1]], texts[db_id], schemas[db_id]))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    return questions


def empty_databases(questions: Iterable[Question], databases: str | Path) -> set[str]:
    """The db_ids among the questions whose database holds no rows: their execution results mean nothing.

    Raises DataError, naming the file, where one is missing or damaged or has no table at all.
    """
    files = {db_id: (database_path(databases, db_id),) for db_id in sorted({q.db_id for q in questions})}
    with Sandbox() as sandbox:
        return set(files) - databases_with_rows(sandbox, files)


def sample_questions(
    questions: Sequence[Question],
    *,
    per_hardness: int,
    seed: int,
    exclude: Collection[str] = (),
    levels: Sequence[str] = HARDNESS,
) -> list[Question]:
    """A random sample with equally many questions of each hardness (paper, section 2; `levels`), in order of id.

    A question's rank is a hash of the seed and the question, so a larger `per_hardness` keeps the smaller sample's
    questions and only adds to them. Questions over a database in `exclude` are left out before sampling.
    Raises DataError where a hardness has fewer than `per_hardness` questions.
    """

    def rank(question: Question) -> str:
        return hashlib.sha256(f"{seed}/{question.db_id}/{question.id}".encode()).hexdigest()

    usable = [question for question in questions if question.db_id not in exclude]
    pools = {level: [question for question in usable if question.hardness == level] for level in levels}
    scarce = min(levels, key=lambda level: len(pools[level]))
    least = len(pools[scarce])
    if least < per_hardness:
        advice = f"set it to {least} or less" if least else "list the questions you want in dataset.question_ids"
        raise DataError(
            f"dataset.per_hardness is {per_hardness}, but only {least} usable questions are {scarce}; {advice}"
        )
    chosen = [q for pool in pools.values() for q in sorted(pool, key=rank)[:per_hardness]]
    return sorted(chosen, key=lambda q: q.id)


def pick_questions(questions: Sequence[Question], ids_file: str | Path) -> list[Question]:
    """The questions whose ids (0-based positions) a text file lists, one a line, in the file's order.

    Raises DataError, naming file and line, for what is not a number, not an id of the dataset, or listed twice.
    """
    by_id = {question.id: question for question in questions}
    picked: dict[int, Question] = {}
    try:
        lines = Path(ids_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"dataset.question_ids: {ids_file} cannot be read as UTF-8 text ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{ids_file}, line {number}: '{line.strip()}'"
        if not line.strip().isdecimal() or int(line) not in by_id:
            raise DataError(f"{where} is not a question id of this dataset (0 to {len(questions) - 1})")
        if int(line) in picked:
            raise DataError(f"{where} is listed twice; keep one")
        picked[int(line)] = by_id[int(line)]
    if not picked:
        raise DataError(f"{ids_file}: lists no question ids; one 0-based position a line is expected")
    return list(picked.values())


def write_sample(
    *,
    questions: str,
    tables: str,
    databases: str,
    ids: Sequence[str],
    sample: str,
    dataset_format: str,
    per_hardness: int,
    exclude: Sequence[str],
    seed: int,
) -> None:
    """Write the evaluation questions: those whose ids a file lists (`ids`), else a sample of each level."""
    chosen_format = FORMATS[dataset_format]
    loaded = load_questions(questions, tables, chosen_format)
    if ids:
        chosen = pick_questions(loaded, ids[0])
    else:
        empty = empty_databases(loaded, databases)
        if empty:
            log.info("left out, since their databases hold no rows: %s", ", ".join(sorted(empty)))
        chosen = sample_questions(
            loaded, per_hardness=per_hardness, seed=seed, exclude={*exclude, *empty}, levels=chosen_format.levels
        )
    log.info("%d of %d questions", len(chosen), len(loaded))
    write_jsonl(sample, chosen)
