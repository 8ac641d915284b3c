"""What a run's model jobs cost, and what the same tables would have cost without sharing. Knows no metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import pandas as pd

from sqljudge.core.parquet import read_judgments
from sqljudge.core.provenance import all_tokens, made_line
from sqljudge.core.records import Execution, Judgment, read_json, read_jsonl
from sqljudge.core.variants import NONE, Experiment, Variant, only, parse
from sqljudge.report.grid import Column, Grid
from sqljudge.report.provenance import device
from sqljudge.report.specs import experiment_from
from sqljudge.report.text import rst
from sqljudge.report.write import Beside, write_beside
from sqljudge.stages.score import which_execute

STAGES = {"candidates_run": "generate", "judgments_run": "judge", "forced_run": "force"}
"""The stage of each kind of model job but for those of a search, which are two: its generator's and discriminator's."""

Run = tuple[str, str, Mapping[str, Any]]
"""A model job: its stage, its name, and what it recorded of itself."""
Executable = Mapping[tuple[int, str], bool]


def cost_alone(judgments: Sequence[Judgment], *, budget: int, executable: Executable | None) -> int:
    """Tokens, read and written, that asking for these judgments on their own at one budget costs, of both models.

    `executable`: with the executability check, candidates that do not run are not asked about; None: all are.
    """
    return sum(
        judgment.prompt_tokens + min(len(judgment.token_ids), budget) + judgment.large_tokens(budget)
        for judgment in judgments
        if executable is None or executable.get((judgment.question_id, judgment.sql), True)
    )


def cost_unshared(
    experiment: Experiment, judgments: Mapping[Variant, Sequence[Judgment]], executable: Mapping[str, Executable]
) -> int:
    """Tokens of an experiment's judgments if each of its variants were asked on its own, as the published code does.

    `judgments`: by the variant of their file. `executable`: by pool, whether a candidate runs.
    """
    if not (experiment.discriminators and experiment.budgets and experiment.scorings and experiment.modes):
        return 0
    return sum(
        cost_alone(
            judgments[only("judgments", variant)],
            budget=variant.budget,
            executable=executable[variant.pool] if variant.mode == "check" else None,
        )
        for variant in experiment.variants()
    )


def job_name(path: str) -> tuple[str, str]:
    """The stage and the name of the model job that recorded itself in a file."""
    kind, variant = parse(path)
    places = [variant.planner, variant.discriminator, "" if variant.context == NONE else variant.context, variant.pool]
    if kind not in STAGES:
        settings = [] if variant.context == NONE else [f"b{variant.budget}", variant.scoring]
        role = kind.removeprefix("search_").removesuffix("_run")
        places[-1] = ".".join([variant.pool, *settings, variant.mode, role])
    return STAGES.get(kind, "search"), " / ".join(place for place in places if place)


LARGE = (Column("Large model read", "large_tokens", "r"), Column("Large model gave", "routed_tokens", "r"))
SHARED = (
    "Where a small and a large model share the work, the small one reads the tokens in and out; the large one's tokens "
    "are those that it read, prompts and pending tokens included, and of the tokens out those that it gave. Tokens/s "
    "and sums count what each of the two read."
)
"""Shown where two models share the work in any job."""
COLUMNS = (
    Column("Stage", "stage"),
    Column("Job", "job", "w"),
    Column("Requests", "requests", "r"),
    Column("Distinct", "distinct", "r"),
    Column("From journal", "from_journal", "r"),
    Column("Tokens in", "prompt_tokens", "r"),
    Column("Tokens out", "new_tokens", "r"),
    *LARGE,
    Column("Seconds", "seconds", "r"),
    Column("Tokens/s", "tokens_per_second", "r", missing="not timed"),
    Column("Peak memory (MiB)", "peak_memory_mib", "r"),
    Column("Device", "device"),
)


def costs_grid(runs: Sequence[Run], unshared: Mapping[str, int]) -> Grid:
    """The table of costs.

    `unshared`: by table, what its judgments would cost on their own. Tokens and seconds are of distinct requests, at
    what they cost when the model answered them.
    """
    records = [
        {
            **run,
            "stage": stage,
            "job": name,
            "seconds": round(run["seconds"], 1),
            "tokens_per_second": round(all_tokens(run) / run["seconds"], 1) if run["seconds"] > 0 else None,
            "device": device(run),
            **{key: run.get(key) for key in ("large_tokens", "routed_tokens")},
        }
        for stage, name, run in runs
    ]
    notes: tuple[str, ...] = (
        "Tokens and seconds are of distinct requests, at what they cost when the model answered them; answers from the "
        "journal count with that cost. A job is named by its planner, discriminator, context and candidates. Peak "
        "memory is of the process in this run, which may have loaded no model.",
        _savings(runs, unshared),
        "By table: " + "; ".join(f"{name} {tokens:,}" for name, tokens in sorted(unshared.items())) + ".",
    )
    shared = any(run.get("large_tokens") for _, _, run in runs)
    columns = tuple(column for column in COLUMNS if shared or column not in LARGE)
    notes += (SHARED,) if shared else ()
    data = pd.DataFrame(records, columns=[column.value for column in columns], dtype=object)
    return Grid("costs", "What the model jobs cost", data, columns, notes)


def _savings(runs: Sequence[Run], unshared: Mapping[str, int]) -> str:
    spent = sum(all_tokens(run) for stage, _, run in runs if stage == STAGES["judgments_run"])
    total = sum(unshared.values())
    times = f", {total / spent:.1f} times as many" if spent else ""
    return (
        f"Judgments took {spent:,} tokens. Asked for anew for each table, budget, scoring and mode, as the published "
        f"code does, they would take {total:,} tokens{times}."
    )


def costs_summary(runs: Sequence[Run], unshared: Mapping[str, int]) -> str:
    """What a run's model jobs cost and what sharing saved, in two sentences of reStructuredText; as `costs_grid`."""

    def total(key: str) -> int:
        return sum(run.get(key, 0) for _, _, run in runs)

    large = f" (and {total('large_tokens'):,} by the large of two models)" if total("large_tokens") else ""
    devices = ", ".join(dict.fromkeys(rst(device(run)) for _, _, run in runs))
    return (
        f"In this run {len(runs)} model jobs on {devices or 'nothing'} asked {total('requests'):,} requests "
        f"({total('distinct'):,} distinct, {total('from_journal'):,} of these from the journal): "
        f"{total('prompt_tokens'):,} tokens read{large}, {total('new_tokens'):,} written, "
        f"{total('seconds'):,.0f} seconds. {_savings(runs, unshared)}"
    )


def write_costs(
    runs: Sequence[str],
    judgments: Sequence[str],
    executions: Sequence[str],
    *,
    experiments: Mapping[str, Mapping[str, Any]],
    html: str,
    csv: str,
    md: str,
    tex: str,
    subject: str,
    **beside: Unpack[Beside],
) -> None:
    """Read what model jobs recorded of themselves, and write the table of costs, its sidecar and its caption.

    `experiments`: by table, the fields of its `Experiment` as plain values. `judgments`, `executions`: all behind them.
    """
    executable = {parse(path)[1].pool: which_execute(read_jsonl(path, Execution)) for path in executions}
    judged = {parse(path)[1]: read_judgments(path) for path in judgments}
    costs = {name: cost_unshared(experiment_from(one), judged, executable) for name, one in experiments.items()}
    unshared = {name: tokens for name, tokens in costs.items() if tokens}
    jobs: list[Run] = [(*job_name(path), read_json(path)) for path in runs]
    replace(costs_grid(jobs, unshared), origin=made_line(subject)).write(html=html, csv=csv, md=md, tex=tex)
    inputs = [*runs, *judgments, *executions]
    text = costs_summary(jobs, unshared)
    write_beside(
        text,
        inputs=inputs,
        runs=runs,
        settings=experiments,
        **beside,
    )
