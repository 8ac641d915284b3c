"""One forward pass a prompt: the softmax probability of `Yes` as the next token (paper, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from sqljudge.core.records import UNANSWERED, Judgment, Question
from sqljudge.models.engines.base import ChoiceRequest, Failure, Prompt
from sqljudge.models.session import Session

WORDS = ("Yes", "No")


def judge(
    session: Session, pairs: Sequence[tuple[Question, str]], prompts: Sequence[Prompt], _budget: int
) -> list[Judgment]:
    """The probability of Yes, over the whole vocabulary."""
    choices = session.choose([ChoiceRequest(prompt, WORDS) for prompt in prompts])
    return [
        Judgment(question.id, sql, finish_reason=UNANSWERED)
        if isinstance(choice, Failure)
        else Judgment(question.id, sql, p_yes=choice.probabilities[0], prompt_tokens=choice.prompt_tokens)
        for (question, sql), choice in zip(pairs, choices, strict=True)
    ]
