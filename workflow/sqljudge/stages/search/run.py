"""One search over all questions: what its steps ask of a generator, how a discriminator values what comes of them.

Knows models, baselines and files; how a planner plans is in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.core.files import write_json
from sqljudge.core.records import Candidate, CandidateSet, Execution, Question, ResultGroup, read_jsonl, write_jsonl
from sqljudge.core.variants import FORCED
from sqljudge.models.engines.base import Failure
from sqljudge.models.session import Session, model_sessions, no_report
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.baselines import score_baseline
from sqljudge.stages.execute import execute_candidates
from sqljudge.stages.force import force, read_closing
from sqljudge.stages.generate import Decoding, extract_sql, sample_requests
from sqljudge.stages.judge import judge
from sqljudge.stages.prompts import Framing, PromptTemplate, fill, read_template
from sqljudge.stages.score import SCORINGS, Rules, mode_of, score_forced, score_judgments, which_execute
from sqljudge.stages.search.correction import Correction, correction
from sqljudge.stages.search.cost import Ledger, of_completion, of_judging
from sqljudge.stages.search.driver import Outcome, Plan, Propose, Step, Value, search
from sqljudge.stages.search.tree import Tree, tree

Pair = tuple[int, str]
Questions = Mapping[int, Question]
Execute = Callable[[Sequence[CandidateSet]], Sequence[Execution]]
"""Runs queries on their databases; executions in their order."""


@dataclass(frozen=True, slots=True)
class StepPrompt:
    """What a step asks of a generator: a template, the query that fills its field `sql`, the opening of the answer."""

    template: PromptTemplate
    sql: str
    opening: str


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a planner searches.

    `settings`: its numbers. `plan`: one question's planner, from these and how many samples a question has. `prompt`:
    what a step's start asks, from the generator's own template and the planner's (None if it has none). `opens`:
    whether it opens the generator's answer with SQL of its own.
    """

    settings: type[Any]
    plan: Callable[[Any, int], Plan]
    prompt: Callable[[PromptTemplate, PromptTemplate | None, str], StepPrompt]
    opens: bool


def _corrected(plain: PromptTemplate, correct: PromptTemplate | None, start: str) -> StepPrompt:
    template = correct if start and correct else plain
    return StepPrompt(template, start, template.opening)


def _continued(plain: PromptTemplate, _own: PromptTemplate | None, start: str) -> StepPrompt:
    """The generator's own prompt, its answer opened with the first clauses."""
    if not start:
        return StepPrompt(plain, "", plain.opening)
    return StepPrompt(replace(plain, opening=start.replace("$", "$$")), "", start)


STRATEGIES: dict[str, Strategy] = {
    "correction": Strategy(Correction, correction, _corrected, opens=False),
    "tree_search": Strategy(Tree, tree, _continued, opens=True),
}
"""The strategies by name."""


def settings_of(planner: Mapping[str, Any]) -> Any:
    """The numbers of a configured planner, as its strategy has them."""
    strategy = STRATEGIES[planner["strategy"]]
    return strategy.settings(**{key: planner[key] for key in planner if key not in ("strategy", "label", "prompt")})


@dataclass(frozen=True, slots=True)
class Writer:
    """A generator and how it is asked. `prompt`: what a step asks, by its start. `quoted_names`: of `normalize_sql`."""

    session: Session
    prompt: Callable[[str], StepPrompt]
    framing: Framing
    extraction: str
    decoding: Decoding
    seed: int
    quoted_names: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """A discriminator and how it is asked and read.

    `closing`: what a forced verdict closes a thought with. `verdicts`: a key of VERDICTS.
    """

    session: Session
    method: str
    template: PromptTemplate
    closing: PromptTemplate
    framing: Framing
    budget: int
    scoring: str
    verdicts: str = "any"


def model_proposals(writer: Writer, questions: Questions, ledger: Ledger) -> Propose:
    """Asks a generator; all steps are one queue of requests."""

    def propose(steps: Sequence[tuple[int, Step]]) -> list[list[str] | None]:
        prompts = [writer.prompt(step.start) for _, step in steps]
        requests = []
        for (question_id, step), each in zip(steps, prompts, strict=True):
            chat, question = writer.session.backend.render_chat, questions[question_id]
            prompt = fill(each.template, question, sql=each.sql, framing=writer.framing, chat=chat)
            requests += sample_requests(
                prompt,
                extraction=writer.extraction,
                decoding=replace(writer.decoding, samples=step.samples),
                seed=writer.seed,
                about=(question_id, step.start),
                first=step.first,
            )
        answers = iter(writer.session.complete(requests))
        found: list[list[str] | None] = []
        for (question_id, step), each in zip(steps, prompts, strict=True):
            mine = list(islice(answers, step.samples))
            texts = []
            for answer in mine:
                if not isinstance(answer, Failure):
                    ledger.add(question_id, "generator", of_completion(answer))
                    how: dict[str, Any] = {"template": each.template.text, "quoted_names": writer.quoted_names}
                    texts.append(extract_sql(writer.extraction, each.opening, answer.text, **how))
            found.append(texts if len(texts) == len(mine) else None)
        return found

    return propose


def model_values(reader: Reader, questions: Questions, ledger: Ledger, *, mode: str, execute: Execute) -> Value:
    """Asks a discriminator, as re-ranking does; all queries are one queue of requests.

    `mode`: "check" runs the queries first, and the model is asked about those that execute. Raises ConfigError for an
    unknown scoring or mode.
    """
    asks = mode_of(mode)
    if reader.scoring not in (*SCORINGS, FORCED):
        raise ConfigError(f"scoring '{reader.scoring}' is unknown; known: {', '.join((*SCORINGS, FORCED))}")

    def value(pairs: Sequence[Pair]) -> list[float | None]:
        sets = _alone(pairs)
        executable = which_execute(execute(sets)) if mode == "check" else None
        judged = [(questions[question_id], sql) for question_id, sql in pairs if asks(executable, question_id, sql)]
        how: dict[str, Any] = {
            "method": reader.method,
            "template": reader.template,
            "framing": reader.framing,
        }
        judgments = judge(reader.session, judged, budget=max(1, reader.budget), **how)  # each is read when looked at
        if reader.scoring == FORCED:
            verdicts = force(reader.session, judged, judgments, closing=reader.closing, budgets=[reader.budget], **how)
            scores = score_forced(sets, verdicts, mode=mode, executable=executable)
        else:
            scores = score_judgments(
                sets,
                judgments,
                budget=reader.budget,
                scoring=reader.scoring,
                mode=mode,
                executable=executable,
                rules=Rules(reader.verdicts, reader.template.text),
            )
        asked = (score for score in scores if score.asked)
        for judgment, score in zip(judgments, asked, strict=True):
            ledger.add(score.question_id, "discriminator", of_judging(judgment, score, reader.scoring))
        return [score.score if score.answered else None for score in scores]

    return value


def baseline_values(method: str, *, p: float, mode: str, seed: int, execute: Execute) -> Value:
    """Scores queries by a baseline, each on its own; all are run first. Raises ConfigError for an unknown method."""

    def value(pairs: Sequence[Pair]) -> list[float | None]:
        sets = _alone(pairs)
        runs = execute(sets)
        groups = [ResultGroup(run.question_id, run.sql, 0 if run.outcome == "ok" else None) for run in runs]
        return [each.score for each in score_baseline(method, sets, runs, groups, mode=mode, seed=seed, p=p)]

    return value


def _alone(pairs: Sequence[Pair]) -> list[CandidateSet]:
    """Each query as the only candidate of its question."""
    return [CandidateSet(question_id, (Candidate(sql),)) for question_id, sql in pairs]


def search_questions(
    questions: Sequence[Question],
    writer: Writer,
    values: Callable[[Questions, Ledger], Value],
    *,
    planner: Mapping[str, Any],
) -> tuple[list[Outcome], Ledger]:
    """Plan all questions by a configured planner: the outcomes in their order, and what was asked of the models.

    `values`: makes what values queries, from the questions and the ledger that it books its calls in.
    """
    settings, strategy = settings_of(planner), STRATEGIES[planner["strategy"]]
    by_id = {question.id: question for question in questions}
    ledger = Ledger(by_id)
    samples = writer.decoding.samples
    propose, value = model_proposals(writer, by_id, ledger), values(by_id, ledger)
    return search(list(by_id), lambda: strategy.plan(settings, samples), propose, value), ledger


def search_pool(
    *,
    questions: str,
    candidates: str,
    generator_prompt: str,
    planner_prompt: Sequence[str],
    discriminator_prompt: Sequence[str],
    closing: str,
    databases: str,
    generator_weights: Sequence[str],
    discriminator_weights: Sequence[str],
    selections: str,
    costs: str,
    tried: str,
    trace: str,
    generator_run: str,
    discriminator_run: str,
    planner: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    generator: Mapping[str, Any],
    discriminator: Mapping[str, Any],
    decoding: Mapping[str, Any],
    budget: int,
    scoring: str,
    verdicts: str,
    mode: str,
    quoted_names: bool,
    comparison: str,
    limits: Mapping[str, Any],
    seed: int,
    label: str,
    gpu: int,
    workers: int,
    journal: str,
    failures_tolerated: float,
) -> None:
    """Write what was chosen, what it cost, what was tried, how it went, and what each model was asked.

    `candidates`: not read; when they are there, their job's answers are in the journal. `models`: the rows of the
    models that are asked, by role: a baseline has none, and no prompt. `planner_prompt`: the planner's own, if any.
    """
    asked = read_jsonl(questions, Question)

    def execute(sets: Sequence[CandidateSet]) -> list[Execution]:
        """Runs queries as the execute stage does, so that what is executable, or right, here is so there."""
        return execute_candidates(
            asked,
            sets,
            Path(databases),
            comparison=comparison,
            workers=workers,
            limits=Limits(**limits),
            shown_rows=0,
        )

    plain = read_template(generator_prompt, required=("question", "schema"))
    own = [read_template(path, required=("question", "schema", "sql")) for path in planner_prompt]
    step_prompt = STRATEGIES[planner["strategy"]].prompt
    weights = {"generator": generator_weights, "discriminator": discriminator_weights}
    labels = {role: f"{label}.{role}" for role in models}
    with model_sessions(
        models, weights, gpu=gpu, journal=journal, labels=labels, failures_tolerated=failures_tolerated
    ) as sessions:
        writer = Writer(
            sessions["generator"],
            lambda start: step_prompt(plain, own[0] if own else None, start),
            Framing(**generator["framing"]),
            generator["extraction"],
            Decoding(**decoding),
            seed,
            quoted_names,
        )

        def values(known: Questions, ledger: Ledger) -> Value:
            method = discriminator["method"]
            if "discriminator" not in sessions:
                return baseline_values(method, p=discriminator["p"], mode=mode, seed=seed, execute=execute)
            template = read_template(discriminator_prompt[0], required=("question", "sql"))
            framing, session = Framing(**discriminator["framing"]), sessions["discriminator"]
            reader = Reader(session, method, template, read_closing(closing), framing, budget, scoring, verdicts)
            return model_values(reader, known, ledger, mode=mode, execute=execute)

        outcomes, ledger = search_questions(asked, writer, values, planner=planner)
        sets = [outcome.candidates() for outcome in outcomes]
        write_jsonl(selections, [outcome.selection() for outcome in outcomes])
        write_jsonl(costs, ledger.costs(sets))
        write_jsonl(tried, sets)
        write_jsonl(trace, outcomes)
        for role, path in (("generator", generator_run), ("discriminator", discriminator_run)):
            write_json(path, sessions[role].report() if role in sessions else no_report(discriminator["method"]))
