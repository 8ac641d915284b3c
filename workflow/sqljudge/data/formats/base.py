"""What a dataset's format declares of itself. Knows no format and opens no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqljudge.core.records import Question
from sqljudge.sql.official.schema import Schema

Level = Callable[[Mapping[str, Any], str, Schema], str]
"""From a row of a question file (or pool), its gold SQL and its database's schema to the question's level.

Raises DataError for a question that has none.
"""


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """Everything in which one dataset's files, questions and rules differ from another's.

    `levels`: of difficulty, the lowest first; `level` finds a question's own, `level_word` names it in captions.
    `comparison`: the rule by which results are equal (a name of `sql.official.execution.COMPARISONS`). `gold_field`,
    `knowledge_field`: where a question's row has its gold SQL and what its author adds to the question ("": nowhere).
    `tables_file`, `databases_folder`: beside the question file. `databases_archive`: a zip archive beside it that may
    hold that folder ("": none). `quoted_names`: names may be other than plain words, so that the schema's text quotes
    them and a candidate's double quotes are left as they are. `published`: the figures that stand beside this
    project's, a file of the project.
    """

    title: str
    levels: tuple[str, ...]
    level: Level
    level_word: str
    comparison: str
    gold_field: str
    published: str
    knowledge_field: str = ""
    tables_file: str = "tables.json"
    databases_folder: str = "database"
    databases_archive: str = ""
    quoted_names: bool = False

    def as_question(self, row: Mapping[str, Any], number: int, gold: str, schema_text: str, schema: Schema) -> Question:
        """The question of a row whose texts have been checked. Raises DataError for one without a level."""
        knowledge = str(row.get(self.knowledge_field) or "").strip()
        level = self.level(row, gold, schema)
        return Question(number, row["db_id"], row["question"], gold, schema_text, level, knowledge)
