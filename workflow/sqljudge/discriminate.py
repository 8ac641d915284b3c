"""From (question, candidate) pairs to judgments: what a discriminator says, unscored. Knows no metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqljudge.backends.base import ChoiceRequest, Failure, GenerationRequest, Prompt
from sqljudge.errors import ConfigError
from sqljudge.inference import Session
from sqljudge.prompts import Evidence, PromptTemplate, fill, no_evidence
from sqljudge.records import UNANSWERED, Judgment, Question

YES_NO_WORDS = ("Yes", "No")

Pair = tuple[Question, str]
Judge = Callable[[Session, Sequence[Pair], Sequence[Prompt], int], list[Judgment]]


def _yes_no(session: Session, pairs: Sequence[Pair], prompts: Sequence[Prompt], budget: int) -> list[Judgment]:
    """One forward pass a prompt: softmax probability of `Yes` as the next token (paper, section 4)."""
    choices = session.choose([ChoiceRequest(prompt, YES_NO_WORDS) for prompt in prompts])
    return [
        Judgment(question.id, sql, finish_reason=UNANSWERED)
        if isinstance(choice, Failure)
        else Judgment(question.id, sql, p_yes=choice.probabilities[0], prompt_tokens=choice.prompt_tokens)
        for (question, sql), choice in zip(pairs, choices, strict=True)
    ]


def _reasoning(session: Session, pairs: Sequence[Pair], prompts: Sequence[Prompt], budget: int) -> list[Judgment]:
    """A greedy response of at most `budget` new tokens, each with its log-probability (paper, section 4)."""
    completions = session.complete([GenerationRequest(prompt, budget) for prompt in prompts])
    return [
        Judgment(question.id, sql, finish_reason=UNANSWERED)
        if isinstance(completion, Failure)
        else Judgment(
            question.id,
            sql,
            response=completion.text,
            token_ids=completion.token_ids,
            logprobs=completion.logprobs,
            token_ends=completion.token_ends,
            finish_reason=completion.finish_reason,
            budget=budget,
            prompt_tokens=completion.prompt_tokens,
        )
        for (question, sql), completion in zip(pairs, completions, strict=True)
    ]


KINDS: dict[str, Judge] = {"yes_no": _yes_no, "reasoning": _reasoning}
"""Kinds of discriminator, by name."""


def asked(
    session: Session, pairs: Sequence[Pair], *, template: PromptTemplate, frame: str, evidence: Evidence
) -> list[Prompt]:
    """The prompt in which each pair is judged, in order."""
    chat = session.backend.render_chat
    return [fill(template, question, sql=sql, frame=frame, chat=chat, evidence=evidence) for question, sql in pairs]


def judge(
    session: Session,
    pairs: Sequence[Pair],
    *,
    kind: str,
    template: PromptTemplate,
    frame: str,
    budget: int,
    evidence: Evidence = no_evidence,
) -> list[Judgment]:
    """One judgment a pair, in order; one that says UNANSWERED where the request failed.

    `evidence`: what the prompts show beyond question, schema and SQL. `budget`: most new tokens of a reasoning response
    (a yes/no discriminator uses none). Raises ConfigError for an unknown kind or, for a reasoning one, a budget below
    1.
    """
    if kind not in KINDS:
        raise ConfigError(f"discriminator kind '{kind}' is unknown; known: {', '.join(KINDS)}")
    if kind == "reasoning" and budget < 1:
        raise ConfigError(f"budget is {budget}; a reasoning discriminator needs at least 1 new token")
    prompts = asked(session, pairs, template=template, frame=frame, evidence=evidence)
    return KINDS[kind](session, pairs, prompts, budget)
