"""How a search asks: completions of a generator, and scores by a model or without one. Knows no planner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.core.records import Candidate, CandidateSet, Execution, Judgment, Question, ResultGroup, Score
from sqljudge.data.datasets import DatasetFormat
from sqljudge.models.engines.base import Failure
from sqljudge.models.session import Session
from sqljudge.stages.baselines import score_without_model
from sqljudge.stages.force import force, read_closing
from sqljudge.stages.generate import Decoding, extract_sql, sample_requests
from sqljudge.stages.judge import judge
from sqljudge.stages.prompts import PromptTemplate, fill, read_template
from sqljudge.stages.score import MODES, SCORINGS, score_forced, score_judgments, which_execute
from sqljudge.stages.search.driver import Propose, Step, Value
from sqljudge.stages.search.kinds import Asked
from sqljudge.stages.search.spending import Ledger, of_completion, of_judging

Pair = tuple[int, str]
Questions = Mapping[int, Question]
Execute = Callable[[Sequence[CandidateSet]], Sequence[Execution]]
"""Runs queries on their databases; executions in their order."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A generator and how it is asked. `ask`: what a step's start asks of it; `quoted_names` as in `normalize_sql`."""

    session: Session
    ask: Callable[[str], Asked]
    frame: str
    extraction: str
    decoding: Decoding
    seed: int
    quoted_names: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """A discriminator and how it is asked and read. `closing`: what a forced verdict closes a thought with."""

    session: Session
    kind: str
    template: PromptTemplate
    closing: PromptTemplate
    frame: str
    budget: int
    scoring: str


def writer_of(
    session: Session, ask: Callable[[str], Asked], settings: Mapping[str, Any], *, seed: int, form: DatasetFormat
) -> Writer:
    """A configured generator. `settings`: those of its entry, and those of its decoding."""
    decoding = Decoding(settings["samples"], settings["temperature"], settings["max_new_tokens"])
    return Writer(session, ask, settings["frame"], settings["extraction"], decoding, seed, form.quoted_names)


def reader_of(session: Session, prompts: tuple[str, str], settings: Mapping[str, Any]) -> Reader:
    """A configured discriminator.

    `prompts`: the files of its template and of what closes a thought; `settings`: those of its entry, and budget and
    scoring. Raises ConfigError for a template that cannot be read or lacks a field.
    """
    template, closing = read_template(prompts[0], required=("question", "sql")), read_closing(prompts[1])
    budget, scoring = int(settings["budget"]), settings["scoring"]
    return Reader(session, settings["kind"], template, closing, settings["frame"], budget, scoring)


def proposing(writer: Writer, questions: Questions, ledger: Ledger) -> Propose:
    """Asks a generator; all steps are one queue of requests."""

    def propose(asked: Sequence[tuple[int, Step]]) -> list[list[str] | None]:
        wanted = [writer.ask(step.start) for _, step in asked]
        requests = []
        for (question_id, step), each in zip(asked, wanted, strict=True):
            chat, question = writer.session.backend.render_chat, questions[question_id]
            prompt = fill(each.template, question, sql=each.sql, frame=writer.frame, chat=chat)
            requests += sample_requests(
                prompt,
                extraction=writer.extraction,
                decoding=replace(writer.decoding, samples=step.samples),
                seed=writer.seed,
                first=step.first,
            )
        answers = iter(writer.session.complete(requests))
        found: list[list[str] | None] = []
        for (question_id, step), each in zip(asked, wanted, strict=True):
            mine = list(islice(answers, step.samples))
            texts = []
            for answer in mine:
                if not isinstance(answer, Failure):
                    ledger.add(question_id, "generator", of_completion(answer))
                    texts.append(_read(writer, each.opening, answer.text))
            found.append(texts if len(texts) == len(mine) else None)
        return found

    return propose


def _read(writer: Writer, opening: str, text: str) -> str:
    return extract_sql(writer.extraction, opening, text, quoted_names=writer.quoted_names)


def valuing(reader: Reader, questions: Questions, ledger: Ledger, *, mode: str, execute: Execute) -> Value:
    """Asks a discriminator, as re-ranking does; all queries are one queue of requests.

    `mode`: "check" runs the queries first, and the model is asked about those that execute. Raises ConfigError for an
    unknown scoring or mode.
    """
    if reader.scoring not in SCORED or mode not in MODES:
        raise ConfigError(f"scoring '{reader.scoring}' in mode '{mode}' is unknown; known: {', '.join(SCORED)}")

    def value(pairs: Sequence[Pair]) -> list[float | None]:
        sets = _alone(pairs)
        executable = which_execute(execute(sets)) if mode == "check" else None
        asked = [pair for pair in pairs if MODES[mode](executable, *pair)]
        judgments = judge(
            reader.session,
            [(questions[question_id], sql) for question_id, sql in asked],
            kind=reader.kind,
            template=reader.template,
            frame=reader.frame,
            budget=max(1, reader.budget),
        )
        known = {(judgment.question_id, judgment.sql): judgment for judgment in judgments}
        scores = SCORED[reader.scoring](reader, questions, sets, judgments, mode, executable)
        for score in scores:
            if score.asked:
                judgment = known[score.question_id, score.sql]
                ledger.add(score.question_id, "discriminator", of_judging(judgment, score, reader.scoring))
        return [score.score if score.answered else None for score in scores]

    return value


def valuing_without_model(name: str, *, mode: str, seed: int, execute: Execute) -> Value:
    """Scores queries by a discriminator without a model, each on its own; all are run first.

    Raises ConfigError for an unknown name.
    """

    def value(pairs: Sequence[Pair]) -> list[float | None]:
        sets = _alone(pairs)
        runs = execute(sets)
        groups = [ResultGroup(run.question_id, run.sql, 0 if run.outcome == "ok" else None) for run in runs]
        return [each.score for each in score_without_model(name, sets, runs, groups, asked=MODES[mode], seed=seed)]

    return value


def _alone(pairs: Sequence[Pair]) -> list[CandidateSet]:
    """Each query as the only candidate of its question."""
    return [CandidateSet(question_id, (Candidate(sql),)) for question_id, sql in pairs]


Read = Callable[
    [Reader, Questions, Sequence[CandidateSet], Sequence[Judgment], str, Mapping[Pair, bool] | None], list[Score]
]


def _own(
    reader: Reader,
    _questions: Questions,
    sets: Sequence[CandidateSet],
    judgments: Sequence[Judgment],
    mode: str,
    executable: Mapping[Pair, bool] | None,
) -> list[Score]:
    """By the verdict that the response gives."""
    return score_judgments(
        sets, judgments, budget=reader.budget, scoring=reader.scoring, mode=mode, executable=executable
    )


def _forced(
    reader: Reader,
    questions: Questions,
    sets: Sequence[CandidateSet],
    judgments: Sequence[Judgment],
    mode: str,
    executable: Mapping[Pair, bool] | None,
) -> list[Score]:
    """By a verdict that is forced where the response is cut."""
    verdicts = force(
        reader.session,
        [(questions[judgment.question_id], judgment.sql) for judgment in judgments],
        judgments,
        kind=reader.kind,
        template=reader.template,
        closing=reader.closing,
        frame=reader.frame,
        budgets=[reader.budget],
    )
    return score_forced(sets, verdicts, mode=mode, executable=executable)


SCORED: dict[str, Read] = {**dict.fromkeys(SCORINGS, _own), "forced": _forced}
"""How the judgments of new queries become scores, by scoring."""
