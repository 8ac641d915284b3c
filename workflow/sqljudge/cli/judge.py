"""The function `judge`: one's own candidates on one's own databases, executed, judged and chosen from.

A composition of the workflow's stages, in memory: neither gold queries nor a workflow are needed.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqljudge.cli.questions import Asked, read_questions
from sqljudge.core.errors import ConfigError, DataError, SqljudgeError
from sqljudge.core.records import (
    NO_LEVEL,
    NOT_EXECUTABLE_SCORE,
    Candidate,
    CandidateSet,
    Cell,
    Execution,
    Outcome,
    Question,
    Score,
)
from sqljudge.data.datasets import BIRD, schema_text
from sqljudge.experiments.config import read_models, resolve
from sqljudge.experiments.parts import nearest
from sqljudge.models.device import usable_devices
from sqljudge.models.engines import BACKENDS, check_forced, check_prompt_format, check_spec, check_weights
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.session import model_session
from sqljudge.sql.databases import build_database, tables_entry
from sqljudge.sql.sandbox import Sandbox
from sqljudge.sql.text import normalize_sql
from sqljudge.stages.baselines import BASELINES, score_baseline
from sqljudge.stages.execute import execute_candidates, group_results
from sqljudge.stages.force import force, read_closing
from sqljudge.stages.judge import METHODS, judged_pairs
from sqljudge.stages.judge import judge as judge_pairs
from sqljudge.stages.plan import rerank
from sqljudge.stages.prompts import Framing, PromptTemplate, read_template
from sqljudge.stages.score import Rules, score_forced, score_judgments, which_execute

FORCED = "forced"
PROMPTS = {"reasoning": "config/prompts/reasoning.txt", "yes_no": "config/prompts/yes_no.txt"}
"""The paper's prompts, without the schema."""
CLOSING = "config/prompts/forced.txt"
CHOICES = (*METHODS, FORCED, *(name for name, known in BASELINES.items() if not known.uses_gold))
"""The methods: those of discriminators that ask a model, verdicts that are forced, and baselines without gold."""


@dataclass(frozen=True, slots=True)
class JudgedCandidate:
    """A candidate, what it does on its database, and what was said of it.

    `sql`: as it was given. `outcome`, `message`, `rows` (the first ones), `row_count`, `columns`: as in `Execution`.
    `score`: from 0 to 1; -0.5 where the model gave no verdict, -1 where the candidate does not execute, so that the
    model was not asked. `verdict`: None where there is none, as of every baseline. `response`: what the model wrote, up
    to the budget. `chosen`: it is the question's choice.
    """

    sql: str
    outcome: Outcome
    message: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    row_count: int
    score: float
    verdict: bool | None
    response: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    """A question with its candidates, in the order given, and the choice among them.

    `choice`: the SQL as it was given, None where no candidate executes. `reason`: why this one.
    """

    id: str | int
    db: str
    question: str
    choice: str | None
    reason: str
    candidates: tuple[JudgedCandidate, ...]


def judge(
    questions: str | Path | Iterable[Mapping[str, Any]],
    databases: str | Path | Sequence[str | Path],
    *,
    method: str = "reasoning",
    model: str = "",
    prompt: str | Path = "",
    prompt_format: str = "raw",
    budget: int = 512,
    journal: str | Path = "results/journal",
    models_table: str | Path = "config/models.tsv",
) -> list[JudgedQuestion]:
    """Execute the candidates of questions, judge those that run, and choose the best of each question.

    `questions`: a file or mappings, see `read_questions`. `databases`: SQLite files, or SQL text in files called
    `*.sql`, which are only read; a question's `db` is a file's name without its ending. `method`: one of CHOICES.
    `model`: a name in `models_table`, a folder, a GGUF file, or a server's address (`https://host/v1#model`); a
    baseline has none. `prompt`: a template file, in place of the paper's; `prompt_format`: one of PROMPT_FORMATS.
    `budget`: most new tokens of a response. `journal`: the folder of finished requests, which are not asked again; ""
    for none. Candidates with the same normal form are judged once; the highest score is chosen, and of several
    the smallest SQL. Files of the project are looked for in the working directory first.

    Raises DataError, ConfigError or ModelError, in one line, for what is missing, malformed or does not fit together.
    """
    files = _database_files([databases] if isinstance(databases, str | Path) else databases)
    asked = read_questions(questions, files)
    _check_method(method, model, prompt, budget)
    asks = None
    if method not in BASELINES:
        template = read_template(prompt or resolve(PROMPTS[_way(method)]), required=("question", "sql"))
        spec = find_model(model, models_table)
        asks = _Discriminator(method, spec, template, Framing(prompt_format), budget, str(journal))
        asks.check()
    for one in asked if method == "likelihood" else ():
        if None in (logprob for _, logprob in one.candidates):
            what = "a candidate has no 'mean_logprob', by which the method 'likelihood' scores"
            raise DataError(f"{one.where}: {what}; give that of each, or take another method")
    normal = [[normalize_sql(sql, quoted_names=True) for sql, _ in one.candidates] for one in asked]
    sets = [_distinct(number, one, forms) for number, (one, forms) in enumerate(zip(asked, normal, strict=True))]
    with _layout(files) as folder:
        with Sandbox() as sandbox:
            used = {one.db: folder / one.db / f"{one.db}.sqlite" for one in asked}
            texts = {db: schema_text(tables_entry(sandbox, db, path), BIRD) for db, path in used.items()}
        known = [Question(i, one.db, one.question, "", texts[one.db], NO_LEVEL) for i, one in enumerate(asked)]
        executions = execute_candidates(known, sets, folder, workers=WORKERS)
        if asks:
            scores, responses = asks.scores(known, sets, which_execute(executions))
        else:
            groups = group_results(known, sets, executions, folder, workers=WORKERS)
            scores, responses = score_baseline(method, sets, executions, groups, mode="check", seed=SEED), {}
    ran = {(run.question_id, run.sql): run for run in executions}
    scored = {(score.question_id, score.sql): score for score in scores}
    judged = []
    for number, (one, forms, chosen) in enumerate(zip(asked, normal, rerank(sets, scores), strict=True)):
        runs = chosen.score != NOT_EXECUTABLE_SCORE
        place = forms.index(chosen.sql) if runs else None
        candidates = tuple(
            _judged(sql, ran[number, form], scored[number, form], responses.get((number, form), ""), i == place)
            for i, ((sql, _), form) in enumerate(zip(one.candidates, forms, strict=True))
        )
        choice = None if place is None else one.candidates[place][0]
        reason = chosen.reason if runs else NO_CHOICE
        judged.append(JudgedQuestion(one.id, one.db, one.question, choice, reason, candidates))
    return judged


NO_CHOICE = "no candidate executes"
SEED = 42
"""Of the baseline `random`; the workflow's own."""
WORKERS = min(4, os.cpu_count() or 1)


def _distinct(number: int, one: Asked, forms: Sequence[str]) -> CandidateSet:
    found: dict[str, Candidate] = {}
    for form, (_, logprob) in zip(forms, one.candidates, strict=True):
        known = found.get(form, Candidate(form, 0))
        best = max((value for value in (known.mean_logprob, logprob) if value is not None), default=None)
        found[form] = Candidate(form, known.count + 1, mean_logprob=best)
    return CandidateSet(number, tuple(found.values()))


def _judged(sql: str, run: Execution, score: Score, response: str, chosen: bool) -> JudgedCandidate:
    result = (run.outcome, run.message, run.columns, run.rows, run.row_count)
    return JudgedCandidate(sql, *result, score.score, score.verdict, response, chosen)


# --- databases --------------------------------------------------------------------------------------------------------


def _database_files(paths: Sequence[str | Path]) -> dict[str, Path]:
    """The user's files by db_id, the file's name without its ending."""
    files: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.is_file():
            what = "is a folder; name the database's file" if path.is_dir() else "no such database; correct the path"
            raise DataError(f"{path}: {what}")
        if path.stem in files:
            raise DataError(
                f"{path}: has the same name as {files[path.stem]}, which 'db' could not tell apart; rename one"
            )
        files[path.stem] = path
    if not files:
        raise DataError("no database is named; name at least one SQLite file")
    return files


@contextmanager
def _layout(files: Mapping[str, Path]) -> Iterator[Path]:
    """A folder in which the databases lie as the stages expect it: links to the user's files, and what SQL text makes.

    Errors name the user's files.
    """
    with tempfile.TemporaryDirectory(prefix="sqljudge.") as folder:
        names = {str(Path(folder) / db / f"{db}.sqlite"): str(path) for db, path in files.items()}
        try:
            for place, path in names.items():
                Path(place).parent.mkdir()
                if path.endswith(".sql"):
                    build_database(Path(path), Path(place))
                else:
                    Path(place).symlink_to(Path(path).resolve())
            yield Path(folder)
        except SqljudgeError as error:
            text = str(error)
            for place, path in names.items():
                text = text.replace(place, path)
            raise type(error)(text) from error


# --- who judges -------------------------------------------------------------------------------------------------------


def _check_method(method: str, model: str, prompt: str | Path, budget: int) -> None:
    if method not in CHOICES:
        what = "looks at the gold query, and there is none" if method in BASELINES else "is not known"
        raise ConfigError(f"method: '{method}' {what}; possible: {', '.join(CHOICES)}")
    if method in BASELINES and (model or prompt):
        raise ConfigError(f"method: '{method}' asks no model; take out the {'model' if model else 'prompt'}")
    if method not in BASELINES and not model:
        without = ", ".join(name for name in CHOICES if name in BASELINES)
        raise ConfigError(f"method: '{method}' asks a model; name one, or take a method that asks none: {without}")
    if budget < 1:
        raise ConfigError(f"budget: {budget} is too small; the least is 1 token")


def find_model(model: str, models_table: str | Path) -> ModelSpec:
    """The model of a name in the models table, of a server's address, or of a folder or GGUF file.

    Raises ConfigError for a name that is none of these, or an address or table that is malformed.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").replace("#", "/").rpartition("/")[2])
    if model.startswith(("http://", "https://")):
        spec = ModelSpec(name, model, "-", "openai", "-", "-")
        check_spec(spec)
        return spec
    models = read_models(resolve(str(models_table)))
    if model in models:
        return models[model]
    if Path(model).expanduser().exists():
        return ModelSpec(name.removesuffix(".gguf"), model, "-", "transformers", "auto", "none")
    if model.startswith((".", "/", "~")) or model.endswith(".gguf"):
        raise ConfigError(f"model: {model} does not exist; correct the path")
    what = f"is no row of {models_table}, no folder or GGUF file, and no server's address"
    raise ConfigError(f"model: '{model}' {what}{nearest(model, models)}")


def _way(method: str) -> str:
    """The method of asking a model: a forced verdict is of a reasoned response."""
    return "reasoning" if method == FORCED else method


@dataclass(frozen=True, slots=True)
class _Discriminator:
    """A method that asks a model, and all that it is asked with."""

    method: str
    spec: ModelSpec
    template: PromptTemplate
    framing: Framing
    budget: int
    journal: str

    def check(self) -> None:
        """Check what can be checked without loading the model. Raises ConfigError or ModelError."""
        check_weights(self.spec)
        check_prompt_format(self.spec, self.framing.prompt_format)
        if self.method == FORCED:
            check_forced(self.spec)

    def scores(
        self, questions: Sequence[Question], sets: Sequence[CandidateSet], executable: Mapping[tuple[int, str], bool]
    ) -> tuple[list[Score], dict[tuple[int, str], str]]:
        """A score for each candidate, and the responses; a candidate that does not execute is not asked about."""
        pairs = [(one, sql) for one, sql in judged_pairs(questions, sets) if executable[one.id, sql]]
        checked: dict[str, Any] = {"mode": "check", "executable": executable}
        if not pairs:
            return score_forced(sets, [], **checked), {}
        asked: dict[str, Any] = {"method": _way(self.method), "template": self.template, "framing": self.framing}
        with model_session(
            dataclasses.asdict(self.spec),
            [],
            gpu=0 if BACKENDS[self.spec.backend].remote else min(1, len(usable_devices())),
            journal=self.journal,
            label=f"judge.{self.method}",
            failures_tolerated=0.0,
        ) as session:
            judgments = judge_pairs(session, pairs, budget=self.budget, **asked)
            if self.method == FORCED:
                closing = read_closing(resolve(CLOSING))
                verdicts = force(session, pairs, judgments, closing=closing, budgets=[self.budget], **asked)
                scores = score_forced(sets, verdicts, **checked)
            else:
                rules = Rules(template=self.template.text)
                scores = score_judgments(sets, judgments, budget=self.budget, scoring="soft", rules=rules, **checked)
        return scores, {(one.question_id, one.sql): one.response for one in judgments}
