"""What a journal holds, and what model jobs still have to ask: requests, tokens, time. Asks no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from sqljudge.core.records import CandidateSet, read_jsonl
from sqljudge.experiments.folder import Configuration, folder_of, made_since
from sqljudge.models.device import operations
from sqljudge.models.journal import read_entries
from sqljudge.report.grid import Column, Grid
from sqljudge.report.text import number

ATTAINED = 0.5
"""Share of a machine's arithmetic that answering in batches is taken to attain, where nothing was measured."""
PROMPT_TOKENS = 250
"""Tokens of a prompt, where no prompt of the model has been counted yet."""

COUNTS = ["requests", "prompt_tokens", "new_tokens"]
SUMS = [*COUNTS, "seconds", "size"]


def read_journal(folder: str | Path) -> pd.DataFrame:
    """What a folder of journals holds ("" for none): a row for each model and job, whose shards are added up.

    `seconds`: wall seconds that the model took; `size`: bytes on disk.
    """
    rows = []
    for path in sorted(Path(folder).glob("*/*.jsonl")) if folder else ():
        answers = [entry["answer"] for entry in read_entries(path)]
        prompt_tokens = sum(answer.get("prompt_tokens", 0) for answer in answers)
        new_tokens = sum(len(answer.get("token_ids", ())) for answer in answers)
        seconds = sum(answer.get("seconds", 0.0) for answer in answers)
        job = re.sub(r"\.[^.]*-of-[^.]*$", "", path.stem)
        rows.append((path.parent.name, job, len(answers), prompt_tokens, new_tokens, seconds, path.stat().st_size))
    types = {"model": str, "job": str, **dict.fromkeys(SUMS, int), "seconds": float}
    found = pd.DataFrame(rows, columns=list(types)).astype(types)
    return found.groupby(["model", "job"], as_index=False, sort=False).sum()


def journal_grid(journal: pd.DataFrame) -> Grid:
    """A journal's content as a table, and its sums."""
    total = pd.DataFrame([{"model": "all", "job": "", **journal[SUMS].sum()}]).astype(journal.dtypes)
    columns = (
        Column("Model", "model"),
        Column("Job", "job"),
        Column("Requests", "requests", "r"),
        Column("Tokens in", "prompt_tokens", "r"),
        Column("Tokens out", "new_tokens", "r"),
        Column("Seconds", "seconds", "r"),
        Column("MiB", lambda row: number(row["size"] / 2**20, 1), "r"),
    )
    return Grid("journal", "What the journal holds", pd.concat([journal, total]), columns)


def print_journal(journal: str) -> None:
    """Print what a folder of journals holds, as a table."""
    print(journal_grid(read_journal(journal)).render("md"))


@dataclass(frozen=True, slots=True)
class Job:
    """A model job to come. `requests`: how many it has at most; `new_tokens`: most of one answer.

    `made`: whether its result is there already. `extra_tokens`: about how many the extras of its prompts have.
    """

    name: str
    model: str
    requests: int
    new_tokens: int
    made: bool = False
    extra_tokens: int = 0


def remainders(jobs: Sequence[Job], journal: pd.DataFrame, measure: Callable[[], float] | None = None) -> pd.DataFrame:
    """What each job still has to ask, by what the journal says of its model's prompts, answers and speed.

    `measure`: floating-point operations a second of this machine; called for a model that has not run here yet.
    `seconds` is None where no speed of a model is known, and `rough` where it is reckoned from the model's size.

    A prompt is taken to be as long as the job's own so far, else as those of its model and stage, and its extras. An
    answer is taken to be as long as the job's own so far, else as its limit: an estimate from above. Answers that
    one job takes from another one's part of the journal are not foreseen.
    """
    columns = ["job", "model", *COUNTS, "seconds", "rough"]
    return pd.DataFrame([_remainder(job, journal, measure) for job in jobs], columns=columns, dtype=object)


def _remainder(job: Job, journal: pd.DataFrame, measure: Callable[[], float] | None) -> dict[str, Any]:
    of_model = journal[journal["model"] == job.model]
    own = of_model[of_model["job"] == job.name][SUMS].sum()
    stage = of_model[of_model["job"].str.startswith(job.name.partition(".")[0])][SUMS].sum()
    left = 0 if job.made else max(0, job.requests - int(own.requests))
    if own.requests:
        prompts, answers = own.prompt_tokens / own.requests, own.new_tokens / own.requests
    else:
        seen = stage.prompt_tokens / stage.requests if stage.requests else PROMPT_TOKENS
        prompts, answers = seen + job.extra_tokens, job.new_tokens
    read, written = round(left * prompts), round(left * answers)
    timed = own if own.seconds else stage
    speed = (timed.prompt_tokens + timed.new_tokens) / timed.seconds if timed.seconds else None
    size = parameters(job.model)
    rough = bool(left and not speed and size and measure)
    if rough and size and measure:
        speed = ATTAINED * measure() / (2 * size)
    seconds = 0.0 if not left else (read + written) / speed if speed else None
    counts = {"requests": left, "prompt_tokens": read, "new_tokens": written}
    return {"job": job.name, "model": job.model, **counts, "seconds": seconds, "rough": rough}


def parameters(model: str) -> float | None:
    """How many parameters a model has by its name: `1.5b` is 1.5 thousand million."""
    found = re.search(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", model.lower())
    return float(found[1]) * {"b": 1e9, "m": 1e6}[found[2]] if found else None


def estimate_grid(left: pd.DataFrame) -> Grid:
    """What is left to ask (see `remainders`) as a table, and its sums."""
    unknown = left["seconds"].isna().sum()
    times = [_time(*row) for row in left[["seconds", "rough"]].to_numpy()]
    total = _time(left["seconds"].sum(), bool(left["rough"].any()))
    total += f", and {unknown} jobs of unknown speed" if unknown else ""
    sums = pd.DataFrame([{"job": "all", "model": "", **left[COUNTS].sum()}], dtype=object)
    data = pd.concat([left, sums]).assign(time=[*times, total])
    columns = (
        Column("Job", "job"),
        Column("Model", "model"),
        Column("Requests", "requests", "r"),
        Column("Tokens in", "prompt_tokens", "r"),
        Column("Tokens out, at most", "new_tokens", "r"),
        Column("Time", "time", "r"),
    )
    return Grid("estimate", "What model jobs still have to ask", data, columns)


def _time(seconds: float | None, rough: bool) -> str:
    return "speed not known yet" if seconds is None else f"{'about ' if rough else ''}{clock(seconds)}"


def clock(seconds: float) -> str:
    """Seconds as `1 h 02 min`, `3 min 05 s` or `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def print_estimate(
    jobs: Sequence[Mapping[str, Any]], journal: str, questions: str, expected: int, configuration: Configuration
) -> None:
    """Print what model jobs still have to ask, as a table.

    `jobs`: each as `experiments.jobs` describes it. `journal`: its folder, "" for none. `questions`: the file of the
    dataset's questions; `expected`: how many there will be, where it is not there yet. Files that were made while
    another configuration than `configuration` was run in this folder are not counted.
    """
    since = made_since(configuration)
    if message := folder_of(configuration):
        print(message)
    if _is_made(questions, since):
        expected = len(Path(questions).read_text(encoding="utf-8").splitlines())
    left = remainders([_counted(job, expected, since) for job in jobs], read_journal(journal), cache(operations))
    print(estimate_grid(left).render("md"))
    if any(job["name"].startswith("search.") for job in jobs):
        print("'search.': the most that it can ask; what it does ask depends on the answers that it gets.")
    print("'about': by the model's size and this machine's arithmetic, since the model has not been timed here.")


def _is_made(path: str, since: float) -> bool:
    return Path(path).is_file() and Path(path).stat().st_mtime >= since


def _counted(job: Mapping[str, Any], questions: int, since: float) -> Job:
    """A job with its requests: its candidates, where they are made; else so many samples of every question."""
    requests = questions * job["samples"]
    if job["candidates"] and _is_made(job["candidates"], since):
        requests = sum(len(group.candidates) for group in read_jsonl(job["candidates"], CandidateSet))
    made = _is_made(job["result"], since)
    return Job(job["name"], job["model"], requests * job["times"], job["new_tokens"], made, job["extra_tokens"])
