"""Baselines: discriminators without a model. They say what a model's judgment must beat.

Knows candidates and what they did on their database, no judgment.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.records import (
    NOT_EXECUTABLE_SCORE,
    CandidateSet,
    Execution,
    ResultGroup,
    Score,
    read_jsonl,
    write_jsonl,
)
from sqljudge.stages.score import mode_of, which_execute

TIE = 1e-6
"""What a place in the set takes from a score, so that of equally good candidates the first sampled is the best."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One question's candidates, in first-seen order, and what is known of each without a model.

    `counts`: how often each was sampled. `logprobs`: its mean token log-probability, None if unknown. `groups`: its
    group of equal results, None where it does not execute. `correct`: whether its result is the gold query's.
    `draws`: a number in [0, 1) for each, from the seed, the question and the SQL alone. `p`: how often the oracle is
    right. `lengths`: in characters.
    """

    question_id: int
    counts: Sequence[int]
    logprobs: Sequence[float | None]
    groups: Sequence[int | None]
    correct: Sequence[bool]
    draws: Sequence[float]
    p: float
    lengths: Sequence[int] = ()


def _random(ballot: Ballot) -> list[float]:
    return list(ballot.draws)


def _first(ballot: Ballot) -> list[float]:
    return [1.0 - TIE * place for place in range(len(ballot.counts))]


def _executable(ballot: Ballot) -> list[float]:
    return [float(group is not None) - TIE * place for place, group in enumerate(ballot.groups)]


def _shorter(ballot: Ballot) -> list[float]:
    return [1 / (1 + length) for length in ballot.lengths]


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
    return [float(correct == (draw < ballot.p)) for correct, draw in pairs]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A discriminator without a model.

    `score`: the scores of a question's candidates. `label`: what tables call it. `uses_gold`: it looks at the gold
    query, so no discriminator can be had so: it bounds and calibrates what one could gain. `alone`: its score of a
    candidate does not rest on the question's other candidates, so that it can value a new query.
    """

    score: Callable[[Ballot], list[float]]
    label: str
    uses_gold: bool = False
    alone: bool = False


BASELINES: dict[str, Baseline] = {
    "random": Baseline(_random, "Random", alone=True),
    "first": Baseline(_first, "First sampled"),
    "executable": Baseline(_executable, "First that executes", alone=True),
    "shorter": Baseline(_shorter, "The shorter query", alone=True),
    "majority": Baseline(_majority, "Majority of results"),
    "likelihood": Baseline(_likelihood, "Generator's likelihood"),
    "oracle": Baseline(_oracle, "Oracle, right with p = {p:g} (uses gold)", uses_gold=True, alone=True),
}
"""The discriminators without a model, by method."""


def baseline_label(method: str, p: float = 1.0) -> str:
    """What tables call a baseline. `p`: how often the oracle is right."""
    return BASELINES[method].label.format(p=p)


def draw(seed: int, question_id: int, sql: str) -> float:
    """A number in [0, 1), uniform over candidates."""
    digest = hashlib.sha256(f"{seed}\0{question_id}\0{sql}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def score_baseline(
    method: str,
    candidates: Sequence[CandidateSet],
    executions: Sequence[Execution],
    groups: Sequence[ResultGroup],
    *,
    mode: str,
    seed: int,
    p: float = 1.0,
) -> list[Score]:
    """Score every candidate without a model, in the order of the candidate sets.

    `method`: a key of BASELINES. `mode`: a key of MODES; a candidate that it keeps from the discriminator scores -1.
    `p`: how often the oracle is right. Raises ConfigError for an unknown method or mode, DataError if an execution or a
    group is missing.
    """
    if method not in BASELINES:
        raise ConfigError(f"'{method}' is no method without a model; known: {', '.join(BASELINES)}")
    asks = mode_of(mode)
    runs = {(run.question_id, run.sql): run for run in executions}
    executable = which_execute(executions)
    number = {(group.question_id, group.sql): group.group for group in groups}
    scores = []
    for group in candidates:
        ballot = _ballot(group, runs, number, seed, p)
        for candidate, value in zip(group.candidates, BASELINES[method].score(ballot), strict=True):
            key = (group.question_id, candidate.sql)
            seen = asks(executable, *key)
            scores.append(Score(*key, value if seen else NOT_EXECUTABLE_SCORE, None, failure=False, asked=seen))
    return scores


def _ballot(
    group: CandidateSet,
    runs: Mapping[tuple[int, str], Execution],
    number: Mapping[tuple[int, str], int | None],
    seed: int,
    p: float,
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
        p,
        [len(candidate.sql) for candidate in group.candidates],
    )


def score_baseline_pool(
    *, candidates: str, executions: str, groups: str, scores: str, method: str, p: float, mode: str, seed: int
) -> None:
    """Write one score a candidate of a pool."""
    found = score_baseline(
        method,
        read_jsonl(candidates, CandidateSet),
        read_jsonl(executions, Execution),
        read_jsonl(groups, ResultGroup),
        mode=mode,
        seed=seed,
        p=p,
    )
    write_jsonl(scores, found)
