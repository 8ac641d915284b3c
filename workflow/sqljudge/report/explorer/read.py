"""Reads all that a run has made of its questions. Knows files and records, not what is shown of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import (
    Candidate,
    CandidateSet,
    Execution,
    Judgment,
    Question,
    Score,
    Selection,
    read_json,
    read_jsonl,
)
from sqljudge.core.variants import Variant, parse
from sqljudge.data.datasets import database_path
from sqljudge.sql.official.execution import for_sqlite, prepared
from sqljudge.sql.sandbox import Limits, QueryJob, QueryResult, Sandbox

GOLD_ROWS = 20
"""How many rows of a gold query's result are kept."""

Pair = tuple[int, str]
"""A question's id and a query."""
Verdicts = Mapping[int, tuple[bool | None, bool | None]]
"""Of what was chosen, by question id: execution match (None: undecided) and exact match (None: unreadable gold)."""
PairRecord = TypeVar("PairRecord", Execution, Judgment)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run has made of its questions, by the variant of each file, then by question or by `Pair`.

    `questions` are by the name of their file, the dataset's or the labelled pool's; `candidates` and `executions` by
    pool.
    """

    questions: Mapping[str, Sequence[Question]]
    candidates: Mapping[str, Mapping[int, Sequence[Candidate]]]
    executions: Mapping[str, Mapping[Pair, Execution]]
    judgments: Mapping[Variant, Mapping[Pair, Judgment]]
    scores: Mapping[Variant, Mapping[int, Sequence[Score]]]
    selections: Mapping[Variant, Mapping[int, Selection]]
    evaluated: Mapping[Variant, Verdicts]


def index_run(
    questions: Mapping[str, Sequence[Question]],
    candidates: Mapping[str, Sequence[CandidateSet]],
    executions: Mapping[str, Sequence[Execution]],
    judgments: Mapping[Variant, Sequence[Judgment]],
    scores: Mapping[Variant, Sequence[Score]],
    selections: Mapping[Variant, Sequence[Selection]],
    evaluated: Mapping[Variant, Verdicts],
) -> Run:
    """A run from the records of its files."""
    return Run(
        questions,
        {pool: {group.question_id: group.candidates for group in groups} for pool, groups in candidates.items()},
        {pool: _by_pair(some) for pool, some in executions.items()},
        {variant: _by_pair(some) for variant, some in judgments.items()},
        {variant: _by_question(some) for variant, some in scores.items()},
        {variant: {each.question_id: each for each in some} for variant, some in selections.items()},
        evaluated,
    )


def _by_pair(records: Sequence[PairRecord]) -> dict[Pair, PairRecord]:
    return {(record.question_id, record.sql): record for record in records}


def _by_question(scores: Sequence[Score]) -> dict[int, list[Score]]:
    found: dict[int, list[Score]] = {}
    for score in scores:
        found.setdefault(score.question_id, []).append(score)
    return found


def read_run(files: Mapping[str, Sequence[str]]) -> Run:
    """Read the files that `explorer_inputs` names, by kind. Raises DataError, naming the file that cannot be read."""
    by_variant = {kind: {parse(path)[1]: path for path in paths} for kind, paths in files.items()}

    def by_pool(kind: str) -> dict[str, str]:
        return {variant.pool: path for variant, path in by_variant[kind].items()}

    return index_run(
        {pool: read_jsonl(path, Question) for pool, path in by_pool("questions").items()},
        {pool: read_jsonl(path, CandidateSet) for pool, path in by_pool("candidates").items()},
        {pool: read_jsonl(path, Execution) for pool, path in by_pool("executions").items()},
        {variant: read_judgments(path) for variant, path in by_variant["judgments"].items()},
        {variant: read_jsonl(path, Score) for variant, path in by_variant["scores"].items()},
        {variant: read_jsonl(path, Selection) for variant, path in by_variant["selections"].items()},
        {
            variant: {row["question_id"]: (row["exec"], row["exact"]) for row in read_json(path)["per_question"]}
            for variant, path in by_variant["end_to_end"].items()
        },
    )


def gold_results(
    questions: Mapping[str, Sequence[Question]], databases: Path, *, workers: int = 1, limits: Limits | None = None
) -> dict[tuple[str, int], QueryResult]:
    """What each gold query gives, by (file of questions, id); no more than the first GOLD_ROWS rows.

    Raises DataError if a database is missing or damaged, SqlRunError if the machinery fails.
    """
    jobs = {
        (name, question.id): QueryJob(
            database_path(databases, question.db_id),
            for_sqlite(prepared(question.gold_sql, keep_distinct=True) or ""),
            keep=GOLD_ROWS,
        )
        for name, some in questions.items()
        for question in some
    }
    with Sandbox(workers, limits) as sandbox:
        return dict(zip(jobs, sandbox.run(list(jobs.values())), strict=True))
