"""What made a run's results, from their sidecars: a table, and the facts of the report's front page. Knows no stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sqljudge.core.files import read_json, write_text
from sqljudge.core.provenance import all_tokens, made_line, model_name, tree_name
from sqljudge.report.grid import Column, Grid
from sqljudge.report.text import rst

Sidecar = Mapping[str, Any]

TREES = {True: "DIRTY", False: "clean", None: "unknown"}
"""What is said of the tree that a result was made from: whether tracked files differed from the commit."""

COLUMNS = (
    Column("Result", "result"),
    Column("Commit", lambda row: (row["commit"] or "none")[:12]),
    Column("Tree", "tree"),
    Column("Settings", lambda row: row["settings"][:8]),
    Column("Code", lambda row: row["code"][:8]),
    Column("Models", "models", "w"),
    Column("Device", "device"),
    Column("Seed", "seed", "r"),
    Column("Tokens", "tokens", "r"),
    Column("Seconds", lambda row: f"{row['seconds']:,}", "r"),
    Column("Made", "made", "w"),
)


def provenance_grid(sidecars: Mapping[str, Sidecar]) -> Grid:
    """One row a result. `sidecars`: by the result's name, see `core.provenance.sidecar`.

    The data for a program also hold how many inputs a result had, and all versions.
    """
    records = [
        {
            "result": name,
            "commit": made["commit"],
            "tree": TREES[made["dirty"]],
            "settings": made["config"],
            "code": made["code"],
            "models": _listed(map(model_name, made["runs"])) or "none",
            "device": _listed(map(device, made["runs"])) or "none",
            "seed": str(made["seed"]),
            "tokens": made["tokens"],
            "seconds": round(made["seconds"], 1),
            "made": _moment(made["made"]),
            "inputs": len(made["inputs"]),
            "versions": "; ".join(f"{package} {version}" for package, version in made["versions"].items()),
        }
        for name, made in sidecars.items()
    ]
    dirty = [name for name, made in sidecars.items() if made["dirty"]]
    trees = f"{len(dirty)} of {len(sidecars)} results were made from a tree whose files differed from the commit"
    unknown = sum(made["dirty"] is None for made in sidecars.values())
    blind = f" Of {unknown} results no commit is known: they were not made in a git checkout." if unknown else ""
    notes = (
        trees + (f": {', '.join(dirty)}. The commit alone does not make them again." if dirty else ".") + blind,
        "Settings and code are digests (their first eight characters) of the configuration that a result depends on "
        "and of the library modules that make it. Tokens and seconds are of the model jobs behind a result, as if it "
        "were the only one.",
        f"Made on: {_machines(sidecars)}. Versions: {_versions(sidecars)}.",
    )
    return Grid("provenance", "What made each result", pd.DataFrame(records, dtype=object), COLUMNS, notes)


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def device(run: Mapping[str, Any]) -> str:
    """Where a model job ran."""
    return str(run["engine"].get("device", "unknown"))


def _versions(sidecars: Mapping[str, Sidecar]) -> str:
    found: dict[str, dict[str, None]] = {}
    for made in sidecars.values():
        for package, version in made["versions"].items():
            found.setdefault(package, {})[version] = None
    return ", ".join(f"{package} {' and '.join(some)}" for package, some in found.items())


def _machines(sidecars: Mapping[str, Sidecar]) -> str:
    machines = (made["machine"] for made in sidecars.values())
    return _listed(f"{m['name'] or m['processor']}, {m['cores']} cores, {m['system']}" for m in machines)


def _moment(stamp: str) -> str:
    return stamp.replace("T", " ").replace("+00:00", " UTC")


def run_facts(sidecars: Mapping[str, Sidecar], runs: Sequence[Mapping[str, Any]]) -> str:
    """What was run, as a table in reStructuredText: models, devices, cost, commit, machine, time, versions.

    `runs`: what each model job recorded of itself, each job once.
    """
    tokens = sum(map(all_tokens, runs))
    times = sorted(made["made"] for made in sidecars.values())
    rows = {
        "Models": _listed(map(model_name, runs)),
        "Model jobs": f"{len(runs)} on {_listed(map(device, runs)) or 'nothing'}; {tokens:,} tokens in "
        f"{sum(run['seconds'] for run in runs):,.0f} seconds of model time",
        "Commit": _listed(map(tree_name, sidecars.values())),
        "Machine of the tables": _machines(sidecars),
        "Tables made": " to ".join(dict.fromkeys((_moment(times[0]), _moment(times[-1])))),
        "Versions": _versions(sidecars),
    }
    lines = [".. list-table::", "   :widths: 1 3", ""]
    for name, text in rows.items():
        lines += [f"   * - **{name}**", f"     - {rst(text)}"]
    return "\n".join(lines) + "\n"


def write_provenance(sidecars: Sequence[str], runs: Sequence[str], *, facts: str, subject: str, **pages: str) -> None:
    """Merge all sidecars into one table, and write what was run. `pages`: by format; `subject`: what all is of."""
    made = {Path(path).name.removesuffix(".provenance.json"): read_json(path) for path in sidecars}
    replace(provenance_grid(made), origin=made_line(subject)).write(**pages)
    write_text(facts, run_facts(made, [read_json(path) for path in runs]))
