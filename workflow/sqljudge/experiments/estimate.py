"""What a journal holds, and what model jobs still have to ask: requests, tokens, time. Asks no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqljudge.models.journal import read_entries
from sqljudge.report.tables.model import Grid, number

ATTAINED = 0.5
"""Share of a machine's arithmetic that answering in batches is taken to attain, where nothing was measured."""
PROMPT_TOKENS = 250
"""Tokens of a prompt, where no prompt of the model has been counted yet."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one job's files in a journal hold. `seconds`: wall seconds that the model took for it."""

    requests: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0
    size: int = 0
    """Bytes on disk."""

    def __add__(self, other: Kept) -> Kept:
        pairs = zip(self._values(), other._values(), strict=True)
        return Kept(*(a + b for a, b in pairs))

    def _values(self) -> tuple[Any, ...]:
        return self.requests, self.prompt_tokens, self.new_tokens, self.seconds, self.size

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of prompts and answers a second; None where nothing was timed."""
        return (self.prompt_tokens + self.new_tokens) / self.seconds if self.seconds > 0 else None


def read_kept(journal: str | Path) -> dict[tuple[str, str], Kept]:
    """What a folder of journals holds, by (model, job); a job's shards are added up."""
    found: dict[tuple[str, str], Kept] = {}
    for path in sorted(Path(journal).glob("*/*.jsonl")):
        answers = [entry["answer"] for entry in read_entries(path)]
        kept = Kept(
            len(answers),
            sum(answer.get("prompt_tokens", 0) for answer in answers),
            sum(len(answer.get("token_ids", ())) for answer in answers),
            sum(answer.get("seconds", 0.0) for answer in answers),
            path.stat().st_size,
        )
        name, _, last = path.stem.rpartition(".")
        job = name if "-of-" in last else path.stem
        found[path.parent.name, job] = found.get((path.parent.name, job), Kept()) + kept
    return found


def journal_grid(kept: Mapping[tuple[str, str], Kept]) -> Grid:
    """A journal's content as a table."""
    rows = [(*place, *_counts(one)) for place, one in kept.items()]
    rows.append(("all", "", *_counts(sum(kept.values(), Kept()))))
    headers = ("Model", "Job", "Requests", "Tokens in", "Tokens out", "Seconds", "MiB")
    return _grid("journal", "What the journal holds", headers, "llrrrrr", rows)


def _counts(kept: Kept) -> tuple[Any, ...]:
    size = number(kept.size / 2**20, 1)
    return kept.requests, kept.prompt_tokens, kept.new_tokens, number(kept.seconds, 1), size


@dataclass(frozen=True, slots=True)
class Job:
    """A model job to come. `requests`: how many it has at most; `new_tokens`: most of one answer."""

    name: str
    model: str
    requests: int
    new_tokens: int
    made: bool = False
    """Whether its result is there already."""
    evidence: int = 0
    """About how many tokens the evidence in its prompts has."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a job still has to ask. `seconds` is None where no speed of its model is known."""

    job: Job
    requests: int
    prompt_tokens: int
    new_tokens: int
    seconds: float | None
    rough: bool = False
    """Whether the speed is not measured but reckoned from the model's size."""


def missing(
    jobs: Iterable[Job], kept: Mapping[tuple[str, str], Kept], operations: Callable[[], float] | None = None
) -> list[Missing]:
    """What each job still has to ask, by what the journal says of its model's prompts, answers and speed.

    `operations`: floating-point operations a second of this machine, asked for a model that has not run here yet.

    A prompt is taken to be as long as the job's own so far, else as those of its model and stage, and its evidence. An
    answer is taken to be as long as the job's own so far, else as its limit: an estimate from above. Answers that
    one job takes from another one's part of the journal are not foreseen.
    """
    return [_missing(job, kept, operations) for job in jobs]


def _missing(job: Job, kept: Mapping[tuple[str, str], Kept], operations: Callable[[], float] | None) -> Missing:
    own = kept.get((job.model, job.name), Kept())
    stage = job.name.partition(".")[0]
    alike = sum((one for (model, name), one in kept.items() if model == job.model and name.startswith(stage)), Kept())
    left = 0 if job.made else max(0, job.requests - own.requests)
    prompts = own.prompt_tokens / own.requests if own.requests else _prompt(alike) + job.evidence
    answers = own.new_tokens / own.requests if own.requests else job.new_tokens
    read, written = round(left * prompts), round(left * answers)
    speed = (own if own.seconds else alike).tokens_per_second
    size = parameters(job.model)
    rough = bool(left and not speed and size and operations)
    if rough and size and operations:
        speed = ATTAINED * operations() / (2 * size)
    seconds = 0.0 if not left else (read + written) / speed if speed else None
    return Missing(job, left, read, written, seconds, rough)


def _prompt(alike: Kept) -> float:
    return alike.prompt_tokens / alike.requests if alike.requests else PROMPT_TOKENS


def parameters(model: str) -> float | None:
    """How many parameters a model has by its name: `1.5b` is 1.5 thousand million."""
    found = re.search(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", model.lower())
    return float(found[1]) * {"b": 1e9, "m": 1e6}[found[2]] if found else None


def estimate_grid(found: Sequence[Missing]) -> Grid:
    """What is missing as a table, and its sums."""
    rows = [
        (one.job.name, one.job.model, one.requests, one.prompt_tokens, one.new_tokens, _time(one.seconds, one.rough))
        for one in found
    ]
    timed = [one.seconds for one in found if one.seconds is not None]
    unknown = sum(one.seconds is None for one in found)
    total = _time(sum(timed), any(one.rough for one in found))
    total += f", and {unknown} jobs of unknown speed" if unknown else ""
    rows.append(
        (
            *("all", ""),
            sum(one.requests for one in found),
            sum(one.prompt_tokens for one in found),
            sum(one.new_tokens for one in found),
            total,
        )
    )
    headers = ("Job", "Model", "Requests", "Tokens in", "Tokens out, at most", "Time")
    return _grid("estimate", "What model jobs still have to ask", headers, "llrrrr", rows)


def _grid(name: str, title: str, headers: tuple[str, ...], align: str, rows: Sequence[tuple[Any, ...]]) -> Grid:
    text = tuple(tuple(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) for row in rows)
    return Grid(name, title, headers, align, text, (headers, *rows))


def _time(seconds: float | None, rough: bool = False) -> str:
    if seconds is None:
        return "speed not known yet"
    return f"{'about ' if rough else ''}{clock(seconds)}"


def clock(seconds: float) -> str:
    """Seconds as `1 h 02 min`, `3 min 05 s` or `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
