"""Checks a configuration across its parts: what uses a name, what a kind can do. Knows registries, runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any

from sqljudge.core.artefacts import (
    CHOOSING,
    FORCED,
    GREEDY,
    checkpoints,
    file_name,
    largest_budgets,
    one_or_many,
    parts,
)
from sqljudge.core.errors import ConfigError
from sqljudge.data.formats import FORMATS
from sqljudge.experiments.config import nearest, resolve
from sqljudge.models.engines import BACKENDS, check_prompt_format
from sqljudge.models.engines.base import ModelSpec
from sqljudge.stages import baselines
from sqljudge.stages.extras import KINDS as EVIDENCE
from sqljudge.stages.extras.demonstrations import read_demonstration
from sqljudge.stages.kinds import KINDS
from sqljudge.stages.prompts import read_template
from sqljudge.stages.search.kinds import KINDS as SEARCHES
from sqljudge.stages.search.kinds import settings_of

Models = Mapping[str, ModelSpec]

GROUPS = {
    "generator": "generators",
    "discriminator": "discriminators",
    "decoding": "decodings",
    "context": "contexts",
    "greedy_decoding": "decodings",
}
"""What an experiment's settings name: each setting, or its plural, a part of the configuration."""


def check_references(config: Mapping[str, Any], models: Models) -> None:
    """Check that every name the experiments use is defined; a definition that nothing uses may name any model.

    Raises ConfigError naming the key and the nearest defined name.
    """
    _check_source(config["dataset"])
    if not config["pool"]["file"]:
        for key in ("generator", "decoding"):
            _check_name(f"pool.{key}", config["pool"][key], GROUPS[key], config, models)
    for name, entry in config["planners"].items():
        _check_planner(name, entry)
    for table, experiment in config["experiments"].items():
        _check_experiment(f"experiments.{table}", experiment, config, models)
    _check_judging(config, models)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What is wrong is told with the key that names it."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"configuration, {where}: {error}") from None


def _known(where: str, name: str, names: Iterable[str]) -> None:
    names = list(names)
    if name not in names:
        raise ConfigError(f"configuration, {where}: '{name}' is not defined{nearest(name, names)}")


def _check_name(where: str, name: str, group: str, config: Mapping[str, Any], models: Models) -> None:
    """Check that a part of the configuration has a name, and that its model, if it has one, is there and fits."""
    _known(where, name, config[group])
    entry = config[group][name]
    if "model" not in entry:
        return
    _known(f"{group}.{name}.model", entry["model"], models)
    with _told(f"{group}.{name}.frame"):
        check_prompt_format(models[entry["model"]], entry["frame"])


def _check_experiment(where: str, experiment: Mapping[str, Any], config: Mapping[str, Any], models: Models) -> None:
    for part in parts(experiment):
        _check_budgets(where, part)
        for key, group in GROUPS.items():
            for named in (key, f"{key}s"):
                for name in one_or_many({named: part[named]} if named in part else {}, key):
                    _check_name(f"{where}.{named}", name, group, config, models)
    for name in experiment.get("costless", ()):
        _check_costless(f"{where}.costless", name, config["discriminators"])
    for name in experiment.get("planners", ()):
        _known(f"{where}.planners", name, [*CHOOSING, *config["planners"]])
        if name in config["planners"]:
            _check_searched(where, name, experiment, config)


def _check_judging(config: Mapping[str, Any], models: Models) -> None:
    """Check that discriminators have prompts in the contexts that they are asked in, and can do what is wanted."""
    experiments = settled(config)
    judged = largest_budgets(experiments)
    for job in judged:
        kind = config["discriminators"][job.discriminator]["kind"]
        if kind not in config["contexts"][job.context]:
            raise ConfigError(
                f"configuration, contexts.{job.context}: has no {kind} prompt, which '{job.discriminator}' needs"
            )
    for table, experiment in experiments.items():
        _check_first_context(table, experiment)
    for name in {job.context: None for job in judged}:
        _check_evidence(f"contexts.{name}", config["contexts"][name])
        if "demonstrations" in config["contexts"][name]["evidence"]:
            with _told("demonstrations.prompt"):
                read_demonstration(resolve(config["demonstrations"]["prompt"]))
    for job in checkpoints(experiments):
        _check_forced(job.discriminator, config["discriminators"][job.discriminator], models)
    for table, experiment in experiments.items():
        if set(experiment.get("planners", ())) & set(config["planners"]):
            _check_unseen(f"experiments.{table}.context", experiment["context"], config["contexts"])


def _check_source(dataset: Mapping[str, Any]) -> None:
    if not dataset["source"] and not dataset["mirrors"]:
        what = "it is empty, and dataset.mirrors gives no address to download from"
        title = FORMATS[dataset["format"]].title
        raise ConfigError(f"configuration, dataset.source: {what}; name the folder or zip archive of {title}")


def settled(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The experiments; those of several discriminators in several contexts with the pairs that are left out.

    `unasked`: pairs of a discriminator and a context that has no prompt for its kind.
    """
    found = {}
    for name, experiment in config["experiments"].items():
        unasked = [
            [who, context]
            for who, context in product(experiment.get("discriminators", ()), experiment.get("contexts", ()))
            if config["discriminators"][who]["kind"] not in config["contexts"][context]
        ]
        found[name] = {**experiment, **({"unasked": unasked} if unasked else {})}
    return found


def _check_first_context(table: str, experiment: Mapping[str, Any]) -> None:
    for who, context in experiment.get("unasked", ()):
        if context == experiment["contexts"][0]:
            what = f"'{who}' cannot be asked in '{context}', the first, to which all others are compared"
            raise ConfigError(f"configuration, experiments.{table}.contexts: {what}; put one first that all can answer")


def _check_evidence(where: str, context: Mapping[str, Any]) -> None:
    """Check that the evidence of a context stands in all of its templates, and no other."""
    for kind in (key for key in context if key != "evidence"):
        with _told(f"{where}.{kind}"):
            template = read_template(resolve(context[kind]), required=("question", "sql"), further=EVIDENCE)
        for name, evidence in EVIDENCE.items():
            listed, shown = name in context["evidence"], name in template.fields
            if listed and kind not in evidence.judges:
                what = f"{name} are for {', '.join(evidence.judges)} prompts only; take the {kind} prompt out"
                raise ConfigError(f"configuration, {where}.{kind}: {what}")
            if shown and not listed:
                what = f"{context[kind]} shows ${{{name}}}, which is not listed; add '{name}' to it"
                raise ConfigError(f"configuration, {where}.evidence: {what}")
            if listed and not shown:
                what = f"'{name}' is listed, but {context[kind]} shows no ${{{name}}}; take it out, or put it in there"
                raise ConfigError(f"configuration, {where}.evidence: {what}")


def _check_budgets(where: str, part: Mapping[str, Any]) -> None:
    if 0 in one_or_many(part, "budget") and {*one_or_many(part, "scoring")} != {FORCED}:
        what = f"0 is too small; the least is 1, but for the scoring '{FORCED}' on its own"
        key = "budgets" if "budgets" in part else "budget"
        raise ConfigError(f"configuration, {where}.{key}: {what}")


def _check_forced(name: str, entry: Mapping[str, Any], models: Mapping[str, ModelSpec]) -> None:
    if KINDS[entry["kind"]].responds and BACKENDS[models[entry["model"]].backend].remote:
        what = "a server does not tell how it splits a verdict into tokens, so none can be forced"
        raise ConfigError(f"configuration, discriminators.{name}: {what}; use the backend transformers or vllm")


def _check_costless(where: str, name: str, discriminators: Iterable[str]) -> None:
    with _told(where):
        baselines.parse(name)
    if file_name(name) in discriminators:
        raise ConfigError(
            f"configuration, discriminators.{file_name(name)}: that name is taken by {where}; use another"
        )


def _check_planner(name: str, entry: Mapping[str, Any]) -> None:
    with _told(f"planners.{name}"):
        if name in (*CHOOSING, GREEDY):
            raise ConfigError("that name is taken by a planner that asks no model; use another")
        settings_of(entry)


def _check_searched(where: str, name: str, experiment: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Check a planner that asks models against the generator and the discriminators that it is to work with."""
    kind, generator = config["planners"][name]["kind"], experiment["generator"]
    if SEARCHES[kind].opens and config["generators"][generator]["extraction"] == "fenced":
        what = f"the kind '{kind}' opens answers with SQL, but generator '{generator}' writes a fenced block"
        raise ConfigError(f"configuration, {where}.planners: '{name}': {what}; use another generator")
    for free in experiment.get("costless", ()):
        if baselines.parse(free)[0] not in baselines.ALONE:
            what = f"'{free}' scores candidates against each other, so it cannot value a new query"
            known = ", ".join(sorted(baselines.ALONE))
            raise ConfigError(f"configuration, {where}.costless: {what}; possible: {known}")


def _check_unseen(where: str, context: str, contexts: Mapping[str, Any]) -> None:
    if contexts[context]["evidence"]:
        what = f"'{context}' shows evidence, which a query that a planner finds does not have yet"
        raise ConfigError(f"configuration, {where}: {what}; use a context without evidence")
