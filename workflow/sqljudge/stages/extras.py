"""What a prompt of judgment shows beyond the question and the candidate: its result, or demonstrations. Knows no model.

A result is of the candidate alone: neither the gold query nor a comparison with it has a part in it. Demonstrations are
training examples that are like the question, each with a wrong and a right query; they are retrieved by BM25 over the
words of the questions, and all candidates of a question are shown the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import shortened
from sqljudge.core.records import Cell, Execution, Outcome, Question, read_jsonl
from sqljudge.models.engines.base import Prompt
from sqljudge.stages.examples import Example, examples
from sqljudge.stages.prompts import ANSWERS, Extras, Framing, PromptTemplate, fill, read_template

ROWS, COLUMNS, CHARACTERS = 5, 10, 60
"""The most rows and columns of a result that are shown, and the most characters of a cell."""
MESSAGE = 200
"""The most characters of SQLite's complaint."""
STOPPED: dict[Outcome, str] = {
    "timeout": "It was stopped, since it takes too long.",
    "row_limit": "It was stopped, since it gives too many rows.",
    "memory": "It was stopped, since it needs too much memory.",
}
"""What is said of a query that met a limit; which limit exactly is a matter of the configuration."""

Text = Callable[[Question, str], str]
"""What a prompt shows of a (question, SQL) pair."""
Files = Mapping[str, str]
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Extra:
    """One thing that a context may show, in the field of its name.

    `files`: the names of the files that it reads. `texts`: its text for each pair, from those files, the questions that
    are evaluated, and its settings. `methods`: the discriminators' methods that it is meant for. `tokens`: about how
    long it makes a prompt, by its settings, for estimates.
    """

    files: tuple[str, ...]
    texts: Callable[[Files, Sequence[Question], Settings], Text]
    methods: tuple[str, ...]
    tokens: Callable[[Settings], int]


def load_extras(wanted: Mapping[str, Settings], files: Files, questions: Sequence[Question]) -> Extras:
    """What a context shows: of each extra wanted, by its settings, a text for each (question, SQL) pair.

    `files`: those that the extras read, by name. `questions`: all that are evaluated. Raises what the extras raise.
    """
    texts = {name: EXTRAS[name].texts(files, questions, settings) for name, settings in wanted.items()}
    return lambda question, sql: {name: text(question, sql) for name, text in texts.items()}


def extra_tokens(wanted: Mapping[str, Settings]) -> int:
    """About how many tokens the extras of a context add to a prompt."""
    return sum(EXTRAS[name].tokens(settings) for name, settings in wanted.items())


def result_texts(files: Files, questions: Sequence[Question], settings: Settings) -> Text:
    """The result of each candidate in words, from the executions of its pool.

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


def demonstration_texts(files: Files, questions: Sequence[Question], settings: Settings) -> Text:
    """The demonstrations of each question: `settings["number"]` of them, half of each answer.

    The least similar example comes first and the most similar last, beside the question that it is to help with; of
    one example the wrong query comes before the right one. Raises ConfigError or DataError for a malformed template or
    training file, and where no example may be used.
    """
    template = read_demonstration(files["demonstration"])
    nearest = ranking(examples(files["training"], questions))

    @cache
    def text(question: str) -> str:
        chosen = nearest(question, settings["number"] // 2)
        return "\n\n".join(part for example in reversed(chosen) for part in _demonstrations(template, example))

    return lambda question, sql: text(question.question)


def read_demonstration(path: str | Path) -> PromptTemplate:
    """The template of one demonstration. Raises ConfigError as `read_template` does, and where it names a schema."""
    template = read_template(path, required=("question", "sql", "answer"), further=("answer",))
    if "schema" in template.fields:
        raise ConfigError(f"prompt {path}: a training file tells no schema; take ${{schema}} out of the demonstration")
    return template


def _demonstrations(template: PromptTemplate, example: Example) -> list[str]:
    yes, no = ANSWERS
    question = Question(0, example.db_id, example.question, example.right, "", "easy")

    def text(sql: str, answer: str) -> str:
        shown = {"answer": answer}
        prompt = fill(
            template,
            question,
            sql=sql,
            framing=Framing("raw"),
            chat=lambda user, _: Prompt(user),
            extras=lambda *_: shown,
        )
        return prompt.text

    return [text(example.wrong, no), text(example.right, yes)]


def ranking(some: Sequence[Example]) -> Callable[[str, int], list[Example]]:
    """A function that gives the examples most similar to a question, the most similar first, at most so many.

    Similarity is BM25 (k1 1.5, b 0.75, the variant of Lucene) over words in lower case; of equally similar ones the
    earlier in the file comes first.
    """
    import bm25s  # loaded where it is needed alone: reading a configuration does not wait for it

    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index([_words(example.question) for example in some], show_progress=False)

    def nearest(question: str, number: int) -> list[Example]:
        words = _words(question)
        scores = index.get_scores(words) if words else np.zeros(len(some))
        order = np.argsort(-scores, kind="stable")[:number]
        return [some[int(place)] for place in order]

    return nearest


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


EXTRAS: dict[str, Extra] = {
    "result": Extra(("executions",), result_texts, ("yes_no", "reasoning"), lambda settings: 120),
    "demonstrations": Extra(
        ("training", "demonstration"), demonstration_texts, ("yes_no",), lambda settings: 50 * int(settings["number"])
    ),
}
"""What a context can show, by the name of the field that shows it in a template."""
