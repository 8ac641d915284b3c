"""The result of a candidate in words: how many rows, the first of them, or why there are none. Knows no model.

What stands in it is of the candidate alone: neither the gold query nor a comparison with it has a part in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqljudge.core.errors import DataError
from sqljudge.core.records import Cell, Execution, Outcome, Question, read_jsonl, shortened
from sqljudge.stages.extras.base import Files, Kind, Settings, Text

ROWS, COLUMNS, CHARACTERS = 5, 10, 60
"""The most rows and columns that are shown, and the most characters of a cell."""
MESSAGE = 200
"""The most characters of SQLite's complaint."""
TOKENS = 120

STOPPED: dict[Outcome, str] = {
    "timeout": "It was stopped, since it takes too long.",
    "row_limit": "It was stopped, since it gives too many rows.",
    "memory": "It was stopped, since it needs too much memory.",
}
"""What is said of a query that met a limit; which limit exactly is a matter of the configuration."""


def prepared(files: Files, questions: Sequence[Question], settings: Settings) -> Text:
    """The text of each candidate, from the executions of its pool.

    Raises DataError, naming the candidate, for one that was never executed.
    """
    known = {(run.question_id, run.sql): run for run in read_jsonl(files["executions"], Execution)}

    def text(question: Question, sql: str) -> str:
        if (question.id, sql) not in known:
            raise DataError(f"question {question.id}: no execution of {sql!r}; re-run the rule execute")
        return result_text(known[question.id, sql])

    return text


def result_text(run: Execution) -> str:
    """What came of one candidate; equal outcomes and rows give equal texts, whatever time they took."""
    if run.outcome in STOPPED:
        return STOPPED[run.outcome]
    if run.outcome != "ok":
        return f"It does not run: {shortened(_one_line(run.message), MESSAGE)}"
    if not run.row_count:
        return "It runs and gives no rows."
    shown = run.rows[:ROWS]
    count = f"{run.row_count:,} row{'s' if run.row_count > 1 else ''}"
    first = f", the first {len(shown)}" if len(shown) < run.row_count else ""
    return "\n".join([f"{count}{first}:", *([_line(run.columns)] if run.columns else []), *map(_line, shown)])


def _line(cells: Sequence[Cell]) -> str:
    more = [f"… ({len(cells) - COLUMNS} more)"] if len(cells) > COLUMNS else []
    return " | ".join([*map(_cell, cells[:COLUMNS]), *more])


def _cell(cell: Cell) -> str:
    return "NULL" if cell is None else shortened(_one_line(str(cell)), CHARACTERS)


def _one_line(text: str) -> str:
    return " ".join(text.split())


KIND = Kind(("executions",), prepared, ("yes_no", "reasoning"), lambda settings: TOKENS)
