"""What made a run's results, from their sidecars: a table, and the facts of the report's front page. Knows no stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqljudge.core.provenance import model_name, tree_name
from sqljudge.report.tables.model import Grid
from sqljudge.report.tables.render import rst

Sidecar = Mapping[str, Any]

HEADERS = ("Result", "Commit", "Tree", "Settings", "Code", "Models", "Device", "Seed", "Tokens", "Seconds", "Made")
FIELDS = (
    *("result", "commit", "tree", "settings", "code", "models", "device", "seed", "tokens", "seconds", "made"),
    *("inputs", "versions"),
)
TREES = {True: "DIRTY", False: "clean", None: "unknown"}
"""What is said of the tree that a result was made from: whether tracked files differed from the commit."""


def origins_grid(sidecars: Mapping[str, Sidecar]) -> Grid:
    """One row a result. `sidecars`: by the result's name, see `provenance.sidecar`.

    The data for a program also hold how many inputs a result had, and all versions.
    """
    data = tuple(_row(name, beside) for name, beside in sidecars.items())
    shown = tuple((_text(row[0]), _text(row[1])[:12], *map(_text, row[2 : len(HEADERS)])) for row in data)
    return Grid(
        "provenance", "What made each result", HEADERS, "lllllwlrrrw", shown, (FIELDS, *data), tuple(_notes(sidecars))
    )


def _row(name: str, beside: Sidecar) -> tuple[str | int | float | None, ...]:
    runs = beside["runs"]
    return (
        name,
        beside["commit"],
        TREES[beside["dirty"]],
        beside["config"],
        beside["code"],
        _joined(model_name(run) for run in runs) or "none",
        _joined(device(run) for run in runs) or "none",
        str(beside["seed"]),
        beside["tokens"],
        round(beside["seconds"], 1),
        _moment(beside["made"]),
        len(beside["inputs"]),
        "; ".join(f"{package} {version}" for package, version in beside["versions"].items()),
    )


def _text(value: str | int | float | None) -> str:
    return value or "none" if value is None or isinstance(value, str) else f"{value:,}"


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def device(run: Mapping[str, Any]) -> str:
    """Where a model job ran."""
    return str(run["engine"].get("device", "unknown"))


def _dirty(sidecars: Mapping[str, Sidecar]) -> list[str]:
    return [name for name, beside in sidecars.items() if beside["dirty"]]


def _versions(sidecars: Mapping[str, Sidecar]) -> str:
    found: dict[str, dict[str, None]] = {}
    for beside in sidecars.values():
        for package, version in beside["versions"].items():
            found.setdefault(package, {})[version] = None
    return ", ".join(f"{package} {' and '.join(some)}" for package, some in found.items())


def _machines(sidecars: Mapping[str, Sidecar]) -> str:
    machines = (beside["machine"] for beside in sidecars.values())
    return _joined(f"{m['name'] or m['processor']}, {m['cores']} cores, {m['system']}" for m in machines)


def _moment(stamp: str) -> str:
    return stamp.replace("T", " ").replace("+00:00", " UTC")


def _notes(sidecars: Mapping[str, Sidecar]) -> list[str]:
    dirty = _dirty(sidecars)
    trees = f"{len(dirty)} of {len(sidecars)} results were made from a tree whose files differed from the commit"
    return [
        trees + (f": {', '.join(dirty)}. The commit alone does not make them again." if dirty else "."),
        "Settings and code are digests of the configuration that a result depends on and of the library modules that "
        "make it. Tokens and seconds are of the model jobs behind a result, as if it were the only one.",
        f"Made on: {_machines(sidecars)}. Versions: {_versions(sidecars)}.",
    ]


def facts(sidecars: Mapping[str, Sidecar], runs: Sequence[Mapping[str, Any]]) -> str:
    """What was run, as a table in reStructuredText: models, devices, cost, commit, machine, time, versions.

    `runs`: what each model job recorded of itself, each job once.
    """
    trees = _joined(tree_name(beside) for beside in sidecars.values())
    tokens = sum(run["prompt_tokens"] + run["new_tokens"] for run in runs)
    times = sorted(beside["made"] for beside in sidecars.values())
    rows = {
        "Models": _joined(model_name(run) for run in runs),
        "Model jobs": f"{len(runs)} on {_joined(map(device, runs)) or 'nothing'}; {tokens:,} tokens in "
        f"{sum(run['seconds'] for run in runs):,.0f} seconds of model time",
        "Commit": trees,
        "Machine of the tables": _machines(sidecars),
        "Tables made": _joined((_moment(times[0]), _moment(times[-1]))).replace("; ", " to "),
        "Versions": _versions(sidecars),
    }
    lines = [".. list-table::", "   :widths: 1 3", ""]
    for name, text in rows.items():
        lines += [f"   * - **{name}**", f"     - {rst(text)}"]
    return "\n".join(lines) + "\n"
