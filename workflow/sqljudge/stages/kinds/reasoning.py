"""A greedy response, each token with its log-probability, that a verdict is read from later (paper, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from sqljudge.core.records import UNANSWERED, Judgment, Question
from sqljudge.models.engines.base import Failure, GenerationRequest, Prompt
from sqljudge.models.session import Session


def judge(
    session: Session, pairs: Sequence[tuple[Question, str]], prompts: Sequence[Prompt], budget: int
) -> list[Judgment]:
    """A response of at most `budget` new tokens."""
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
