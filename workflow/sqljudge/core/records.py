"""The types that flow from stage to stage, and their JSON Lines form. Knows no stage."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqljudge.core.errors import DataError
from sqljudge.core.files import decoded, parse_json, write_text

Hardness = Literal["easy", "medium", "hard", "extra"]
HARDNESS: tuple[Hardness, ...] = ("easy", "medium", "hard", "extra")

Outcome = Literal["ok", "error", "timeout", "row_limit", "memory", "refused"]
Cell = str | int | float | None

NO_LEVEL = "unknown"
"""The hardness of a question whose gold query gives none: it is not SQL that the official evaluator reads."""

FAILURE_SCORE = -0.5
"""Score of a candidate for which the discriminator gave no verdict (paper, section 4)."""

NOT_EXECUTABLE_SCORE = -1.0
"""Score of a candidate that does not execute, under the executability check (paper, section 4)."""

CORRECT_THRESHOLD = 0.5
"""A candidate counts as classified "correct" when its score is above this (paper, section 4)."""

UNANSWERED = "no answer"
"""What stands for a request that failed: its question is left out of whatever rests on it, never scored."""

EMPTY_SQL = ";"
"""What stands for a completion that holds no query (paper, section 3)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question over one database.

    `id` is the 0-based position in the dataset's question file (or in the user's pool file). `gold_sql`: "" where there
    is no gold query. `hardness`: one of the levels of the dataset's format, or NO_LEVEL. `knowledge`: what the
    dataset's author adds to the question (BIRD: its evidence).
    """

    id: int
    db_id: str
    question: str
    gold_sql: str
    schema_text: str
    hardness: str
    knowledge: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One distinct normalised query that a generator proposed for a question.

    `count`: how many of the samples gave it. `label`: 1 if its execution result equals the gold's, 0 if not,
    None where the pool is not labelled. `mean_logprob`: mean natural-log probability (temperature 1) of all tokens of
    its most likely sample, those included that the completion goes on with after the query.
    """

    sql: str
    count: int = 1
    label: int | None = None
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """All candidates of one question, distinct, in first-seen order.

    `unanswered`: a request for them failed, so that there are none and the question is left out.
    """

    question_id: int
    candidates: tuple[Candidate, ...]
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Execution:
    """What happened when one candidate ran on its question's database.

    `outcome` and `rows` are of the candidate as written; `correct` is the execution match with the gold query by the
    rule of the dataset's format (`sql.official`), None where the database holds no rows to compare (so it is left out
    of execution scores) or there is no gold query. `rows`: the first rows only; `row_count`: of all rows fetched;
    `ms`: wall milliseconds; `steps`: SQLite virtual-machine steps; `columns`: the names of the result's columns, as
    SQLite gives them.
    """

    question_id: int
    sql: str
    outcome: Outcome
    message: str
    rows: tuple[tuple[Cell, ...], ...]
    row_count: int
    steps: int
    ms: float
    correct: bool | None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultGroup:
    """Which of a question's candidates give equal results: those with the same `group`.

    `group`: the place (from 0) of the first such candidate in its set; None for a candidate that does not execute.
    """

    question_id: int
    sql: str
    group: int | None


@dataclass(frozen=True, slots=True)
class Judgment:
    """What a discriminator said of one (question, SQL) pair, unscored.

    A yes/no discriminator fills `p_yes` (softmax probability of the token Yes over the whole vocabulary) and leaves
    the response empty. A reasoning discriminator fills `response`, and for each of its n tokens the id, the natural
    logarithm of the probability that the model gave the chosen token, and `token_ends`: the character position in
    `response` at which the decoded text of tokens 0..i ends (non-decreasing, last = len(response)).
    `finish_reason`: "stop" (the model ended), "length" (the budget did) or UNANSWERED (the request failed: all else is
    empty). `budget`: new tokens allowed. `routed`: of two models that share the work, the positions of the tokens that
    the large one gave; a yes/no discriminator's one is 0 where the large one answered.
    """

    question_id: int
    sql: str
    p_yes: float | None = None
    response: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    token_ends: tuple[int, ...] = ()
    finish_reason: str = ""
    budget: int = 0
    prompt_tokens: int = 0
    routed: tuple[int, ...] = ()

    def large_tokens(self, budget: int) -> int:
        """Tokens that the large of two models read for the first `budget` new ones: all before the last that it gave.

        The prompt is among them; a yes/no judgment counts whatever the budget.
        """
        given = [position for position in self.routed if position < budget or self.p_yes is not None]
        return self.prompt_tokens + given[-1] if given else 0


@dataclass(frozen=True, slots=True)
class ForcedVerdict:
    """What a discriminator says of one (question, SQL) pair when its thought is closed at a budget.

    `tokens`: new tokens of the thought that were kept, at most `budget`. `probability`: of true, as a share of what
    true and false have together; None where the request failed. `mass`: what they have together, of the whole
    vocabulary (None where no verdict was forced: a yes/no discriminator's is its own). `prompt_tokens`: of the
    thought's prompt. `large_tokens`: of two models that share the work, what the large one read, for the thought or for
    the verdict, whichever is more: what it has read of the thought need not be read again.
    """

    question_id: int
    sql: str
    budget: int
    tokens: int = 0
    probability: float | None = None
    mass: float | None = None
    prompt_tokens: int = 0
    large_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """One candidate's score. `verdict`: what the model said (None: nothing that can be read).

    `failure`: the model was asked and gave no verdict. `asked` is False for a candidate that the executability check
    kept from the model. `answered` is False where the request failed: its question is left out, the score says nothing.
    `tokens`: new tokens that the model wrote for it. `prompt_tokens`: those of its prompt. `large_tokens`: of two
    models that share the work, what the large one read for it, prompt and pending tokens; the small one reads all.
    """

    question_id: int
    sql: str
    score: float
    verdict: bool | None
    failure: bool
    asked: bool = True
    answered: bool = True
    tokens: int = 0
    prompt_tokens: int = 0
    large_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """What a planner chose for one question, and why. `sql` is EMPTY_SQL when there was nothing to choose.

    `ties`: all queries of the highest score, where the choice is the tie rule's. The reason UNANSWERED says that a
    request failed, so that the question is left out.
    """

    question_id: int
    sql: str
    score: float | None
    reason: str
    ties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a planner needs for one question, were it run alone: calls of each model, tokens that they read and wrote.

    Answers that came from the journal count like others. Where a job records its sum alone, a question's share of it.
    `queries`: distinct ones that it chose from. `*_large`: where two models share the work of a role, what the large
    one read; what is read and written is then the small one's.
    """

    question_id: int
    generator_calls: float = 0
    generator_read: float = 0
    generator_written: float = 0
    discriminator_calls: float = 0
    discriminator_read: float = 0
    discriminator_written: float = 0
    queries: int = 0
    generator_large: float = 0
    discriminator_large: float = 0


Record = TypeVar("Record", Question, CandidateSet, Execution, ResultGroup, ForcedVerdict, Score, Selection, Cost)


# --- checking ---------------------------------------------------------------------------------------------------------

ROUNDING = 1e-6
"""How far a sum of probabilities may be above 1."""

TIES = 0.01
"""How far below 0 the score of a baseline may be: it takes a little from each candidate, so that none are equal."""


def is_number(value: object) -> bool:
    """Whether a value is a finite number: neither a boolean nor a text."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_probability(value: object) -> bool:
    """Whether a value is a number from 0 to 1, but for rounding."""
    return is_number(value) and 0 <= value <= 1 + ROUNDING  # type: ignore[operator]


_KINDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "None": ("null", lambda value: value is None),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "str": ("text", lambda value: isinstance(value, str)),
    "int": ("a whole number", lambda value: isinstance(value, Integral) and not isinstance(value, bool)),
    "float": ("a number", is_number),
}
"""What a field of a declared type holds: in words, and whether a value is such."""


@cache
def _fields_of(record_type: Any) -> list[tuple[str, list[tuple[str, Callable[[object], bool]]]]]:
    """The fields of a record that hold single values, and what each may hold."""
    fields = [(field.name, str(field.type).split(" | ")) for field in dataclasses.fields(record_type)]
    return [(name, [_KINDS[kind] for kind in kinds]) for name, kinds in fields if all(kind in _KINDS for kind in kinds)]


def check_values(record: Any) -> None:
    """Check that a record's fields hold what they are declared to hold.

    A number is finite; a probability is from 0 to 1, a label 0 or 1; a score is a probability, one of the two for what
    is not judged, or a tie's (see TIES); a question's candidates are distinct. Raises DataError naming the candidate
    and the value.
    """
    for name, kinds in _fields_of(record.__class__):
        value = getattr(record, name)
        if not any(fits(value) for _, fits in kinds):
            possible = " or ".join(words for words, _ in kinds)
            raise DataError(f"{_subject(record)}{name} is {value!r}; it must be {possible}")
    if isinstance(record, CandidateSet):
        sqls = [candidate.sql for candidate in record.candidates]
        for place, candidate in enumerate(record.candidates):
            check_values(candidate)
            if candidate.sql in sqls[:place]:
                raise DataError(f"question {record.question_id}: {candidate.sql!r} is listed twice; keep one")
    for name in ("p_yes", "probability", "mass"):
        value = getattr(record, name, None)
        if value is not None and not is_probability(value):
            raise DataError(f"{_subject(record)}{name} is {value!r}; it must be from 0 to 1")
    if isinstance(record, Candidate) and record.label not in (None, 0, 1):
        raise DataError(f"{_subject(record)}label {record.label!r} is neither 0 nor 1")
    if isinstance(record, Score):
        special = record.score in (FAILURE_SCORE, NOT_EXECUTABLE_SCORE)
        if not special and not -TIES <= record.score <= 1 + ROUNDING:
            what = f"from 0 to 1, {FAILURE_SCORE} (no verdict) or {NOT_EXECUTABLE_SCORE} (does not execute)"
            raise DataError(f"{_subject(record)}score is {record.score!r}; it must be {what}")


def _subject(record: Any) -> str:
    question_id, sql = getattr(record, "question_id", None), getattr(record, "sql", None)
    names = [f"question {question_id}"] * (question_id is not None) + [repr(sql)] * (sql is not None)
    return f"{', '.join(names)}: " if names else ""


OfCandidate = TypeVar("OfCandidate", Judgment, ForcedVerdict, Score)


def keyed(records: Iterable[OfCandidate], what: str) -> Iterator[tuple[tuple[int, str], OfCandidate]]:
    """Records with their question id and SQL as they come, their values checked; none is kept.

    `what`: what one is called. Raises DataError as `check_values`, and for two of one candidate that differ.
    """
    seen: dict[tuple[int, str], int] = {}
    for record in records:
        check_values(record)
        key, content = (record.question_id, record.sql), hash(record)
        if seen.setdefault(key, content) != content:
            raise DataError(f"{_subject(record)}two {what} that differ; make the file again")
        yield key, record


def by_candidate(records: Iterable[OfCandidate], what: str) -> dict[tuple[int, str], OfCandidate]:
    """All records by question id and SQL; otherwise as `keyed`."""
    return dict(keyed(records, what))


# --- files ------------------------------------------------------------------------------------------------------------


def to_json(record: Any) -> str:
    """One line of JSON for a record: fields in their declared order, text as it is."""
    return json.dumps(dataclasses.asdict(record), ensure_ascii=False)


def _from_dict(kind: type[Record], row: dict[str, Any]) -> Record:
    if kind is CandidateSet:
        row = {**row, "candidates": tuple(Candidate(**c) for c in row["candidates"])}
    if kind is Selection:
        row = {**row, "ties": tuple(row.get("ties", ()))}
    elif kind is Execution:
        row = {**row, "rows": tuple(tuple(r) for r in row["rows"]), "columns": tuple(row.get("columns", ()))}
    return kind(**row)


def read_jsonl(path: str | Path, kind: type[Record]) -> list[Record]:
    """All records of a JSON Lines file.

    Raises DataError naming the file and the line if it is missing or a line is not such a record.
    """
    return list(iter_jsonl(path, kind))


def iter_jsonl(path: str | Path, kind: type[Record]) -> Iterator[Record]:
    """As `read_jsonl`, one record at a time."""
    try:
        handle = Path(path).open("rb")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); re-run the rule that makes it") from error
    with handle:
        for number, line in enumerate(handle, 1):
            try:
                record = _from_dict(kind, parse_json(decoded(line) if number == 1 else line.decode()))
                check_values(record)
            except (ValueError, TypeError, KeyError, DataError) as error:
                what = f"{path}, line {number}: not a {kind.__name__} ({error}); delete the file and re-run"
                raise DataError(what) from error
            yield record


def write_jsonl(path: str | Path, records: Iterable[Any]) -> None:
    """Write records, one a line, so that the file is either whole or not there."""
    write_text(path, "".join(to_json(record) + "\n" for record in records))
