"""Forced verdicts: a thought is cut at a budget and closed, the answer opened up to the verdict, and the verdict read.

Knows judgments and prompts, no metric. A forced verdict takes one forward pass and is never missing: the probability of
true as a share of what true and false have together as the next token. See docs/beyond.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import write_json
from sqljudge.core.parquet import iter_judgments
from sqljudge.core.records import (
    CORRECT_THRESHOLD,
    UNANSWERED,
    ForcedVerdict,
    Judgment,
    Question,
    by_candidate,
    keyed,
    write_jsonl,
)
from sqljudge.models.engines.base import Choice, ChoiceRequest, Failure, Prompt
from sqljudge.models.session import Session, model_session
from sqljudge.stages.judge import Pair, build_prompts, method_of, read_pairs
from sqljudge.stages.prompts import Extras, Framing, PromptTemplate, fill, no_extras, read_template
from sqljudge.stages.score import text_within

WORDS = ("true", "false")
_CASES = (str.lower, str.title, str.upper)
SPELLINGS = tuple(
    tuple(space + quote + case(word) for space, quote, case in product(("", " "), ("", '"', "'"), _CASES))
    for word in WORDS
)
"""The ways in which each verdict may be written: those that are read in a response (docs/method.md)."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A rendered prompt and the judgment that followed it.

    `closing`: the text that closes the thought and opens the answer. `marker`: what in it marks the thought's end.
    """

    prompt: Prompt
    judgment: Judgment
    closing: str
    marker: str

    def forced(self, budget: int) -> tuple[Prompt, int]:
        """The prompt of the forced verdict at a budget, and how many new tokens of the thought are in it.

        The thought ends where the marker begins, if that is sooner; a response without it is all thought. A prompt that
        has closed the thought itself leaves none. White space at the thought's end is left out: the closing brings its
        own. Raises DataError where the judgment was cut below the budget.
        """
        asked = self.prompt.text.rstrip()
        if asked.endswith(self.marker):
            return self._closed(asked.removesuffix(self.marker)), 0
        text, ends = text_within(self.judgment, budget), self.judgment.token_ends
        end = self.judgment.response.find(self.marker)
        if not 0 <= end < len(text):
            return self._closed(self.prompt.text + text), min(budget, len(ends))
        return self._closed(self.prompt.text + text[:end]), bisect_left(ends, end) + 1 if end else 0

    def _closed(self, text: str) -> Prompt:
        return Prompt(text.rstrip() + self.closing, self.prompt.special)


def read_closing(path: str | Path) -> PromptTemplate:
    """Read the template whose first part closes a thought, and whose second opens the answer up to the verdict.

    The first part, without white space around it, is also what marks a thought's end in a response. Raises ConfigError
    as `read_template` does, and where a part is empty.
    """
    template = read_template(path, required=())
    if not template.user.strip() or not template.opening.strip():
        raise ConfigError(f"prompt {path}: needs what closes a thought before the divider, and an opened answer after")
    return template


@dataclass(frozen=True, slots=True)
class _Cut:
    """A thought that is cut and closed: the prompt that asks for its verdict, and what it took to write it.

    `tokens`, `prompt_tokens`, `large_tokens`: as in `ForcedVerdict`, the last for the thought alone.
    """

    asked: Prompt
    tokens: int
    prompt_tokens: int
    large_tokens: int


def _cut(thought: Thought, budget: int) -> _Cut:
    asked, tokens = thought.forced(budget)
    judgment = thought.judgment
    return _Cut(asked, tokens, judgment.prompt_tokens, judgment.large_tokens(tokens))


def _verdict(key: tuple[int, str, int], cut: _Cut, choice: Choice | Failure) -> ForcedVerdict:
    if isinstance(choice, Failure):
        return ForcedVerdict(*key, cut.tokens)
    true, false = choice.probabilities
    mass = true + false
    value, large = true / mass if mass else CORRECT_THRESHOLD, max(cut.large_tokens, choice.large_tokens)
    return ForcedVerdict(*key, cut.tokens, value, mass, cut.prompt_tokens, large)


def read_thoughts(
    session: Session,
    pairs: Sequence[Pair],
    judgments: Sequence[Judgment],
    *,
    template: PromptTemplate,
    closing: PromptTemplate,
    framing: Framing,
    extras: Extras = no_extras,
) -> list[Thought]:
    """The thought of each pair's judgment, in order; arguments as in `force`."""
    known = by_candidate(judgments, "judgments")
    prompts = build_prompts(session, pairs, template=template, framing=framing, extras=extras)
    thoughts = []
    for (question, sql), prompt in zip(pairs, prompts, strict=True):
        if (question.id, sql) not in known:
            raise DataError(f"question {question.id}: no judgment of candidate {sql!r}; run the discriminator again")
        thoughts.append(_thought(session, question, prompt, known[question.id, sql], closing))
    return thoughts


def _thought(
    session: Session, question: Question, prompt: Prompt, judgment: Judgment, closing: PromptTemplate
) -> Thought:
    chat = session.backend.render_chat
    closed = fill(closing, question, sql=judgment.sql, framing=Framing("raw"), chat=chat).text
    return Thought(prompt, judgment, closed, closing.user.strip())


def force(
    session: Session,
    pairs: Sequence[Pair],
    judgments: Iterable[Judgment],
    *,
    method: str,
    template: PromptTemplate,
    closing: PromptTemplate,
    framing: Framing,
    budgets: Sequence[int],
    extras: Extras = no_extras,
) -> list[ForcedVerdict]:
    """A forced verdict for each pair at each budget (0: before the first token), pair by pair.

    `judgments`: each is looked at once, and none is kept. `template`, `framing`, `extras`: of the prompt that they
    answer. `closing`: see `read_closing`. Raises ConfigError for an unknown method, DataError, naming the candidate, if
    a judgment is missing or does not reach a budget.
    """
    responds = method_of(method).responds
    keys = [(question.id, sql) for question, sql in pairs]
    prompts = build_prompts(session, pairs, template=template, framing=framing, extras=extras)
    asked = {key: (question, prompt) for key, (question, _), prompt in zip(keys, pairs, prompts, strict=True)}

    def cuts(key: tuple[int, str], judgment: Judgment) -> list[_Cut]:
        if judgment.finish_reason == UNANSWERED:
            return []
        question, prompt = asked[key]
        thought = _thought(session, question, prompt, judgment, closing)
        return [_cut(thought, budget) for budget in budgets]

    thoughts: dict[tuple[int, str], list[_Cut]] = {}
    given: dict[tuple[int, str], dict[str, Any]] = {}
    for key, judgment in keyed(judgments, "judgments"):
        if key in asked:
            spent = {"prompt_tokens": judgment.prompt_tokens, "large_tokens": judgment.large_tokens(0)}
            given[key] = {"probability": judgment.p_yes, **spent}
            thoughts[key] = cuts(key, judgment) if responds else []
    for key in keys:
        if key not in given:
            raise DataError(f"question {key[0]}: no judgment of candidate {key[1]!r}; run the discriminator again")
    if not responds:  # P(Yes) at every budget: there is no thought to cut, and nothing is asked
        return [ForcedVerdict(*key, budget, **given[key]) for key in keys for budget in budgets]
    choices = iter(
        session.choose([ChoiceRequest(cut.asked, WORDS, SPELLINGS) for key in keys for cut in thoughts[key]])
    )
    found = []
    for key in keys:
        cut = thoughts[key]
        for at, budget in enumerate(budgets):
            found.append(_verdict((*key, budget), cut[at], next(choices)) if cut else ForcedVerdict(*key, budget))
    return found


def force_pool(
    *,
    questions: str,
    candidates: str,
    judgments: str,
    prompt: str,
    closing: str,
    weights: Sequence[str],
    forced: str,
    run: str,
    model: Mapping[str, Any],
    method: str,
    framing: Mapping[str, Any],
    budgets: Sequence[int],
    extras: Mapping[str, Any],
    label: str,
    gpu: int = 0,
    shard: str = "",
    journal: str,
    failures_tolerated: float,
    **files: str,
) -> None:
    """Write the forced verdicts of a pool's candidates, and what they cost. `files`: those that the extras read."""
    with model_session(
        model, weights, gpu=gpu, journal=journal, label=label, shard=shard, failures_tolerated=failures_tolerated
    ) as session:
        pairs, shown = read_pairs(questions, candidates, shard, extras, files)
        verdicts = force(
            session,
            pairs,
            iter_judgments(judgments),
            method=method,
            template=read_template(prompt, required=("question", "sql", *extras), further=extras),
            closing=read_closing(closing),
            framing=Framing(**framing),
            budgets=budgets,
            extras=shown,
        )
        write_jsonl(forced, verdicts)
        write_json(run, session.report())
