"""Demonstrations: training examples that are like the question, each with a wrong and a right query. Knows no model.

They are retrieved by BM25 over the words of the questions. All candidates of a question are shown the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from sqljudge.core.errors import ConfigError
from sqljudge.core.records import Question
from sqljudge.models.engines.base import Prompt
from sqljudge.stages.extras.base import Files, Kind, Settings, Text
from sqljudge.stages.extras.training import Example, examples
from sqljudge.stages.kinds.yes_no import WORDS
from sqljudge.stages.prompts import PromptTemplate, fill, read_template

TOKENS = 50
"""About how many tokens a demonstration has."""


def prepared(files: Files, questions: Sequence[Question], settings: Settings) -> Text:
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
        return "\n\n".join(part for example in reversed(chosen) for part in _shown(template, example))

    return lambda question, sql: text(question.question)


def read_demonstration(path: str | Path) -> PromptTemplate:
    """The template of one demonstration. Raises ConfigError as `read_template` does, and where it names a schema."""
    template = read_template(path, required=("question", "sql", "answer"), further=("answer",))
    if "schema" in template.fields:
        raise ConfigError(f"prompt {path}: a training file tells no schema; take ${{schema}} out of the demonstration")
    return template


def _shown(template: PromptTemplate, example: Example) -> list[str]:
    yes, no = WORDS
    question = Question(0, example.db_id, example.question, example.right, "", "easy")
    return [_filled(template, question, sql, answer) for sql, answer in ((example.wrong, no), (example.right, yes))]


def _filled(template: PromptTemplate, question: Question, sql: str, answer: str) -> str:
    said = {"answer": answer}
    return fill(
        template, question, sql=sql, frame="raw", chat=lambda user, _: Prompt(user), evidence=lambda *_: said
    ).text


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


KIND = Kind(("training", "demonstration"), prepared, ("yes_no",), lambda settings: TOKENS * int(settings["number"]))
