"""Print what model jobs still have to ask."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, read_jsonl
from sqljudge.experiments.estimate import Job, estimate_grid, missing, read_kept
from sqljudge.models.device import operations
from sqljudge.report.tables import render

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def counted(entry: dict[str, Any], questions: int) -> Job:
    """A job with its requests: its candidates, where they are made; else so many samples of every question."""
    requests = questions * entry["samples"]
    if entry["candidates"] and Path(entry["candidates"]).is_file():
        requests = sum(len(group.candidates) for group in read_jsonl(entry["candidates"], CandidateSet))
    made = Path(entry["result"]).is_file()
    shown = entry["evidence"]
    return Job(entry["name"], entry["model"], requests * entry["times"], entry["new_tokens"], made, shown)


def main(jobs: list[dict[str, Any]], journal: str, questions: str, expected: int) -> None:
    """Print a table."""
    if Path(questions).is_file():
        expected = len(Path(questions).read_text(encoding="utf-8").splitlines())
    kept = read_kept(journal) if journal else {}
    found = missing([counted(entry, expected) for entry in jobs], kept, cache(operations))
    print(render(estimate_grid(found), "md"))
    if any(entry["name"].startswith("search.") for entry in jobs):
        print("'search.': the most that it can ask; what it does ask depends on the answers that it gets.")
    print("'about': by the model's size and this machine's arithmetic, since the model has not been timed here.")


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.params.jobs,
            snakemake.params.journal,
            snakemake.params.questions,
            snakemake.params.expected,
        )
