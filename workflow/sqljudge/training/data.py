"""The *prepare_training* stage: training items of each kind, and the guards. Knows no method and no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import CandidateSet, Question, read_jsonl
from sqljudge.data.datasets import load_questions
from sqljudge.sql.text import normalize_sql
from sqljudge.stages.score import read_verdict
from sqljudge.training.items import Item, read_items, write_items
from sqljudge.training.pairs import make_pairs
from sqljudge.training.sat import sat_tasks

Made = tuple[list[Item], dict[str, Any]]
"""Items, and what is to be noted of them."""


# --- guards -----------------------------------------------------------------------------------------------------------


def check_apart(items: Sequence[Item], evaluated: Sequence[Question], where: str) -> None:
    """Check that nothing that is trained on is evaluated: no database, no question, no gold query.

    Questions are compared without letter case and white space, queries in their normal form. Raises DataError naming
    the first of each kind.
    """
    databases = {question.db_id for question in evaluated}
    texts = {_plain(question.question) for question in evaluated}
    golds = {normalize_sql(question.gold_sql) for question in evaluated}
    what = f"{where}: it would be trained on what is evaluated"
    for item in items:
        if item.db_id and item.db_id in databases:
            raise DataError(f"{what}: the database '{item.db_id}'; leave its questions out of the training data")
        if item.question and _plain(item.question) in texts:
            raise DataError(f"{what}: the question {item.question!r}; leave it out of the training data")
        for sql in filter(None, (item.gold, item.sql if item.label else "")):
            if normalize_sql(sql) in golds:
                raise DataError(f"{what}: the gold query {sql!r}; leave its question out of the training data")


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


# --- kinds ------------------------------------------------------------------------------------------------------------


def from_file(*, file: str, licence: str, origin: str) -> Made:
    """Items as a file has them."""
    return read_items(file), {"origin": origin or Path(file).name, "licence": licence}


def from_sat(*, steps: Sequence[Sequence[int]], number: int, validation: int, seed: int) -> Made:
    """SAT tasks of each step, and some more of each for validation."""
    items = []
    for n, k, clauses in steps:
        name = f"{n}-{k}-{clauses}"
        for place, task in enumerate(sat_tasks((n, k, clauses), number + validation, seed)):
            items.append(
                Item(f"sat-{name}-{place}", name, prompt=task.prompt, answer=task.answer, validation=place >= number)
            )
    return items, {"origin": "made here from a seed", "licence": "none needed", "steps": [list(step) for step in steps]}


def from_questions(*, file: str, tables: str, licence: str, origin: str) -> Made:
    """A question a gold query: what a generator is trained on."""
    questions = load_questions(file, tables)
    items = [
        Item(
            f"q{question.id}",
            f"q{question.id}",
            question.db_id,
            question.question,
            question.schema_text,
            question.knowledge,
            gold=question.gold_sql,
        )
        for question in questions
    ]
    return items, {"origin": origin or Path(file).name, "licence": licence}


def from_mutations(
    *, file: str, tables: str, questions: int, validation_databases: int, licence: str, origin: str, seed: int
) -> Made:
    """Right and wrong candidates made from questions (see `pairs`)."""
    items, dropped = make_pairs(
        file=file, tables=tables, questions=questions, validation_databases=validation_databases, seed=seed
    )
    return items, {"origin": origin or Path(file).name, "licence": licence, "dropped": dropped}


def from_judgments(*, judgments: str, candidates: str, questions: str, licence: str, origin: str) -> Made:
    """The traces of a discriminator that another run has asked: right where its verdict is the candidate's label.

    A response that the budget cut, or that holds no verdict, is no trace. The group of a trace is its question and
    candidate, so that a right and a wrong one of one group answer one prompt; judgments of several seeds or
    discriminators may lie in one file.
    """
    known = {question.id: question for question in read_jsonl(questions, Question)}
    labels = {(s.question_id, c.sql): c.label for s in read_jsonl(candidates, CandidateSet) for c in s.candidates}
    items = []
    for place, judgment in enumerate(read_judgments(judgments)):
        label, verdict = labels.get((judgment.question_id, judgment.sql)), None
        if judgment.question_id not in known:
            raise DataError(f"{judgments}: question {judgment.question_id} is not in {questions}; name the same run's")
        if judgment.response and judgment.finish_reason == "stop":
            verdict = read_verdict(judgment, len(judgment.token_ids)).value
        if label is None or verdict is None:
            continue
        question = known[judgment.question_id]
        items.append(
            Item(
                f"j{place}",
                f"{question.id} {judgment.sql}",
                question.db_id,
                question.question,
                question.schema_text,
                question.knowledge,
                judgment.sql,
                label,
                response=judgment.response,
                right=verdict == bool(label),
            )
        )
    if not items:
        raise DataError(f"{judgments}: no response with a verdict about a labelled candidate; name other judgments")
    return items, {"origin": origin or Path(judgments).name, "licence": licence}


KINDS: dict[str, Callable[..., Made]] = {
    "file": from_file,
    "sat": from_sat,
    "questions": from_questions,
    "mutations": from_mutations,
    "judgments": from_judgments,
}
"""The kinds of training data, by name: each makes items from its settings."""


def prepare(
    *, data: str, note: str, evaluated: Sequence[str], kind: str, settings: Mapping[str, Any], name: str, **files: str
) -> None:
    """Write the items of a kind and the note beside them. `evaluated`: files of all questions that are evaluated.

    `files`: those that the kind reads, by the names of its settings. Raises DataError where anything in the data is
    evaluated, and what the kinds raise.
    """
    items, known = KINDS[kind](**{**settings, **files})
    questions = [question for file in evaluated for question in read_jsonl(file, Question)]
    check_apart(items, questions, f"training data '{name}'")
    write_items(data, items, {"kind": kind, **known})
