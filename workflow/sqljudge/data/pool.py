"""The labelled candidate pool: read from a user's file, or labelled by execution. Knows no model."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import Candidate, CandidateSet, Execution, Question, read_jsonl, write_jsonl
from sqljudge.data.datasets import SPIDER, DatasetFormat, schema_texts
from sqljudge.sql.official.schema import load_schemas
from sqljudge.sql.text import normalize_sql

FIELDS = {"db_id": str, "schema": str, "question": str, "sql": str, "top_n": list, "top_n_label": list}
OPTIONAL = ("schema", "top_n_label")
"""The fields that may be missing or null: a schema is then that of `tables.json`, a label that of an execution."""


def label_candidates(candidates: Sequence[CandidateSet], executions: Sequence[Execution]) -> list[CandidateSet]:
    """The candidates with label 1 where the execution equals the gold's, else 0 (paper, section 2).

    A label that is there stays. Questions that an execution says nothing of (their database holds no rows to compare),
    or of which a request failed, are left out. Raises DataError for a candidate that was never executed.
    """
    correct = {(execution.question_id, execution.sql): execution.correct for execution in executions}
    labelled = []
    for group in candidates:
        keys = [(group.question_id, candidate.sql) for candidate in group.candidates]
        missing = [key for key in keys if key not in correct]
        if missing:
            raise DataError(f"question {missing[0][0]}: no execution of {missing[0][1]!r}; re-run the rule execute")
        pairs = zip(group.candidates, keys, strict=True)
        found = [correct[key] if candidate.label is None else candidate.label == 1 for candidate, key in pairs]
        if group.unanswered or None in found:
            continue
        both = zip(group.candidates, found, strict=True)
        marked = tuple(dataclasses.replace(candidate, label=int(bool(right))) for candidate, right in both)
        labelled.append(CandidateSet(group.question_id, marked))
    return labelled


def read_pool(
    path: str | Path,
    tables_json: str | Path,
    *,
    questions: int = 0,
    seed: int = 0,
    dataset_format: DatasetFormat = SPIDER,
) -> tuple[list[Question], list[CandidateSet]]:
    """A user's labelled pool (paper, section 2: `db_id`, `schema`, `question`, `sql`, `top_n`, `top_n_label`).

    A question's id is its position in the file. Without `schema` it has that of `tables.json`; without a label a
    candidate has none, and the question needs its gold query. What the dataset's format adds to a question (BIRD's
    difficulty and evidence) stands in the entry, too. Candidates are normalised; equal ones are merged, and must agree
    in their label.
    `questions`: keep only so many, drawn with the seed (0: all); a larger number keeps the smaller draw. Raises
    DataError, naming file and position, for what is missing or malformed.
    """
    rows = read_json(path)
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: not a list of pool questions, or an empty one")
    if questions > len(rows):
        raise DataError(f"pool.questions is {questions}, but {path} has {len(rows)}; set it to {len(rows)} or less")
    schemas, texts = load_schemas(Path(tables_json)), schema_texts(tables_json, dataset_format)
    order = sorted(range(len(rows)), key=lambda i: hashlib.sha256(f"{seed}/{i}".encode()).hexdigest())
    kept = sorted(order[: questions or len(rows)])
    chosen, groups = [], []
    for position, row in enumerate(rows):
        where = f"{path}, entry {position}"
        check_entry(row, where, OPTIONAL)
        if position in kept:
            if row["db_id"] not in schemas:
                raise DataError(f"{where}: database '{row['db_id']}' is not in {tables_json}")
            try:
                db_id, given = row["db_id"], row.get("schema")
                text = texts[db_id] if given is None else given
                gold = row["sql"] if row["sql"].strip() else ""
                chosen.append(dataset_format.question(row, position, gold, text, schemas[db_id]))
            except DataError as error:
                raise DataError(f"{where}: {error}") from error
            groups.append(CandidateSet(position, _merged(row, where, dataset_format.quoted_names)))
    return chosen, groups


def databases_of(path: str | Path) -> list[str]:
    """The db_ids that a labelled pool names, sorted; what is malformed in it is left to `read_pool`."""
    names = [row.get("db_id") for row in _entries(path)]
    return sorted({name for name in names if isinstance(name, str)})


def lacks_labels(path: str | Path) -> bool:
    """Whether a labelled pool leaves labels to executions; what is malformed in it is left to `read_pool`."""
    labels = [row.get("top_n_label") for row in _entries(path)]
    return any(each is None or (isinstance(each, list) and None in each) for each in labels)


def _entries(path: str | Path) -> list[Mapping[str, Any]]:
    try:
        rows = read_json(path)
    except DataError:
        return []
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def check_entry(row: Any, where: str, optional: Collection[str] = ()) -> None:
    """Check one entry of a labelled pool, whose `optional` fields may be missing.

    Raises DataError naming `where` for what is missing or malformed, and for labels that are missing beside a gold
    query that is empty.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: not an object with the fields {', '.join(FIELDS)}")
    given = {name for name in FIELDS if name not in optional or row.get(name) is not None}
    for name, kind in FIELDS.items():
        if name not in given:
            continue
        if name not in row:
            raise DataError(f"{where}: the field '{name}' is missing")
        if not isinstance(row[name], kind):
            raise DataError(f"{where}: '{name}' must be {'text' if kind is str else 'a list'}")
    labels = labels_of(row)
    if len(row["top_n"]) != len(labels):
        raise DataError(f"{where}: {len(row['top_n'])} candidates but {len(labels)} labels")
    for label in labels:
        if label is None and "top_n_label" in optional:
            if not row["sql"].strip():
                raise DataError(f"{where}: a label is missing, and 'sql' has no gold query to find it by; give either")
        elif type(label) is not int or label not in (0, 1):
            raise DataError(f"{where}: label {label!r} is neither 0 nor 1")
    if not all(isinstance(sql, str) for sql in row["top_n"]):
        raise DataError(f"{where}: 'top_n' must be a list of texts")


def labels_of(row: Mapping[str, Any]) -> list[Any]:
    """The labels of an entry's candidates; None for each where it has none."""
    found = row.get("top_n_label")
    return [None] * len(row["top_n"]) if found is None else found


def _merged(row: Mapping[str, Any], where: str, quoted_names: bool) -> tuple[Candidate, ...]:
    merged: dict[str, Candidate] = {}
    for text, label in zip(row["top_n"], labels_of(row), strict=True):
        sql = normalize_sql(text, quoted_names=quoted_names)
        known = merged.get(sql, Candidate(sql, 0))
        if None not in (known.label, label) and known.label != label:
            raise DataError(f"{where}: {sql!r} is labelled both 0 and 1")
        merged[sql] = Candidate(sql, known.count + 1, label=known.label if label is None else label)
    return tuple(merged.values())


def write_labelled_pool(
    *, questions: str, candidates: str, executions: str, pool_questions: str, pool_candidates: str
) -> None:
    """Write the questions and candidates of a sampled pool that could be labelled."""
    labelled = label_candidates(read_jsonl(candidates, CandidateSet), read_jsonl(executions, Execution))
    kept = {group.question_id for group in labelled}
    write_jsonl(pool_questions, [question for question in read_jsonl(questions, Question) if question.id in kept])
    write_jsonl(pool_candidates, labelled)
