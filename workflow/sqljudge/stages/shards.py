"""Splits the questions of a model job over shards, and merges what the shards made. Knows no model.

A shard is named as Snakemake names a scattered item: `2-of-3`; "" holds all questions. All requests of a question
fall into one shard, and which one depends on the question's id alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import CandidateSet, ForcedVerdict, Question, read_jsonl, write_jsonl
from sqljudge.models.session import Usage


class OfQuestion(Protocol):
    """A record that belongs to one question."""

    @property
    def question_id(self) -> int:
        """The question's id."""


Record = TypeVar("Record", bound=OfQuestion)


def in_shard(question_id: int, shard: str) -> bool:
    """Whether a shard holds a question: a hash of the id decides, so shards are of about, not exactly, equal size."""
    if not shard:
        return True
    number, _, shards = shard.partition("-of-")
    digest = hashlib.sha256(str(question_id).encode()).digest()
    return int.from_bytes(digest[:8]) % int(shards) == int(number) - 1


def merge_shards(expected: Sequence[int], parts: Iterable[Iterable[Record]]) -> list[Record]:
    """The records of all parts in the order that one job would have given them.

    `expected`: the question id of every record, in that order. Raises DataError where the parts hold more or fewer
    records of a question.
    """
    waiting: dict[int, deque[Record]] = {}
    for part in parts:
        for record in part:
            waiting.setdefault(record.question_id, deque()).append(record)
    wanted, found = Counter(expected), {question: len(records) for question, records in waiting.items()}
    for question in sorted(wanted | found):
        there, due = found.get(question, 0), wanted.get(question, 0)
        if there != due:
            what = f"question {question}: the shards hold {there} records, but {due} are due"
            raise DataError(f"{what}; delete results/shards and run again")
    return [waiting[question].popleft() for question in expected]


def sum_runs(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the shards of one job recorded of themselves, as one record.

    Counts, tokens and seconds are sums (a request that two shards share counts in each), peak memory is the largest.
    """
    counts = {field.name: sum(run[field.name] for run in runs) for field in dataclasses.fields(Usage)}
    devices = sorted({run["engine"]["device"] for run in runs})
    return {
        **runs[0],
        **counts,
        "failures": [failure for run in runs for failure in run.get("failures", ())],
        "peak_memory_mib": max(run["peak_memory_mib"] for run in runs),
        "engine": {**runs[0]["engine"], "device": ", ".join(devices)},
        "shards": len(runs),
    }


def merge_files(
    *, kind: str, order: str, shards: Sequence[str], runs: Sequence[str], merged: str, run: str, times: int = 1
) -> None:
    """Write what all shards made as one job would have written it, and what the shards together cost.

    `kind`: candidates, judgments or forced. `order`: the file whose order the job follows: of questions for candidates,
    else of candidates. `times`: records a candidate.
    """
    if kind == "candidates":
        expected = [question.id for question in read_jsonl(order, Question)]
        write_jsonl(merged, merge_shards(expected, (read_jsonl(path, CandidateSet) for path in shards)))
    else:
        sets = read_jsonl(order, CandidateSet)
        expected = [group.question_id for group in sets for _ in range(times * len(group.candidates))]
        if kind == "judgments":
            write_judgments(merged, merge_shards(expected, map(read_judgments, shards)))
        else:
            write_jsonl(merged, merge_shards(expected, (read_jsonl(path, ForcedVerdict) for path in shards)))
    write_json(run, sum_runs([read_json(path) for path in runs]))
