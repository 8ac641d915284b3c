"""What a run's model jobs cost, and what the same tables would have cost without sharing. Knows no metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqljudge.core.artefacts import Experiment, Judged, judged, one_or_many
from sqljudge.core.records import Judgment
from sqljudge.report.tables.model import Grid, number
from sqljudge.report.tables.render import rst

Run = Mapping[str, Any]
NamedRun = tuple[str, str, Run]
Executable = Mapping[tuple[int, str], bool]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens read (prompts) and written (responses)."""

    read: int = 0
    written: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.read + other.read, self.written + other.written)

    @property
    def total(self) -> int:
        """Both together."""
        return self.read + self.written


def separately(judgments: Sequence[Judgment], *, budget: int, executable: Executable | None) -> Tokens:
    """What asking for these judgments on their own at one budget costs.

    `executable`: with the executability check, candidates that do not run are not asked about; None: all are.
    """
    asked = [j for j in judgments if executable is None or executable.get((j.question_id, j.sql), True)]
    return Tokens(sum(j.prompt_tokens for j in asked), sum(min(len(j.token_ids), budget) for j in asked))


def unshared(
    experiment: Experiment, judgments: Mapping[Judged, Sequence[Judgment]], executable: Mapping[str, Executable]
) -> Tokens:
    """Tokens of an experiment's judgments if each of its variants were asked on its own, as the published code does.

    A variant is a discriminator, context, budget, scoring and mode. `executable`: by pool, whether a candidate runs.
    """
    cost = Tokens()
    scorings = len(one_or_many(experiment, "scoring"))
    for job, _ in judged(experiment):
        for budget in one_or_many(experiment, "budget"):
            for mode in one_or_many(experiment, "mode"):
                known = executable[job.pool] if mode == "check" else None
                one = separately(judgments[job], budget=budget, executable=known)
                cost += Tokens(one.read * scorings, one.written * scorings)
    return cost


HEADERS = (
    *("Stage", "Job", "Requests", "Distinct", "From journal", "Tokens in", "Tokens out"),
    *("Seconds", "Tokens/s", "Peak memory (MiB)", "Device"),
)
FIELDS = (
    *("stage", "job", "requests", "distinct", "from_journal", "prompt_tokens", "new_tokens"),
    *("seconds", "tokens_per_second", "peak_memory_mib", "device"),
)


def _job(stage: str, name: str, run: Run) -> tuple[Any, ...]:
    tokens = run["prompt_tokens"] + run["new_tokens"]
    speed = round(tokens / run["seconds"], 1) if run["seconds"] > 0 else None
    counts = (run[key] for key in FIELDS[2:7])
    device = run["engine"].get("device", "unknown")
    return (stage, name, *counts, round(run["seconds"], 1), speed, run["peak_memory_mib"], device)


def _text(value: Any) -> str:
    if value is None:
        return "not timed"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value, 1) if isinstance(value, float) else str(value)


def costs_grid(runs: Sequence[NamedRun], alone: Mapping[str, Tokens]) -> Grid:
    """The table of costs.

    `runs`: (stage, job, what the job recorded of itself); `alone`: by table, what its judgments would cost on their
    own. Tokens and seconds are of distinct requests, at what they cost when the model answered them.
    """
    data = [_job(*run) for run in runs]
    notes = [
        "Tokens and seconds are of distinct requests, at what they cost when the model answered them; answers from the "
        "journal count with that cost. Peak memory is of the process in this run, which may have loaded no model.",
        _saved(runs, alone),
        "By table: " + "; ".join(f"{name} {tokens.total:,}" for name, tokens in sorted(alone.items())) + ".",
    ]
    rows = tuple(tuple(_text(value) for value in row) for row in data)
    return Grid("costs", "What the model jobs cost", HEADERS, "lwrrrrrrrrl", rows, (FIELDS, *data), tuple(notes))


def _saved(runs: Sequence[NamedRun], alone: Mapping[str, Tokens]) -> str:
    spent = sum(run["prompt_tokens"] + run["new_tokens"] for stage, _, run in runs if stage == "discriminate")
    apart = sum(tokens.total for tokens in alone.values())
    times = f", {apart / spent:.1f} times as many" if spent else ""
    return (
        f"Judgments took {spent:,} tokens. Asked for anew for each table, budget, scoring and mode, as the published "
        f"code does, they would take {apart:,} tokens{times}."
    )


def costs_found(runs: Sequence[NamedRun], alone: Mapping[str, Tokens]) -> str:
    """What a run's model jobs cost and what sharing saved, in two sentences of reStructuredText; as `costs_grid`."""

    def total(key: str) -> int:
        return sum(run[key] for _, _, run in runs)

    seconds = sum(run["seconds"] for _, _, run in runs)
    devices = ", ".join(dict.fromkeys(rst(str(run["engine"].get("device", "unknown"))) for _, _, run in runs))
    return (
        f"In this run {len(runs)} model jobs on {devices or 'nothing'} asked {total('requests'):,} requests "
        f"({total('distinct'):,} distinct, {total('from_journal'):,} of these from the journal): "
        f"{total('prompt_tokens'):,} tokens read, {total('new_tokens'):,} written, {seconds:,.0f} seconds. "
    ) + _saved(runs, alone)
