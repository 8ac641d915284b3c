"""What planners need: calls and tokens of each model for each question. Knows no planner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqljudge.core.files import read_json
from sqljudge.core.parquet import iter_judgments
from sqljudge.core.records import CandidateSet, Cost, Judgment, Score, read_jsonl, write_jsonl
from sqljudge.models.engines.base import Completion
from sqljudge.stages.score import SCORINGS

Spent = tuple[float, float, float, float]
"""Calls, tokens read, tokens written, and of two models that share the work, tokens that the large one read."""


class Ledger:
    """Adds up what a planner asks of each model, by question."""

    def __init__(self, question_ids: Iterable[int]) -> None:
        self._spent: dict[int, dict[str, list[float]]] = {
            question_id: {"generator": [0, 0, 0, 0], "discriminator": [0, 0, 0, 0]} for question_id in question_ids
        }

    def add(self, question_id: int, role: str, spent: Spent) -> None:
        """Book a call or several; `role`: "generator" or "discriminator"."""
        booked = self._spent[question_id][role]
        booked[:] = [known + more for known, more in zip(booked, spent, strict=True)]

    def costs(self, tried: Sequence[CandidateSet]) -> list[Cost]:
        """The cost of each question, in the order of what was tried for it."""
        costs = []
        for each in tried:
            spent = {
                f"{role}_{name}": amount
                for role, booked in self._spent[each.question_id].items()
                for name, amount in zip(("calls", "read", "written", "large"), booked, strict=True)
            }
            costs.append(Cost(each.question_id, queries=len(each.candidates), **spent))
        return costs


def of_completion(completion: Completion) -> Spent:
    """What one completion costs."""
    return 1, completion.prompt_tokens, len(completion.token_ids), completion.large_tokens


def of_judging(judgment: Judgment, score: Score, scoring: str) -> Spent:
    """What one score of a model costs: its prompt and what was written within the budget.

    A forced verdict reads the prompt and the thought once more (what closes the thought, a few tokens, is left out);
    before the first token nothing else is asked. A yes/no discriminator's is its own.
    """
    if scoring in SCORINGS or judgment.p_yes is not None:
        return 1, judgment.prompt_tokens, score.tokens, score.large_tokens
    thought = judgment.large_tokens(score.tokens)
    anew = score.large_tokens if score.large_tokens > thought else 0  # else the small model gave the verdict
    forced = (1, judgment.prompt_tokens + score.tokens, 0, anew)
    if not score.tokens:
        return forced
    return 1 + forced[0], judgment.prompt_tokens + forced[1], score.tokens, thought + anew


def of_choosing(
    candidates: Sequence[CandidateSet],
    run: Mapping[str, Any],
    scores: Sequence[Score] = (),
    judgments: Iterable[Judgment] = (),
    scoring: str = "",
) -> list[Cost]:
    """What a planner needs that chooses among a generator's candidates, for each question, in their order.

    `run`: what the generator's job recorded of itself; each question is booked its share. `scores`, `judgments`: of a
    model, if one was asked; a candidate that it was kept from costs nothing. Of at least one question.
    """
    ledger = Ledger(group.question_id for group in candidates)
    known = {(score.question_id, score.sql): score for score in scores}
    for judgment in judgments:
        score = known.pop((judgment.question_id, judgment.sql), None)
        if score is not None and score.asked:
            ledger.add(score.question_id, "discriminator", of_judging(judgment, score, scoring))
    keys = ("requests", "prompt_tokens", "new_tokens", "large_tokens")
    asked, read, written, large = (run.get(key, 0) / len(candidates) for key in keys)
    for group in candidates:
        ledger.add(group.question_id, "generator", (asked, read, written, large))
    return ledger.costs(candidates)


def cost_pool(
    *, candidates: str, run: str, scores: Sequence[str], judgments: Sequence[str], costs: str, scoring: str
) -> None:
    """Write what a planner needs that chooses among candidates. `scores`, `judgments`: of a model, if one was asked."""
    found = of_choosing(
        read_jsonl(candidates, CandidateSet),
        read_json(run),
        [score for path in scores for score in read_jsonl(path, Score)],
        (judgment for path in judgments for judgment in iter_judgments(path)),
        scoring,
    )
    write_jsonl(costs, found)
