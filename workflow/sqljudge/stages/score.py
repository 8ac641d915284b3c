"""What a discriminator's raw judgment says within a budget, and the score it gives. Knows no model and no file.

Paper, section 4: the last JSON object with the key `correct` holds the verdict; rho is the probability of the verdict's
token. The rules of reading are listed with examples in docs/method.md.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.parquet import iter_judgments
from sqljudge.core.records import (
    CORRECT_THRESHOLD,
    FAILURE_SCORE,
    NOT_EXECUTABLE_SCORE,
    ROUNDING,
    UNANSWERED,
    CandidateSet,
    Execution,
    ForcedVerdict,
    Judgment,
    Score,
    is_probability,
    keyed,
    read_jsonl,
    write_jsonl,
)
from sqljudge.stages.echoes import Response, read_text
from sqljudge.stages.jsonish import FoundObject, find_objects, find_plain_objects

VERDICT_KEY = "correct"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A way to find verdicts in a text: which objects count, and which words, quoted or not, are a boolean."""

    find: Callable[[str], list[FoundObject]]
    word: Callable[[str], bool | None]


VERDICTS = {
    "any": Verdicts(find_objects, lambda word: {"true": True, "false": False}.get(word.lower())),
    "paper": Verdicts(find_plain_objects, {"true": True, "True": True, "false": False, "False": False}.get),
}
"""`any`: every object of the text, see `jsonish`. `paper`: as the program behind the paper finds them, what stands
between a brace and the next closing one, in double quotes, lower or title case."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How responses are read. `verdicts`: a key of VERDICTS. `template`: the text of the prompt's, whose repetition in
    a response is no verdict; "" knows none."""

    verdicts: str = "any"
    template: str = ""


AS_IT_STANDS = Rules()
"""No prompt is known, so that nothing is a repetition of it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a judgment says within a budget.

    `value`: the verdict, None where there is none. `token`: index of the token that produced the verdict (the one that
    holds the first letter of `true` or `false`). `probability`: rho, the probability that the model gave that token.
    `span`: where the word stands in the response, in characters, quotes left out. A yes/no judgment has a value only.
    """

    value: bool | None = None
    token: int | None = None
    probability: float | None = None
    span: tuple[int, int] | None = None


def text_within(judgment: Judgment, budget: int) -> str:
    """The decoded text of a response's first `budget` tokens; none of 0.

    Raises DataError if the tokens do not cover the response, or if it was cut by a smaller budget than this one.
    """
    _check_tokens(judgment)
    _check_budget(judgment, budget)
    if budget >= len(judgment.token_ends):
        return judgment.response
    return judgment.response[: judgment.token_ends[budget - 1]] if budget else ""


def read_verdict(judgment: Judgment, budget: int, rules: Rules = AS_IT_STANDS) -> Reading:
    """Read the verdict that a judgment holds within its first `budget` tokens (paper, section 4).

    A yes/no judgment is read from `p_yes` alone: correct when it is above CORRECT_THRESHOLD.
    Raises DataError as `text_within` does, or if the probability that is read is not a number; ConfigError for unknown
    `verdicts`.
    """
    if judgment.p_yes is not None:
        if not is_probability(judgment.p_yes):
            what = f"the probability of Yes is {judgment.p_yes!r}, which is not a number from 0 to 1"
            raise DataError(f"{_name(judgment)}: {what}; judge it again")
        return Reading(value=judgment.p_yes > CORRECT_THRESHOLD)
    text = text_within(judgment, budget)
    found = _last_verdict(text, rules, ended=len(text) == len(judgment.response) and judgment.finish_reason != "length")
    if found is None:
        return Reading()
    value, span = found
    token = bisect_right(judgment.token_ends, span[0])
    logprob = judgment.logprobs[token]
    if not logprob <= ROUNDING:  # nor is NaN
        what = f"the log-probability of token {token} is {logprob!r}, which is not a number of at most 0"
        raise DataError(f"{_name(judgment)}: {what}; judge it again")
    return Reading(value, token, min(1.0, math.exp(min(0.0, logprob))), span)


def _last_verdict(text: str, rules: Rules, *, ended: bool) -> tuple[bool, tuple[int, int]] | None:
    how = _choice(VERDICTS, rules.verdicts, "verdicts")
    if VERDICT_KEY not in text:
        return None
    response = Response(rules.template, text, ended=ended)
    for found in reversed(how.find(text)):
        span = found.values.get(VERDICT_KEY)
        if span is None:
            continue
        start, end = (span[0] + 1, span[1] - 1) if text[span[0]] in "\"'" else span
        value = how.word(text[start:end])
        if value is not None and not response.is_echo(found.start, found.end):
            return value, (start, end)
    return None


def _soft(judgment: Judgment, reading: Reading) -> float:
    """Probability of "correct": p_yes, or rho for true and 1 - rho for false (paper, section 4)."""
    if judgment.p_yes is not None:
        return judgment.p_yes
    if reading.value is None or reading.probability is None:
        return FAILURE_SCORE
    return reading.probability if reading.value else 1.0 - reading.probability


def _hard(_judgment: Judgment, reading: Reading) -> float:
    """1 for true, 0 for false, whatever the probability (paper, section 4)."""
    return FAILURE_SCORE if reading.value is None else float(reading.value)


SCORINGS: dict[str, Callable[[Judgment, Reading], float]] = {"soft": _soft, "hard": _hard}
"""How a reading becomes a score."""

Rule = TypeVar("Rule")
Key = tuple[int, str]
Executable = Mapping[Key, bool]


def which_execute(runs: Iterable[Execution]) -> dict[Key, bool]:
    """Whether each candidate executes on its database, by question id and SQL."""
    return {(run.question_id, run.sql): run.outcome == "ok" for run in runs}


def _ask_all(_executable: Executable | None, _question_id: int, _sql: str) -> bool:
    return True


def _ask_executable(executable: Executable | None, question_id: int, sql: str) -> bool:
    if executable is None:
        raise ConfigError("scoring mode 'check' needs the candidates' executions; give them, or use mode 'naive'")
    try:
        return executable[question_id, sql]
    except KeyError:
        raise DataError(
            f"question {question_id}: no execution of candidate {sql!r}; run the executions again"
        ) from None


Asks = Callable[[Executable | None, int, str], bool]
MODES: dict[str, Asks] = {"naive": _ask_all, "check": _ask_executable}
"""Which candidates the model is asked about (paper, section 4: two modes)."""


def mode_of(name: str) -> Asks:
    """Which candidates the model is asked about in a mode. Raises ConfigError for an unknown one."""
    return _choice(MODES, name, "mode")


def score_judgments(
    candidates: Sequence[CandidateSet],
    judgments: Iterable[Judgment],
    *,
    budget: int,
    scoring: str,
    mode: str,
    executable: Executable | None,
    rules: Rules = AS_IT_STANDS,
) -> list[Score]:
    """Score every candidate, in the order of the candidate sets; where the request failed, the score says so.

    `budget`: new tokens of each response that are read. `scoring`: a key of SCORINGS. `mode`: a key of MODES.
    `executable`: whether the candidate (question id, SQL) runs on its database; needed by mode "check" only. `rules`:
    how a response is read. Raises ConfigError for an unknown scoring, mode or rule, or a budget below 1; DataError,
    naming the candidate, if a judgment or an execution is missing, two judgments of it differ, or its judgment does not
    reach the budget.
    """
    rule, asks = _choice(SCORINGS, scoring, "scoring"), mode_of(mode)
    if budget < 1:
        raise ConfigError(f"budget {budget}: must be at least 1 token")
    wanted = _keys(candidates)

    def score(key: Key, judgment: Judgment) -> Score:
        if judgment.finish_reason == UNANSWERED:
            return Score(*key, 0.0, verdict=None, failure=False, answered=False)
        reading, tokens = read_verdict(judgment, budget, rules), min(budget, len(judgment.token_ids))
        spent: dict[str, Any] = {
            "tokens": tokens,
            "prompt_tokens": judgment.prompt_tokens,
            "large_tokens": judgment.large_tokens(budget),
        }
        return Score(*key, rule(judgment, reading), reading.value, failure=reading.value is None, **spent)

    asked = {key for key in wanted if asks(executable, *key)}
    known = {key: score(key, judgment) for key, judgment in keyed(judgments, "judgments") if key in asked}
    missing = "no judgment of candidate {!r}; run the discriminator again"
    return _in_order(wanted, asked, known, missing)


def score_forced(
    candidates: Sequence[CandidateSet], verdicts: Sequence[ForcedVerdict], *, mode: str, executable: Executable | None
) -> list[Score]:
    """Score every candidate by its forced verdict, in the order of the candidate sets: the probability of true.

    `verdicts`: one a candidate, at whichever budget. `mode`, `executable`: as above. Raises ConfigError for an unknown
    mode, DataError, naming the candidate, if a verdict or an execution is missing, two verdicts of it differ, or a
    value is no probability.
    """
    asks = mode_of(mode)
    wanted = _keys(candidates)

    def score(key: Key, verdict: ForcedVerdict) -> Score:
        if verdict.probability is None:
            return Score(*key, 0.0, verdict=None, failure=False, answered=False)
        spent: dict[str, Any] = {name: getattr(verdict, name) for name in ("tokens", "prompt_tokens", "large_tokens")}
        return Score(*key, verdict.probability, verdict.probability > CORRECT_THRESHOLD, failure=False, **spent)

    asked = {key for key in wanted if asks(executable, *key)}
    known = {key: score(key, verdict) for key, verdict in keyed(verdicts, "forced verdicts") if key in asked}
    return _in_order(wanted, asked, known, "no forced verdict of candidate {!r}; force the verdicts again")


def _keys(candidates: Sequence[CandidateSet]) -> list[Key]:
    return [(group.question_id, candidate.sql) for group in candidates for candidate in group.candidates]


def _in_order(wanted: Sequence[Key], asked: Collection[Key], known: Mapping[Key, Score], missing: str) -> list[Score]:
    """A score for each candidate: that of a candidate which the model is not asked about says so."""
    for key in wanted:
        if key in asked and key not in known:
            raise DataError(f"question {key[0]}: {missing.format(key[1])}")
    unasked = (Score(*key, NOT_EXECUTABLE_SCORE, verdict=None, failure=False, asked=False) for key in wanted)
    return [known[key] if key in asked else other for key, other in zip(wanted, unasked, strict=True)]


def _choice(registry: Mapping[str, Rule], name: str, what: str) -> Rule:
    if name not in registry:
        raise ConfigError(f"{what} {name!r}: not known; choose one of {', '.join(registry)}")
    return registry[name]


def _check_tokens(judgment: Judgment) -> None:
    ends = judgment.token_ends
    if len(judgment.logprobs) != len(ends) or (ends[-1] if ends else 0) != len(judgment.response):
        raise DataError(f"{_name(judgment)}: its tokens do not cover its response; judge it again")


def _check_budget(judgment: Judgment, budget: int) -> None:
    if judgment.finish_reason == "length" and judgment.budget < budget:
        what = (
            f"cut at {judgment.budget} tokens, {budget} asked for; run the discriminator again with the larger budget"
        )
        raise DataError(f"{_name(judgment)}: {what}")


def _name(judgment: Judgment) -> str:
    return f"judgment of question {judgment.question_id}, {judgment.sql!r}"


def score_pool(
    *,
    candidates: str,
    judgments: str,
    prompt: str,
    executions: Sequence[str],
    scores: str,
    budget: int,
    scoring: str,
    mode: str,
    verdicts: str,
) -> None:
    """Write one score a candidate of a pool, by its judgment.

    `prompt`: the template file of what was judged. `executions`: a file of them, where the mode needs it.
    """
    found = score_judgments(
        read_jsonl(candidates, CandidateSet),
        iter_judgments(judgments),
        budget=budget,
        scoring=scoring,
        mode=mode,
        executable=read_executable(executions),
        rules=Rules(verdicts, read_text(prompt)),
    )
    write_jsonl(scores, found)


def score_forced_pool(
    *, candidates: str, forced: str, executions: Sequence[str], scores: str, budget: int, mode: str
) -> None:
    """Write one score a candidate of a pool, by its forced verdict at a budget; otherwise as `score_pool`."""
    verdicts = [verdict for verdict in read_jsonl(forced, ForcedVerdict) if verdict.budget == budget]
    executable = read_executable(executions)
    write_jsonl(scores, score_forced(read_jsonl(candidates, CandidateSet), verdicts, mode=mode, executable=executable))


def read_executable(executions: Sequence[str]) -> dict[Key, bool] | None:
    """Whether each candidate executes, from files of executions; None for no file."""
    if not executions:
        return None
    return which_execute(run for path in executions for run in read_jsonl(path, Execution))
