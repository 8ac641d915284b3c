"""What a run's model jobs cost, and what the same tables would have cost without sharing. Knows no metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from sqljudge.core.files import read_json
from sqljudge.core.parquet import read_judgments
from sqljudge.core.provenance import all_tokens, made_line
from sqljudge.core.records import Execution, Judgment, read_jsonl
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
TRAINED_ON = Column("Tokens trained on", "trained_tokens", "r")
"""Shown where there was any training."""
TRAINING = (
    "A training's tokens in are those of its prompts, its tokens out those that it drew; offline it draws none. Its "
    "seconds are those of all its jobs, if it was cut short."
)
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
    TRAINED_ON,
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
            "device": device(run) if "engine" in run else run["device"],
            **{key: run.get(key) for key in ("large_tokens", "routed_tokens", "trained_tokens")},
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
    trained = any("trained_tokens" in run for _, _, run in runs)
    left_out = (*(() if shared else LARGE), *(() if trained else (TRAINED_ON,)))
    columns = tuple(column for column in COLUMNS if column not in left_out)
    notes += ((SHARED,) if shared else ()) + ((TRAINING,) if trained else ())
    data = pd.DataFrame(records, columns=[column.value for column in columns], dtype=object)
    return Grid("costs", "What the model jobs cost", data, columns, notes)


def training_run(record: Mapping[str, Any]) -> Run:
    """A training as the other jobs are: requests are none, since no journal answers them."""
    tokens = record["tokens"]
    run = {"requests": None, "distinct": None, "from_journal": None, "trained_tokens": tokens["trained"]}
    run |= {"prompt_tokens": tokens["prompted"], "new_tokens": tokens["generated"]}
    run |= {key: record[key] for key in ("seconds", "peak_memory_mib", "device")}
    return "train", record["training"], run


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

    trainings = [run for _, _, run in runs if "trained_tokens" in run]
    asked = [run for _, _, run in runs if "trained_tokens" not in run]

    def total(key: str, some: Sequence[Mapping[str, Any]] = asked) -> int:
        return sum(run.get(key, 0) for run in some)

    large = f" (and {total('large_tokens'):,} by the large of two models)" if total("large_tokens") else ""
    devices = ", ".join(dict.fromkeys(rst(device(run)) for run in asked))
    spent = (
        f"{len(trainings)} training{'s' * (len(trainings) != 1)} drew {total('new_tokens', trainings):,} tokens, "
        f"trained on {total('trained_tokens', trainings):,}, and took {total('seconds', trainings):,.0f} seconds. "
    )
    return (
        f"In this run {len(asked)} model jobs on {devices or 'nothing'} asked {total('requests'):,} requests "
        f"({total('distinct'):,} distinct, {total('from_journal'):,} of these from the journal): "
        f"{total('prompt_tokens'):,} tokens read{large}, {total('new_tokens'):,} written, "
        f"{total('seconds'):,.0f} seconds. {spent if trainings else ''}{_savings(runs, unshared)}"
    )


def write_costs(
    runs: Sequence[str],
    judgments: Sequence[str],
    executions: Sequence[str],
    *,
    trainings: Sequence[str] = (),
    routers: Sequence[str] = (),
    experiments: Mapping[str, Mapping[str, Any]],
    html: str,
    csv: str,
    md: str,
    tex: str,
    subject: str,
    **beside: Unpack[Beside],
) -> None:
    """Read what model jobs recorded of themselves, and write the table of costs, its sidecar and its caption.

    `trainings`, `routers`: the records of the trainings and routers behind the models that were asked.
    `experiments`: by table, the fields of its `Experiment` as plain values. `judgments`, `executions`: all behind them.
    """
    executable = {parse(path)[1].pool: which_execute(read_jsonl(path, Execution)) for path in executions}
    judged = {parse(path)[1]: read_judgments(path) for path in judgments}
    costs = {name: cost_unshared(experiment_from(one), judged, executable) for name, one in experiments.items()}
    unshared = {name: tokens for name, tokens in costs.items() if tokens}
    jobs: list[Run] = [training_run(read_json(path)) for path in trainings]
    jobs += [("route", Path(path).name.removesuffix(".run.json"), read_json(path)) for path in routers]
    jobs += [(*job_name(path), read_json(path)) for path in runs]
    replace(costs_grid(jobs, unshared), origin=made_line(subject)).write(html=html, csv=csv, md=md, tex=tex)
    inputs = [*trainings, *routers, *runs, *judgments, *executions]
    text = costs_summary(jobs, unshared)
    write_beside(
        text,
        inputs=inputs,
        runs=runs,
        settings=experiments,
        **beside,
    )
