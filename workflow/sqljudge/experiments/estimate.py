"""What a journal holds, and what model jobs still have to ask: requests, tokens, time. Asks no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from sqljudge.core.records import CandidateSet, read_jsonl
from sqljudge.experiments.folder import Configuration, folder_of, made_since
from sqljudge.experiments.training_estimate import PROMPT_TOKENS, read_records, training_remainder
from sqljudge.models.device import operations
from sqljudge.models.journal import read_batches
from sqljudge.models.session import note_of
from sqljudge.report.grid import Column, Grid
from sqljudge.report.text import number
from sqljudge.report.words import PLUS, parameters

ATTAINED = 0.5
"""Share of a machine's arithmetic that answering in batches is taken to attain, where nothing was measured."""

COUNTS = ["requests", "prompt_tokens", "new_tokens", "large_tokens"]
SUMS = [*COUNTS, "seconds", "size"]
SPENT = ["prompt_tokens", "new_tokens", "large_tokens"]


def read_journal(folder: str | Path) -> pd.DataFrame:
    """What a folder of journals holds ("" for none): a row for each model and job, whose shards are added up.

    `seconds`: wall seconds that the model took; `size`: bytes on disk. `large_tokens`: of two models that share the
    work, what the large one read.
    """
    rows = []
    for path in sorted(Path(folder).glob("*/*.jsonl")) if folder else ():
        answers = (place.note for _, batch in read_batches(path, _spent) for _, place in batch)
        spent = [sum(column) for column in zip((0, 0, 0, 0, 0.0), *answers, strict=True)]
        job = re.sub(r"\.[^.]*-of-[^.]*$", "", path.stem)
        rows.append((path.parent.name, job, *spent, path.stat().st_size))
    types = {"model": str, "job": str, **dict.fromkeys(SUMS, int), "seconds": float}
    found = pd.DataFrame(rows, columns=list(types)).astype(types)
    return found.groupby(["model", "job"], as_index=False, sort=False).sum()


def _spent(answer: Mapping[str, Any]) -> tuple[int, int, int, int, float]:
    """One request, its tokens, and its seconds."""
    note = note_of(answer)
    return 1, note.prompt_tokens, note.new_tokens, note.large_tokens, note.seconds


def journal_grid(journal: pd.DataFrame) -> Grid:
    """A journal's content as a table, and its sums."""
    total = pd.DataFrame([{"model": "all", "job": "", **journal[SUMS].sum()}]).astype(journal.dtypes)
    columns = (
        Column("Model", "model"),
        Column("Job", "job"),
        Column("Requests", "requests", "r"),
        Column("Tokens in", "prompt_tokens", "r"),
        Column("Tokens out", "new_tokens", "r"),
        *([Column("Large model read", "large_tokens", "r")] if total["large_tokens"].any() else []),
        Column("Seconds", "seconds", "r"),
        Column("MiB", lambda row: number(row["size"] / 2**20, 1), "r"),
    )
    return Grid("journal", "What the journal holds", pd.concat([journal, total]), columns)


def print_journal(journal: str) -> None:
    """Print what a folder of journals holds, as a table."""
    print(journal_grid(read_journal(journal)).render("md").replace("\\_", "_"))


@dataclass(frozen=True, slots=True)
class Job:
    """A model job to come. `requests`: how many it has at most; `new_tokens`: most of one answer.

    `made`: whether its result is there already. `extra_tokens`: about how many the extras of its prompts have. `size`:
    of its model, such as "1.5B"; by the model's name where it is "". Of two models that share the work, the sizes of
    both, the small one's first, with `PLUS` between. `asks`: equal for jobs that have their requests in common ("":
    with no other), the first `shared` of them (None: all). `elsewhere`: how many of its requests other jobs have
    answered, or will (see `foresee`).
    """

    name: str
    model: str
    requests: int
    new_tokens: int
    made: bool = False
    extra_tokens: int = 0
    size: str = ""
    asks: str = ""
    shared: int | None = None
    elsewhere: int = 0

    @property
    def routed(self) -> bool:
        """Whether two models share the work."""
        return PLUS in self.size


def remainders(
    jobs: Sequence[Job], journal: pd.DataFrame, measure: Callable[[], float | None] | None = None
) -> pd.DataFrame:
    """What each job still has to ask, by what the journal says of its model's prompts, answers and speed.

    `measure`: floating-point operations a second of the device that models run on, None where nobody knows; called for
    a model that has not run here yet. `new_tokens`, `large_tokens`, `seconds`: what is to be expected, None where
    nothing says it; `most_tokens`, `most_large`, `most_seconds`: the most that it can be. `rough`: the speed is
    reckoned from the model's size.

    A prompt is taken to be as long as the job's own so far, else as those of its model and stage, and its extras. An
    answer is expected to be as long as those so far: the job's own, else of its model and stage. What jobs have in
    common (see `foresee`) is asked once.
    """
    columns = ["job", "model", *COUNTS, "most_tokens", "most_large", "seconds", "most_seconds", "rough"]
    rows = [_remainder(job, journal, measure) for job in foresee(jobs, journal)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def foresee(jobs: Sequence[Job], journal: pd.DataFrame) -> list[Job]:
    """The same jobs, each with how many of its requests others answer: in the journal already, or since they go first.

    Of jobs with the same requests the one whose answers may be longest goes first, then the one that is named first; a
    search comes after all others.
    """
    names = zip(journal["model"], journal["job"], strict=True)
    answered: dict[tuple[str, str], int] = dict(zip(names, map(int, journal["requests"]), strict=True))
    found = []
    for place, job in enumerate(jobs):
        most = 0
        for other_place, other in enumerate(jobs):
            alike = job.asks and (other.asks, other.model) == (job.asks, job.model)
            if other is job or not alike or other.shared is not None or other.new_tokens < job.new_tokens:
                continue
            first = job.shared is not None or other.new_tokens > job.new_tokens or other_place < place
            most = max(most, other.requests if first and not other.made else answered.get((other.model, other.name), 0))
        found.append(replace(job, elsewhere=min(most, job.requests if job.shared is None else job.shared)))
    return found


def _remainder(job: Job, journal: pd.DataFrame, measure: Callable[[], float | None] | None) -> dict[str, Any]:
    of_model = journal[journal["model"] == job.model]
    own = of_model[of_model["job"] == job.name][SUMS].sum()
    stage = of_model[of_model["job"].str.startswith(job.name.partition(".")[0])][SUMS].sum()
    left = 0 if job.made else max(0, job.requests - int(own.requests) - job.elsewhere)
    known = own if own.requests else stage
    if own.requests:
        prompts = own.prompt_tokens / own.requests
    else:
        prompts = (stage.prompt_tokens / stage.requests if stage.requests else PROMPT_TOKENS) + job.extra_tokens
    read, most = round(left * prompts), left * job.new_tokens
    answer = (
        min(job.new_tokens, known.new_tokens / known.requests) if known.requests else 0 if not job.new_tokens else None
    )
    written = None if answer is None else round(left * answer)
    large: int | None = 0
    most_large = read + most if job.routed else 0
    if job.routed and left:
        large = round(left * known.large_tokens / known.requests) if known.requests else None
    timed = own if own.seconds else stage
    sizes = [parameters(size) for size in (job.size or job.model).split(PLUS)]
    weights = [1.0, 1.0]
    speed = sum(timed[SPENT]) / timed.seconds if timed.seconds else None
    rough = bool(left and not speed)
    power = measure() if rough and all(sizes) and measure else None
    if power:
        weights = [size for size in sizes if size]
        speed = ATTAINED * power / 2

    def time(tokens: int | None, by_large: int | None) -> float | None:
        if not left:
            return 0.0
        if tokens is None or by_large is None or not speed:
            return None
        return float((weights[0] * (read + tokens) + weights[-1] * by_large) / speed)

    counts = {"requests": left, "prompt_tokens": read, "new_tokens": written, "most_tokens": most}
    counts |= {"large_tokens": large, "most_large": most_large}
    times = {"seconds": time(written, large), "most_seconds": time(most, most_large)}
    return {"job": job.name, "model": job.model, **counts, **times, "rough": rough and bool(speed)}


def estimate_grid(left: pd.DataFrame) -> Grid:
    """What is left to ask (see `remainders`) as a table, and its sums of what is known."""
    sums: dict[str, Any] = {"job": "all", "model": "", "rough": bool(left["rough"].any())}
    for column in (*COUNTS, "most_tokens", "most_large", "seconds", "most_seconds"):
        known = left[column].dropna()
        sums[column] = known.sum() if len(known) == len(left) else None
    columns = (
        Column("Job", "job"),
        Column("Model", "model"),
        Column("Requests", "requests", "r"),
        Column("Tokens in", "prompt_tokens", "r"),
        Column("Tokens out, expected", "new_tokens", "r", missing=UNKNOWN),
        Column("at most", "most_tokens", "r"),
        *(LARGE if left["most_large"].any() else ()),
        Column("Time, expected", lambda row: _time(row["seconds"], row["rough"]), "r"),
        Column("at most", lambda row: _time(row["most_seconds"], row["rough"]), "r"),
    )
    data = pd.concat([left, pd.DataFrame([sums], dtype=object)])
    return Grid("estimate", "What model jobs still have to ask", data.astype(object).where(data.notna(), None), columns)


UNKNOWN = "not known yet"
LARGE = (
    Column("Large model reads, expected", "large_tokens", "r", missing=UNKNOWN),
    Column("at most", "most_large", "r"),
)
"""Shown where two models share the work in any job."""


def _time(seconds: float | None, rough: bool) -> str:
    return UNKNOWN if seconds is None else f"{'about ' if rough else ''}{clock(seconds)}"


def clock(seconds: float) -> str:
    """Seconds as `1 h 02 min`, `3 min 05 s` or `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def print_estimate(
    jobs: Sequence[Mapping[str, Any]],
    journal: str,
    questions: str,
    expected: int,
    sizes: Mapping[str, str],
    gpu: bool,
    operations_per_second: float | None,
    configuration: Configuration,
    trainings: Sequence[Mapping[str, Any]] = (),
    store: str = "",
) -> None:
    """Print what model jobs and trainings still have to do, as a table.

    `trainings`: each as `training_estimate.training_job` describes it; `store`: the folder of finished ones.
    `jobs`: each as `experiments.jobs` describes it. `journal`: its folder, "" for none. `questions`: the file of the
    dataset's questions; `expected`: how many there will be, where it is not there yet. `sizes`: of models, by name.
    `gpu`: whether models run on one; `operations_per_second`: of the device, None to measure it here. Files that were
    made while another configuration than `configuration` was run in this folder are not counted.
    """
    since = made_since(configuration)
    if message := folder_of(configuration):
        print(message)
    if _is_made(questions, since):
        expected = len(Path(questions).read_text(encoding="utf-8").splitlines())
    power = cache(lambda: operations_per_second or _timed(gpu))
    left = remainders([_counted(job, expected, sizes, since) for job in jobs], read_journal(journal), power)
    if trainings:
        records = read_records(store)
        sized = [(each, parameters(sizes.get(each["model"], "") or each["model"])) for each in trainings]
        alone = {"large_tokens": 0, "most_large": 0}
        rows = [alone | training_remainder(each, records, size, power, ATTAINED) for each, size in sized]
        left = pd.concat([pd.DataFrame(rows, columns=left.columns, dtype=object), left], ignore_index=True)
    print(estimate_grid(left).render("md").replace("\\_", "_"))
    print(
        "Expected: answers as long as those that the journal holds of the same model and stage; at most: every answer"
    )
    print("as long as it may be. Answers that are in the journal are taken off, and what two jobs ask is counted once.")
    if left["most_large"].any():
        print(
            "'Large model': where two models share the work, the small one reads tokens in and out, and the large one"
        )
        print("at most all of them; how many it does depends on the rule and on what is said.")
    if trainings:
        print("'train.': steps x prompts x generations responses, or sequences; in: prompts and what is trained on.")
        print("Finished trainings are not counted; one that was cut short counts whole.")
    if any(job["name"].startswith("route.") for job in jobs):
        print("'route.': the most that it can ask: the large model goes on wherever the small one's token differs.")
    if any(job["name"].startswith("search.") for job in jobs):
        print("'search.': the most that it can ask; what it does ask depends on the answers that it gets.")
    if left["rough"].any():
        print("'about': by the model's size and the device's arithmetic, since the model has not been timed here.")
    if left["most_seconds"].isna().any():
        print("Time not known: no such model has been timed here, and there is no device to time or no size to go by.")
        print("Name the device's speed (--config operations_per_second=3e14), or the model's size in models.tsv.")


def _timed(gpu: bool) -> float | None:
    speed = operations(gpu=gpu)
    if speed:
        print(f"This device makes {speed:.2g} floating-point operations a second, timed until that was steady, for ten")
        print("seconds at most; other work on it makes the times below longer.")
    return speed


def _is_made(path: str, since: float) -> bool:
    return Path(path).is_file() and Path(path).stat().st_mtime >= since


def _counted(job: Mapping[str, Any], questions: int, sizes: Mapping[str, str], since: float) -> Job:
    """A job with its requests: its candidates, where they are made; else so many samples of every question."""
    requests = job.get("requests", questions * job["samples"])
    if job["candidates"] and _is_made(job["candidates"], since):
        requests = sum(len(group.candidates) for group in read_jsonl(job["candidates"], CandidateSet))
    made = _is_made(job["result"], since)
    asked, size = requests * job["times"], sizes.get(job["model"], "")
    first = job["first"] * questions if job.get("first") else None
    own = (job["name"], job["model"], asked, job["new_tokens"], made, job["extra_tokens"], size)
    return Job(*own, asks=job.get("asks", ""), shared=first)
