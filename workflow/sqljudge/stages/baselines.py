"""Discriminators that cost nothing: scores without a model. They say what a model's judgment must beat.

Knows candidates and what they did on their database, no judgment.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.records import NOT_EXECUTABLE_SCORE, CandidateSet, Execution, ResultGroup, Score

TIE = 1e-6
"""What a place in the set takes from a score, so that of equally good candidates the first sampled is the best."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One question's candidates, in first-seen order, and what is known of each without a model.

    `counts`: how often each was sampled. `logprobs`: its mean token log-probability, None if unknown. `groups`: its
    group of equal results, None where it does not execute. `correct`: whether its result is the gold query's.
    `draws`: a number in [0, 1) for each, from the seed, the question and the SQL alone. `parameter`: what follows the
    colon of a name such as `oracle:0.9`.
    """

    question_id: int
    counts: Sequence[int]
    logprobs: Sequence[float | None]
    groups: Sequence[int | None]
    correct: Sequence[bool]
    draws: Sequence[float]
    parameter: float


def _random(ballot: Ballot) -> list[float]:
    return list(ballot.draws)


def _first(ballot: Ballot) -> list[float]:
    return [1.0 - TIE * place for place in range(len(ballot.counts))]


def _executable(ballot: Ballot) -> list[float]:
    return [float(group is not None) - TIE * place for place, group in enumerate(ballot.groups)]


def _majority(ballot: Ballot) -> list[float]:
    """The share of samples that give the same result, of all samples that execute; 0 where it does not execute.

    Self-consistency (Wang et al. 2023). A tie goes to the group, and in it to the candidate, that was seen first.
    """
    votes = dict.fromkeys(ballot.groups, 0)
    for group, count in zip(ballot.groups, ballot.counts, strict=True):
        votes[group] += count
    votes[None] = 0
    total = sum(votes.values()) or 1
    return [votes[group] / total - TIE * place for place, group in enumerate(ballot.groups)]


def _likelihood(ballot: Ballot) -> list[float]:
    """The geometric mean of the probabilities that the generator gave the tokens of a candidate's likeliest sample."""
    known = [math.exp(value) for value in ballot.logprobs if value is not None]
    if len(known) < len(ballot.logprobs):
        what = "a candidate has no log-probability; generate again, or take 'likelihood' from the experiments"
        raise DataError(f"question {ballot.question_id}: {what}")
    return known


def _oracle(ballot: Ballot) -> list[float]:
    """1 for a correct and 0 for a wrong candidate, with probability p; with 1 - p the other way round.

    As the parent study simulates discriminators of a given accuracy (Chen et al. 2024), but with the execution match
    in the place of its graded overlap of first rows. A larger p is right wherever a smaller one is.
    """
    pairs = zip(ballot.correct, ballot.draws, strict=True)
    return [float(correct == (draw < ballot.parameter)) for correct, draw in pairs]


SCORERS: dict[str, tuple[Callable[[Ballot], list[float]], str]] = {
    "random": (_random, "Random"),
    "first": (_first, "First sampled"),
    "executable": (_executable, "First that executes"),
    "majority": (_majority, "Majority of results"),
    "likelihood": (_likelihood, "Generator's likelihood"),
    "oracle": (_oracle, "Oracle, right with p ="),
}
"""The discriminators without a model: how each scores, and what tables call it."""

PARAMETRIC = frozenset({"oracle"})
"""Those whose name goes on with a colon and a probability."""

WITH_GOLD = frozenset({"oracle"})
"""Those that look at the gold query: no discriminator can be had so, they bound and calibrate what one could gain."""

ALONE = frozenset({"random", "executable", "oracle"})
"""Those whose score of a candidate does not rest on the question's other candidates: they can value a new query."""


def parse(name: str) -> tuple[str, float]:
    """The scorer and the parameter of a name: `oracle:0.9` is ("oracle", 0.9), a name without a colon has 1.

    Raises ConfigError for an unknown name, or a parameter that is missing, not wanted or not from 0 to 1.
    """
    kind, colon, text = name.partition(":")
    if kind not in SCORERS:
        raise ConfigError(f"'{name}' is no discriminator without a model; known: {', '.join(SCORERS)}")
    try:
        parameter = float(text) if colon else 1.0
    except ValueError:
        parameter = -1.0
    if bool(colon) != (kind in PARAMETRIC) or not 0 <= parameter <= 1:
        wanted = f"'{kind}:p' with p from 0 to 1" if kind in PARAMETRIC else f"'{kind}' alone"
        raise ConfigError(f"'{name}': write {wanted}")
    return kind, parameter


def label(name: str) -> str:
    """What tables call it."""
    kind, parameter = parse(name)
    text = SCORERS[kind][1]
    return f"{text} {parameter:g} (uses gold)" if kind in PARAMETRIC else text


def uses_gold(name: str) -> bool:
    """Whether its scores look at the gold query."""
    return parse(name)[0] in WITH_GOLD


def draw(seed: int, question_id: int, sql: str) -> float:
    """A number in [0, 1), uniform over candidates."""
    digest = hashlib.sha256(f"{seed}\0{question_id}\0{sql}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def score_without_model(
    name: str,
    candidates: Sequence[CandidateSet],
    executions: Sequence[Execution],
    groups: Sequence[ResultGroup],
    *,
    asked: Callable[[Mapping[tuple[int, str], bool], int, str], bool],
    seed: int,
) -> list[Score]:
    """Score every candidate without a model, in the order of the candidate sets.

    `name`: see `parse`. `asked`: which candidates a mode lets a discriminator see (`verdicts.MODES`); the others score
    -1. Raises ConfigError for an unknown name, DataError if an execution or a group is missing.
    """
    kind, parameter = parse(name)
    runs = {(run.question_id, run.sql): run for run in executions}
    executable = {key: run.outcome == "ok" for key, run in runs.items()}
    number = {(group.question_id, group.sql): group.group for group in groups}
    scores = []
    for group in candidates:
        ballot = _ballot(group, runs, number, seed, parameter)
        for candidate, value in zip(group.candidates, SCORERS[kind][0](ballot), strict=True):
            key = (group.question_id, candidate.sql)
            seen = asked(executable, *key)
            scores.append(Score(*key, value if seen else NOT_EXECUTABLE_SCORE, None, failure=False, asked=seen))
    return scores


def _ballot(
    group: CandidateSet,
    runs: Mapping[tuple[int, str], Execution],
    number: Mapping[tuple[int, str], int | None],
    seed: int,
    parameter: float,
) -> Ballot:
    keys = [(group.question_id, candidate.sql) for candidate in group.candidates]
    for key in keys:
        if key not in runs or key not in number:
            raise DataError(f"question {key[0]}: no execution or group of candidate {key[1]!r}; run them again")
    return Ballot(
        group.question_id,
        [candidate.count for candidate in group.candidates],
        [candidate.mean_logprob for candidate in group.candidates],
        [number[key] for key in keys],
        [runs[key].correct is True for key in keys],
        [draw(seed, *key) for key in keys],
        parameter,
    )
