"""Reads all that a run has made of its questions. Knows files and records, not what is shown of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqljudge.core.artefacts import POOL, Judged, pool_of, selection_settings
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import (
    CandidateSet,
    Execution,
    Judgment,
    Question,
    Score,
    Selection,
    read_json,
    read_jsonl,
)
from sqljudge.sql.databases import database_path
from sqljudge.sql.official.execution import prepare
from sqljudge.sql.sandbox import Limits, QueryJob, QueryResult, Sandbox

GOLD_ROWS = 20
"""How many rows of a gold query's result are kept."""


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """One way of choosing from a pool of candidates: a discriminator's scores at a budget, or none (`greedy`).

    A discriminator without a model has the name that it has in file names, and neither context nor budget.
    """

    discriminator: str
    context: str
    pool: str
    budget: int = 0
    scoring: str = ""
    mode: str = ""
    planner: str = "rerank"

    @property
    def job(self) -> Judged:
        """The judgments that the scores were cut from."""
        return Judged(self.discriminator, self.context, self.pool)

    @property
    def scored(self) -> Setting:
        """The setting that the scores stand under: what a planner makes of them does not change them."""
        return replace(self, planner="rerank")


@dataclass(frozen=True, slots=True)
class Made:
    """What a run has made of its questions.

    `questions` are by the name of their file, the dataset's or `pool`; `candidates` and `executions` by pool;
    `evaluated`: execution match (None: undecided) and exact match (None: unreadable gold) of what was chosen, by
    question id.
    """

    questions: Mapping[str, Sequence[Question]]
    candidates: Mapping[str, Sequence[CandidateSet]]
    executions: Mapping[str, Sequence[Execution]]
    judgments: Mapping[Judged, Sequence[Judgment]]
    scores: Mapping[Setting, Sequence[Score]]
    selections: Mapping[Setting, Sequence[Selection]]
    evaluated: Mapping[Setting, Mapping[int, tuple[bool | None, bool | None]]]


def read_made(files: Mapping[str, Sequence[str]]) -> Made:
    """Read the files that `artefacts.behind` names, by kind. Raises DataError, naming the file that cannot be read."""
    scores = {setting_of(f"rerank/{_below(path, 'scores')}"): read_jsonl(path, Score) for path in files["scores"]}
    return Made(
        {Path(path).stem: read_jsonl(path, Question) for path in files["questions"]},
        {Path(path).stem: read_jsonl(path, CandidateSet) for path in files["candidates"]},
        {Path(path).stem: read_jsonl(path, Execution) for path in files["executions"]},
        {Judged(*Path(path).with_suffix("").parts[-3:]): read_judgments(path) for path in files["judgments"]},
        dict(sorted(scores.items())),
        {setting_of(_below(path, "selections")): read_jsonl(path, Selection) for path in files["selections"]},
        {setting_of(_below(path, "end_to_end")): _evaluated(path) for path in files["metrics"]},
    )


def setting_of(selected: str) -> Setting:
    """The setting that a path below results/selections (without its ending) stands for."""
    values = selection_settings(selected)
    named = {name: values[name] for name in ("budget", "scoring", "mode", "planner") if name in values}
    return Setting(values.get("discriminator", ""), values.get("context", ""), pool_of(selected), **named)


def _below(path: str, folder: str) -> str:
    place = path.rpartition(f"/{folder}/")[2]
    return place.removesuffix(Path(place).suffix)


def _evaluated(path: str) -> dict[int, tuple[bool | None, bool | None]]:
    return {row["question_id"]: (row["exec"], row["exact"]) for row in read_json(path)["per_question"]}


def gold_results(
    questions: Mapping[str, Sequence[Question]], databases: Path, *, workers: int = 1, limits: Limits | None = None
) -> dict[tuple[str, int], QueryResult]:
    """What each gold query gives, by (file of questions, id); no more than the first GOLD_ROWS rows.

    Raises DataError if a database is missing or damaged, SqlRunError if the machinery fails.
    """
    asked = [(name, question) for name, some in questions.items() for question in some]
    jobs = [
        QueryJob(
            database_path(databases, question.db_id),
            prepare(question.gold_sql, keep_distinct=True) or "",
            keep=GOLD_ROWS,
        )
        for _, question in asked
    ]
    with Sandbox(workers, limits) as sandbox:
        results = sandbox.run(jobs)
    return {(name, question.id): result for (name, question), result in zip(asked, results, strict=True)}


def source_of(pool: str, sources: Sequence[str]) -> str:
    """The name of the questions file that a pool of candidates belongs to."""
    return POOL if pool == POOL else next(name for name in sources if name != POOL)
