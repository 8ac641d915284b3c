"""The *judge* stage: what a discriminator says of (question, candidate) pairs, unscored. Knows no metric.

A method is a way of asking a model: `yes_no` reads the probability of one token, `reasoning` a response that holds a
verdict. Discriminators without a model are in `baselines`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import write_json
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import UNANSWERED, CandidateSet, Judgment, Question, read_jsonl
from sqljudge.models.engines.base import ChoiceRequest, Failure, GenerationRequest, Prompt
from sqljudge.models.session import Lazy, Session, model_session
from sqljudge.stages.extras import Files, load_extras
from sqljudge.stages.prompts import ANSWERS, Extras, Framing, PromptTemplate, fill, no_extras, read_template
from sqljudge.stages.shards import in_shard

Pair = tuple[Question, str]
"""A question and the SQL of one of its candidates."""


def yes_no(
    session: Session, pairs: Sequence[Pair], prompts: Sequence[Prompt], framing: Framing, _budget: int
) -> Sequence[Judgment]:
    """One forward pass a prompt: the probability of `Yes`, over the whole vocabulary (paper, section 4)."""
    alone = framing.yes_token == "alone"
    choices = session.choose(
        [
            ChoiceRequest(prompt, ANSWERS, alone=alone, about=(question.id, sql))
            for (question, sql), prompt in zip(pairs, prompts, strict=True)
        ]
    )

    def judgment(i: int) -> Judgment:
        (question, sql), choice = pairs[i], choices[i]
        if isinstance(choice, Failure):
            return Judgment(question.id, sql, finish_reason=UNANSWERED)
        routed = (0,) if choice.large_tokens else ()
        read = choice.prompt_tokens
        return Judgment(question.id, sql, p_yes=choice.probabilities[0], prompt_tokens=read, routed=routed)

    return Lazy(len(pairs), judgment)


def reasoning(
    session: Session, pairs: Sequence[Pair], prompts: Sequence[Prompt], _framing: Framing, budget: int
) -> Sequence[Judgment]:
    """A greedy response of at most `budget` tokens, each with its log-probability (paper, section 4)."""
    completions = session.complete(
        [
            GenerationRequest(prompt, budget, about=(question.id, sql))
            for (question, sql), prompt in zip(pairs, prompts, strict=True)
        ]
    )

    def judgment(i: int) -> Judgment:
        (question, sql), completion = pairs[i], completions[i]
        if isinstance(completion, Failure):
            return Judgment(question.id, sql, finish_reason=UNANSWERED)
        return Judgment(
            question.id,
            sql,
            response=completion.text,
            token_ids=completion.token_ids,
            logprobs=completion.logprobs,
            token_ends=completion.token_ends,
            finish_reason=completion.finish_reason,
            budget=budget,
            prompt_tokens=completion.prompt_tokens,
            routed=completion.routed,
        )

    return Lazy(len(pairs), judgment)


@dataclass(frozen=True, slots=True)
class Method:
    """A way of asking a model for a judgment.

    `judge`: one judgment a pair, in order, one that says UNANSWERED where the request failed; it is given the
    filled templates of the pairs, how they are framed, and the most new tokens of a response. `about`: what it is,
    for the configuration's page. `responds`: whether it writes a response up to a budget, which verdicts are read
    from and can be forced in; else its judgments hold `p_yes`.
    """

    judge: Callable[[Session, Sequence[Pair], Sequence[Prompt], Framing, int], Sequence[Judgment]]
    about: str
    responds: bool


METHODS: dict[str, Method] = {
    "yes_no": Method(yes_no, "one forward pass for the probability of Yes", responds=False),
    "reasoning": Method(reasoning, "a reasoned response with a JSON verdict", responds=True),
}
"""The methods of discriminators that ask a model, by name."""


def method_of(name: str) -> Method:
    """The method of a name. Raises ConfigError for an unknown one."""
    if name not in METHODS:
        raise ConfigError(f"discriminator method '{name}' is unknown; known: {', '.join(METHODS)}")
    return METHODS[name]


def build_prompts(
    session: Session, pairs: Sequence[Pair], *, template: PromptTemplate, framing: Framing, extras: Extras
) -> list[Prompt]:
    """The prompt in which each pair is judged, in order."""
    chat = session.backend.render_chat
    return [fill(template, question, sql=sql, framing=framing, chat=chat, extras=extras) for question, sql in pairs]


def judge(
    session: Session,
    pairs: Sequence[Pair],
    *,
    method: str,
    template: PromptTemplate,
    framing: Framing,
    budget: int,
    extras: Extras = no_extras,
) -> Sequence[Judgment]:
    """One judgment a pair, in order; one that says UNANSWERED where the request failed.

    All are asked for before this returns; each is read when it is looked at (see `Session.complete`).

    `extras`: what the prompts show beyond question, schema and SQL. `budget`: most new tokens of a response (a method
    that writes none uses none). Raises ConfigError for an unknown method or, for one that responds, a budget below 1.
    """
    found = method_of(method)
    if found.responds and budget < 1:
        raise ConfigError(f"budget is {budget}; a {method} discriminator needs at least 1 new token")
    prompts = build_prompts(session, pairs, template=template, framing=framing, extras=extras)
    return found.judge(session, pairs, prompts, framing, budget)


def judged_pairs(questions: Sequence[Question], sets: Sequence[CandidateSet]) -> list[Pair]:
    """Each candidate with its question, in the order of the sets. Raises DataError for an unknown question."""
    known = {question.id: question for question in questions}
    for group in sets:
        if group.question_id not in known:
            raise DataError(f"candidates name question {group.question_id}, which is not among the questions")
    return [(known[group.question_id], candidate.sql) for group in sets for candidate in group.candidates]


def read_pairs(
    questions: str, candidates: str, shard: str, extras: Mapping[str, Any], files: Files
) -> tuple[list[Pair], Extras]:
    """The pairs of a shard ("": all) from files of questions and candidates, and the extras of their prompts."""
    asked = read_jsonl(questions, Question)
    sets = [group for group in read_jsonl(candidates, CandidateSet) if in_shard(group.question_id, shard)]
    return judged_pairs(asked, sets), load_extras(extras, files, asked)


def judge_pool(
    *,
    questions: str,
    candidates: str,
    prompt: str,
    weights: Sequence[str],
    judgments: str,
    run: str,
    model: Mapping[str, Any],
    method: str,
    framing: Mapping[str, Any],
    budget: int,
    extras: Mapping[str, Any],
    label: str,
    gpu: int = 0,
    shard: str = "",
    journal: str,
    failures_tolerated: float,
    **files: str,
) -> None:
    """Write the judgments of a pool's candidates, and what they cost. `files`: those that the extras read."""
    with model_session(
        model, weights, gpu=gpu, journal=journal, label=label, shard=shard, failures_tolerated=failures_tolerated
    ) as session:
        pairs, shown = read_pairs(questions, candidates, shard, extras, files)
        found = judge(
            session,
            pairs,
            method=method,
            template=read_template(prompt, required=("question", "sql", *extras), further=extras),
            framing=Framing(**framing),
            budget=budget,
            extras=shown,
        )
        write_judgments(judgments, found)
        write_json(run, session.report())
