"""From (question, candidate) pairs to judgments: what a discriminator says, unscored. Knows no metric."""

from __future__ import annotations

from collections.abc import Sequence

from sqljudge.core.errors import ConfigError
from sqljudge.core.records import Judgment, Question
from sqljudge.models.engines.base import Prompt
from sqljudge.models.session import Session
from sqljudge.stages.kinds import KINDS
from sqljudge.stages.prompts import Evidence, PromptTemplate, fill, no_evidence

Pair = tuple[Question, str]


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

    `evidence`: what the prompts show beyond question, schema and SQL. `budget`: most new tokens of a response (a kind
    that writes none uses none). Raises ConfigError for an unknown kind or, for one that responds, a budget below 1.
    """
    if kind not in KINDS:
        raise ConfigError(f"discriminator kind '{kind}' is unknown; known: {', '.join(KINDS)}")
    if KINDS[kind].responds and budget < 1:
        raise ConfigError(f"budget is {budget}; a {kind} discriminator needs at least 1 new token")
    prompts = asked(session, pairs, template=template, frame=frame, evidence=evidence)
    return KINDS[kind].judge(session, pairs, prompts, budget)
