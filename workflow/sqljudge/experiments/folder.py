"""Which configuration the results in a folder are of: what a result records, and how another one's are refused."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.core.files import read_json, write_json
from sqljudge.core.provenance import text_digest
from sqljudge.core.variants import Experiment
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.weights import TRAINED
from sqljudge.report.cells import cells
from sqljudge.report.specs import SPECS

STAMP = "results/configuration.json"
"""Which configuration was last run in this folder, and since when no other one was."""
WHERE = ("models_folder", "journal")
"""Keys that say where things lie: with others the results are the same."""
SHARED = ("seed", "dataset", "pool", "resamples", "verdicts", "execution", "demonstrations", "failures_tolerated")
"""Keys that every table depends on."""
OF_KINDS = {"calibration": "calibration", "adaptive": "forced", "reasoning": "embedder"}
"""Keys that a table depends on if it has this kind of metric."""

Configuration = Mapping[str, str]
"""`digest`: of all settings that matter; `options`: those of Snakemake that name it, "" for the default."""


def model_rows(models: Mapping[str, ModelSpec]) -> dict[str, dict[str, Any]]:
    """The rows of the models table, by name, as far as they say what a model is, not where it runs."""
    rows = {name: dataclasses.asdict(spec) for name, spec in models.items()}
    return {
        name: {**row, "parts": [part["name"] for part in row["parts"]], "placement": ""} for name, row in rows.items()
    }


def _models(settings: Mapping[str, Any], names: Iterable[str | None]) -> dict[str, Any]:
    """The rows of some models and of those that they are made of; of one that is trained, its training, too."""
    left = [name for name in names if name]
    found: dict[str, Any] = {}
    while left:
        name = left.pop()
        row = settings["models"].get(name)
        if row is None or name in found:
            continue
        found[name] = row
        left += row["parts"]
        if row["source"].startswith(TRAINED):
            training = settings["trainings"][row["source"].removeprefix(TRAINED)]
            found[row["source"]] = [training, settings["training_data"].get(training["data"])]
            left.append(training["model"])
    return found


def _asked(*entries: Mapping[str, Mapping[str, Any]]) -> list[str | None]:
    return [entry.get("model") for some in entries for entry in some.values()]


def configuration(settings: Mapping[str, Any], files: Iterable[Path], overrides: Mapping[str, Any]) -> Configuration:
    """What a folder records of the configuration that is run in it.

    `settings`: checked, with its defaults, and as `models` the rows of the models table. `files`: given as
    `--configfile`; `overrides`: given as `--config`.
    """
    known = {key: value for key, value in settings.items() if key not in WHERE}
    known["models"] = _models(
        settings, (*_asked(settings["generators"], settings["discriminators"]), known["embedder"])
    )
    parts = []
    if names := [shlex.quote(_name(Path(file))) for file in files]:
        parts += ["--configfile", *names]
    if pairs := [shlex.quote(f"{key}={_text(value)}") for key, value in overrides.items() if key not in WHERE]:
        parts += ["--config", *pairs]
    return {"digest": _digest(known), "options": " ".join(parts)}


def of_table(whole: Configuration, settings: Mapping[str, Any], name: str, experiment: Experiment) -> Configuration:
    """What a table and its figures record: as `configuration`, of the settings alone that they depend on."""
    known = {key: settings[key] for key in SHARED}
    extra = experiment.extra_rows
    roles = {
        "generators": (*experiment.generators, settings["pool"]["generator"]),
        "decodings": (*experiment.decodings, experiment.greedy_decoding, settings["pool"]["decoding"]),
        "discriminators": (*experiment.discriminators, *experiment.baselines, *(row.discriminator for row in extra)),
        "contexts": (*experiment.contexts, *(row.context for row in extra)),
        "planners": experiment.planners,
    }
    for role, names in roles.items():
        known[role] = {each: settings[role][each] for each in sorted(set(names)) if each in settings[role]}
    kinds = {kind for kind, _ in cells(SPECS[name], experiment)}
    known |= {key: settings[key] for kind, key in OF_KINDS.items() if kind in kinds}
    known["models"] = _models(settings, (*_asked(known["generators"], known["discriminators"]), known.get("embedder")))
    return {**whole, "digest": _digest({"experiment": dataclasses.asdict(experiment), **known})}


def _digest(settings: Mapping[str, Any]) -> str:
    return text_digest(json.dumps(settings, sort_keys=True, default=str))


def _name(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=dict)


def named(made: Configuration | None) -> str:
    """A configuration in a message: the options that name it."""
    if made is None:
        return "an older version, which did not record its configuration"
    return made["options"] or "the default configuration (no --configfile)"


def check_shown(results: Mapping[str, Configuration], asked: Sequence[str], own: Configuration) -> None:
    """Refuse to show results that were made under another configuration than `own`.

    `results`: by the path of its sidecar, what each would record now; those that are not there are left out.
    `asked`: the targets; if names of results or of their files are among them, these are all that is shown. Raises
    ConfigError, which names the options to show them by.
    """
    found = {Path(path).name.partition(".")[0]: Path(path) for path in results}
    targets = {Path(word).name.partition(".")[0] if word.startswith("results/") else word for word in asked}
    shown = targets & found.keys() or found.keys()
    others: dict[str, list[str]] = {}
    for name in sorted(shown):
        if found[name].is_file():
            made: Configuration | None = read_json(found[name]).get("configuration")
            if made is None or made["digest"] != results[str(found[name])]["digest"]:
                others.setdefault(named(made), []).append(name)
    if others:
        which = "; ".join(f"{_several(names)} of {text}" for text, names in others.items())
        what = f"results/ has {which}, and this command names {named(own)}"
        raise ConfigError(f"{what}: name the configuration that was run, or run this one first")


def _several(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def mark_folder(own: Configuration) -> None:
    """Record that a configuration is run in this folder."""
    before = _stamp()
    same = before is not None and before["digest"] == own["digest"]
    write_json(STAMP, {**own, "since": before["since"] if same and before else math.floor(time.time())})


def made_since(own: Configuration) -> float:
    """The time since when this folder's files are this configuration's own; infinite where the last run was not."""
    stamp = _stamp()
    return float(stamp["since"]) if stamp is not None and stamp["digest"] == own["digest"] else float("inf")


def folder_of(own: Configuration) -> str:
    """What to say where this folder was last used by another configuration; "" where it was not."""
    stamp = _stamp()
    if stamp is None or stamp["digest"] == own["digest"]:
        return ""
    return f"results/ is of {named(stamp)}, which this command does not name: only its journal is counted."


def _stamp() -> dict[str, Any] | None:
    return read_json(STAMP) if Path(STAMP).is_file() else None
