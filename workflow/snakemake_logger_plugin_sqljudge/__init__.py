"""Snakemake's messages as one line a stage: `snakemake --logger sqljudge`, with `workflow/` on PYTHONPATH.

What jobs say of themselves is in their logs, and everything that Snakemake says in `.snakemake/log/`.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

STAGES = {
    "data": ("download_", "stage_", "sample_", "import_", "label_", "unpack_"),
    "candidates": ("generate",),
    "executions": ("execute", "group"),
    "judgments": ("judge", "force"),
    "scores": ("score",),
    "choices": ("plan", "cost"),
    "metrics": ("measure_",),
}
"""The rules of each stage, by how their names begin; all others make tables and figures."""
REST = "tables and figures"
SECONDS_BETWEEN = 60
"""A stage that takes longer has a line this often."""
ENOUGH = 5
"""How many jobs must have ended before their time says something of the rest."""
FOLLOWS = (
    "At least one job did not complete",
    "Exiting because a job execution failed",
    "RuleException:\nCalledProcessError",
    "on user request",
)
"""Of messages that say of a failed job nothing but that it failed."""
KEPT = "what is finished is kept, answers of models in results/journal: the same command goes on from here"


def stage_of(rule: str) -> str:
    """The stage of a rule, also of one that a module or a shard has renamed or cut up."""
    if rule in ("planner_costs", "costs"):  # a figure and a table, not choices
        return REST
    return next((stage for stage, begins in STAGES.items() if rule.startswith(begins)), REST)


def clock(seconds: float) -> str:
    """Seconds as `1:02:03`, or `2:03` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def counted(number: int, one: str) -> str:
    """A number of things, in words: `1 job`, `2 jobs`."""
    return f"{number} {one}{'' if number == 1 else 's'}"


def said_in(log: str) -> str:
    """What ended a job: the line of its log that says so, else the log's last one."""
    path = Path(log)
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    lines = [line.strip() for line in lines if line.strip()]
    return next((line for line in reversed(lines) if line.startswith("Error: ")), lines[-1] if lines else "")


class LogHandler(LogHandlerBase):  # type: ignore[misc]
    """Prints one line a stage with what is done of all and the time left, warnings, errors, and the end."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.all: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.took: dict[str, list[float]] = {}
        self.running: dict[int, tuple[str, float]] = {}
        self.said: set[str] = set()
        self.start = self.last = time.monotonic()
        self.failed = 0
        self.stopped = False
        os.environ["SQLJUDGE_MESSAGES"] = "log"  # jobs then leave the terminal to this handler

    def emit(self, record: LogRecord) -> None:
        """Print what a record is worth: mostly nothing."""
        event, values, text = getattr(record, "event", None), record.__dict__, str(record.msg or "")
        match event:
            case LogEvent.RUN_INFO:
                self.plan(values["stats"])
            case LogEvent.JOB_INFO:
                self.running[values["jobid"]] = (values["rule_name"], time.monotonic())
            case LogEvent.JOB_FINISHED:
                self.finish(values["job_id"])
            case LogEvent.JOB_ERROR:
                self.fail(values)
            case None if text.startswith("Elapsed time"):
                self.end()
            case None if "on user request" in text:
                self.stop()
            case None if text.startswith("Nothing to be done"):
                self.say("Nothing to be done: all of it is there and up to date.")
            case _ if record.levelno >= WARNING:
                self.warn(text)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Print a warning or an error, each once, and nothing that merely follows from one."""
        text = text.strip()
        if text and text not in self.said and not any(each in text for each in FOLLOWS) and not self.stopped:
            self.said.add(text)
            self.say(text)

    def plan(self, stats: Mapping[str, int]) -> None:
        """Say how many jobs there are; in a dry run a line a stage, and that is all."""
        if self.all:
            return
        self.rules.update({rule: count for rule, count in stats.items() if rule not in ("total", "all")})
        for rule, count in self.rules.items():
            self.all[stage_of(rule)] += count
        self.say(f"{counted(self.all.total(), 'job')} in {counted(len(self.all), 'stage')}")
        if self.common_settings.dryrun:
            for stage in self.stages():
                rules = ", ".join(f"{rule} {n}" for rule, n in self.rules.items() if stage_of(rule) == stage)
                self.say(f"  {stage:<20}{self.all[stage]:>5}   {rules}")
            self.say("Nothing was run. For each job and its reason leave out --logger.")

    def stages(self) -> list[str]:
        """The stages of this run, in their order."""
        return [stage for stage in (*STAGES, REST) if stage in self.all]

    def finish(self, job: int) -> None:
        """Count a job; print a line if it was the last of its stage, or nothing was printed for a while."""
        rule, began = self.running.pop(job, ("", 0.0))
        if not self.rules[rule] or self.stopped:
            return
        stage, now = stage_of(rule), time.monotonic()
        self.took.setdefault(rule, []).append(now - began)
        self.done[stage] += 1
        if self.done[stage] == self.all[stage] or now - self.last >= SECONDS_BETWEEN:
            self.last = now
            left = self.left(now - self.start)
            bound = "about" if all(rule in self.took for rule in self.rules) else "at least"
            known = f", {bound} {clock(left)} left" if left and left >= 1 else ""
            share = f"{self.done.total()} of {self.all.total()} in all"
            self.say(
                f"  {stage:<20}{self.done[stage]:>5} of {self.all[stage]:<5}{share:<22}{clock(now - self.start)}{known}"
            )

    def left(self, elapsed: float) -> float | None:
        """Seconds until the end: what is left takes as long as jobs of the same rule did; None while too few ended.

        Of a rule none of whose jobs has ended nothing is known, and nothing is counted.
        """
        spent = sum(map(sum, self.took.values()))
        if self.done.total() < ENOUGH or not spent:
            return None
        to_come = sum((self.rules[rule] - len(times)) * sum(times) / len(times) for rule, times in self.took.items())
        return to_come * elapsed / spent

    def fail(self, values: Mapping[str, Any]) -> None:
        """Say why a job failed, each reason once."""
        self.running.pop(values["jobid"], None)
        if self.stopped:
            return
        self.failed += 1
        log = next(iter(values["log"] or ()), "")
        reason = said_in(log) or f"Error: the job {values['rule_name']} failed"
        if reason not in self.said:
            self.said.add(reason)
            self.say(f"{reason} ({values['rule_name']}{f'; log: {log}' if log else ''})")

    def stop(self) -> None:
        """Say that a person stopped the run."""
        if not self.stopped:
            self.stopped = True
            self.say(f"\nStopped by hand after {self.done.total()} of {self.all.total()} jobs: {KEPT}.")

    def end(self) -> None:
        """Say how the run ended."""
        after = clock(time.monotonic() - self.start)
        if self.failed and not self.stopped:
            failed = counted(self.failed, "job")
            self.say(
                f"Not complete: {failed} failed, {self.done.total()} of {self.all.total()} done in {after}; {KEPT}."
            )
        elif not self.stopped:
            self.say(f"Done: {counted(self.done.total(), 'job')} in {after}.")
