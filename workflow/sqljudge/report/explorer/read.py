"""Which files hold what a run has made of its questions, and what they hold. Knows not what is shown of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqljudge.core.files import read_json
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import CandidateSet, Execution, Judgment, Question, Score, Selection, read_jsonl
from sqljudge.core.variants import POOL, RERANK, Variant, only, parse, path
from sqljudge.sql.databases import database_path
from sqljudge.sql.official.execution import prepare
from sqljudge.sql.sandbox import Limits, QueryJob, QueryResult, Sandbox
from sqljudge.stages.score import Rules

GOLD_ROWS = 20
"""How many rows of a gold query's result are kept."""


def explorer_inputs(
    cells: Iterable[tuple[str, Variant]], dataset: str, judged: Iterable[Variant]
) -> dict[str, list[str]]:
    """Every file that tables are made of, one question at a time, by kind; sorted, the dataset's questions first.

    `cells`: the kind of metric and the variant of each cell of all tables. `dataset`: the name of its questions file.
    `judged`: the jobs of judgments. What planners chose comes with its end-to-end metrics; scores are those of
    re-ranked candidates and of cells of the labelled pool.
    """
    found = list(cells)
    chosen = {only("selections", variant) for kind, variant in found if kind in ("end_to_end", "planner")}
    scored = {only("scores", variant) for kind, variant in found if kind == "intrinsic"}
    scored |= {only("scores", variant) for variant in chosen if variant.planner == RERANK}
    pools = {Variant(variant.pool) for variant in chosen | scored}
    questions = [Variant(dataset)] * bool(pools - {Variant(POOL)}) + [Variant(POOL)] * (Variant(POOL) in pools)
    by_kind = {"candidates": pools, "executions": pools, "judgments": judged}
    by_kind |= {"scores": scored, "selections": chosen, "end_to_end": chosen}
    files = {kind: sorted({path(kind, variant) for variant in variants}) for kind, variants in by_kind.items()}
    return {"questions": [path("questions", variant) for variant in questions], **files}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether what was chosen executes as the gold query does (None: undecided) and equals it (None: no such gold)."""

    question_id: int
    execution: bool | None
    exact: bool | None


@dataclass(frozen=True, slots=True)
class Run:
    """What a run has made of its questions: those by the name of their file, records by variant, then by question.

    `rules`: how responses are read, by discriminator and context.
    """

    questions: Mapping[str, Sequence[Question]]
    candidates: Mapping[Variant, Mapping[int, Sequence[CandidateSet]]]
    executions: Mapping[Variant, Mapping[int, Sequence[Execution]]]
    judgments: Mapping[Variant, Mapping[int, Sequence[Judgment]]]
    scores: Mapping[Variant, Mapping[int, Sequence[Score]]]
    selections: Mapping[Variant, Mapping[int, Sequence[Selection]]]
    end_to_end: Mapping[Variant, Mapping[int, Sequence[Verdict]]]
    rules: Mapping[tuple[str, str], Rules] = field(default_factory=dict)


def index_run(questions: Mapping[str, Sequence[Question]], **records: Mapping[Variant, Sequence[Any]]) -> Run:
    """A run from its questions and, by kind, the records of each file."""

    def by_question(some: Sequence[Any]) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        for each in some:
            found.setdefault(each.question_id, []).append(each)
        return found

    indexed: dict[str, Any] = {k: {v: by_question(some) for v, some in found.items()} for k, found in records.items()}
    return Run(questions, **indexed)


def read_run(files: Mapping[str, Sequence[str]]) -> Run:
    """Read the files that `explorer_inputs` names, by kind. Raises DataError, naming the file that cannot be read."""
    readers: dict[str, Callable[[str], Sequence[Any]]] = {
        "questions": lambda file: read_jsonl(file, Question),
        "candidates": lambda file: read_jsonl(file, CandidateSet),
        "executions": lambda file: read_jsonl(file, Execution),
        "judgments": read_judgments,
        "scores": lambda file: read_jsonl(file, Score),
        "selections": lambda file: read_jsonl(file, Selection),
        "end_to_end": lambda file: [
            Verdict(row["question_id"], row["exec"], row["exact"]) for row in read_json(file)["per_question"]
        ],
    }
    records = {kind: {parse(file)[1]: read(file) for file in files[kind]} for kind, read in readers.items()}
    questions = {variant.pool: some for variant, some in records.pop("questions").items()}
    return index_run(questions, **records)


def gold_results(
    questions: Mapping[str, Sequence[Question]], databases: Path, *, workers: int = 1, limits: Limits | None = None
) -> dict[tuple[str, int], QueryResult]:
    """What each gold query gives, by (file of questions, id); no more than the first GOLD_ROWS rows.

    Raises DataError if a database is missing or damaged, SqlRunError if the machinery fails.
    """
    jobs = {
        (name, question.id): QueryJob(
            database_path(databases, question.db_id),
            prepare(question.gold_sql, keep_distinct=True) or "",
            keep=GOLD_ROWS,
        )
        for name, some in questions.items()
        for question in some
    }
    with Sandbox(workers, limits) as sandbox:
        return dict(zip(jobs, sandbox.run(list(jobs.values())), strict=True))
