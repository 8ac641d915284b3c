"""The configuration: read against its schemas, checked across its parts. Knows names and settings, runs nothing."""

from __future__ import annotations

import copy
import csv
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource

from sqljudge import costless
from sqljudge.artefacts import FORCED, checkpoints, file_name, largest_budgets, one_or_many, parts
from sqljudge.backends import BACKENDS, check_frame, check_spec
from sqljudge.backends.base import ModelSpec
from sqljudge.errors import ConfigError
from sqljudge.evidence import KINDS as EVIDENCE
from sqljudge.evidence.demonstrations import read_demonstration
from sqljudge.prompts import read_template

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"


Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)
"""As the draft says, but 5.0 is no integer: what counts must count."""


def resolve(path: str) -> Path:
    """A file named in the configuration: below the working directory if it is there, else below the project."""
    plain = Path(path).expanduser()
    return plain if plain.is_absolute() or plain.exists() else ROOT / plain


@cache
def schema(name: str) -> dict[str, Any]:
    """One of the JSON schemas of `workflow/schemas`, by name."""
    loaded: dict[str, Any] = yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))
    return loaded


def _validator(name: str) -> Any:
    experiments = Resource.from_contents(schema("experiments"))
    registry: Registry[Any] = Registry().with_resource("experiments.schema.yaml", experiments)
    return Validator(schema(name), registry=registry)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name nearest to a wrong one, or the list of them; empty if none is known."""
    names = sorted(known)
    close = get_close_matches(name, names, 1, 0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""


def _explain(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path) or "the top level"
    allowed = error.schema if isinstance(error.schema, dict) else {}
    found: Any = error.instance
    wanted: Any = error.validator_value
    if error.validator == "additionalProperties":
        known = allowed.get("properties", {})
        wrong = next(key for key in found if key not in known)
        return f"{where}: unknown key '{wrong}'{nearest(str(wrong), known)}"
    if error.validator == "required":
        missing = next(key for key in wanted if key not in found)
        return f"{where}: the key '{missing}' is missing"
    if error.validator == "enum":
        return f"{where}: {found!r} is not possible{nearest(str(found), map(str, wanted))}"
    if error.validator == "minimum":
        return f"{where}: {found} is too small; the least is {wanted}"
    return f"{where}: {error.message}"


def _fill_defaults(value: Any, part_schema: Mapping[str, Any]) -> None:
    if not isinstance(value, dict):
        return
    for key, part in part_schema.get("properties", {}).items():
        if "default" in part:
            value.setdefault(key, copy.deepcopy(part["default"]))
        if key in value:
            _fill_defaults(value[key], part)
    extra = part_schema.get("additionalProperties")
    if isinstance(extra, dict):
        for entry in value.values():
            _fill_defaults(entry, extra)


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with its defaults filled in.

    Raises ConfigError, in one line that names the key and the nearest possible one, for what the schema refuses.
    """
    filled = copy.deepcopy(dict(config))
    _fill_defaults(filled, schema("config"))
    error = best_match(_validator("config").iter_errors(filled))
    if error is not None:
        raise ConfigError(f"configuration, {_explain(error)}")
    return filled


def read_models(path: str | Path, models_folder: str = "") -> dict[str, ModelSpec]:
    """The models table, by name, with sources found in `models_folder` in place of hub names.

    Raises ConfigError naming file and line for what is missing, malformed or listed twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"models_table: {path} cannot be read as UTF-8 text ({error})") from error
    models: dict[str, ModelSpec] = {}
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    for row in rows:
        number = rows.line_num
        cells = {str(key): value for key, value in row.items() if key is not None and value is not None}
        problem = best_match(_validator("models").iter_errors(cells))
        if problem is not None or None in row:
            reason = _explain(problem) if problem is not None else "more cells than columns"
            raise ConfigError(f"{path}, line {number}: {reason} (cells are separated by tabs)")
        if cells["name"] in models:
            raise ConfigError(f"{path}, line {number}: model '{cells['name']}' is listed twice; keep one")
        spec = ModelSpec(**cells)
        try:
            check_spec(spec)
        except ConfigError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
        models[spec.name] = _localised(spec, models_folder)
    return models


def _localised(spec: ModelSpec, models_folder: str) -> ModelSpec:
    column = "tokenizer" if BACKENDS[spec.backend].remote else "source"
    source = getattr(spec, column)
    if not models_folder or not source or source.startswith("package:"):
        return spec
    folder = Path(models_folder).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"models_folder: {folder} is not a folder")
    for name in (spec.name, f"{spec.name}.gguf", source, source.rpartition("/")[2]):
        if (folder / name).exists():
            return dataclasses.replace(spec, **{column: str(folder / name)})
    return spec


def check_references(config: Mapping[str, Any], models: Mapping[str, ModelSpec]) -> None:
    """Check that every name the experiments use is defined; a definition that nothing uses may name any model.

    Raises ConfigError naming the key and the nearest defined name.
    """

    def known(where: str, name: str, names: Iterable[str]) -> None:
        names = list(names)
        if name not in names:
            raise ConfigError(f"configuration, {where}: '{name}' is not defined{nearest(name, names)}")

    def known_model(group: str, name: str) -> None:
        entry, where = config[group][name], f"{group}.{name}"
        known(f"{where}.model", entry["model"], models)
        try:
            check_frame(models[entry["model"]], entry["frame"])
        except ConfigError as error:
            raise ConfigError(f"configuration, {where}.frame: {error}") from error

    if not config["pool"]["file"]:
        known("pool.generator", config["pool"]["generator"], config["generators"])
        known("pool.decoding", config["pool"]["decoding"], config["decodings"])
        known_model("generators", config["pool"]["generator"])
    plural = {"generator": "generators", "discriminator": "discriminators", "decoding": "decodings"}
    for table, experiment in config["experiments"].items():
        for part in parts(experiment):
            _check_budgets(table, part)
            for key, value in part.items():
                for single, group in (*plural.items(), ("context", "contexts"), ("greedy_decoding", "decodings")):
                    for name in [value] if key == single else value if key == f"{single}s" else []:
                        known(f"experiments.{table}.{key}", name, config[group])
                        if group in ("generators", "discriminators"):
                            known_model(group, name)
        for name in experiment.get("costless", ()):
            _check_costless(f"experiments.{table}.costless", name, config["discriminators"])
    experiments = settled(config)
    for job in largest_budgets(experiments):
        kind = config["discriminators"][job.discriminator]["kind"]
        if kind not in config["contexts"][job.context]:
            raise ConfigError(
                f"configuration, contexts.{job.context}: has no {kind} prompt, which '{job.discriminator}' needs"
            )
    for table, experiment in experiments.items():
        _check_first_context(table, experiment)
    for name in {job.context: None for job in largest_budgets(experiments)}:
        _check_evidence(f"contexts.{name}", config["contexts"][name])
        if "demonstrations" in config["contexts"][name]["evidence"]:
            with _told("demonstrations.prompt"):
                read_demonstration(resolve(config["demonstrations"]["prompt"]))
    for job in checkpoints(experiments):
        _check_forced(job.discriminator, config["discriminators"][job.discriminator], models)


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


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What is wrong with a prompt is told with the key that names it."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"configuration, {where}: {error}") from None


def _check_evidence(where: str, context: Mapping[str, Any]) -> None:
    """Check that the evidence of a context stands in all of its templates, and no other."""
    for kind in (key for key in context if key != "evidence"):
        path = resolve(context[kind])
        with _told(f"{where}.{kind}"):
            template = read_template(path, required=("question", "sql"), further=EVIDENCE)
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


def _check_budgets(table: str, part: Mapping[str, Any]) -> None:
    if 0 in one_or_many(part, "budget") and {*one_or_many(part, "scoring")} != {FORCED}:
        what = f"0 is too small; the least is 1, but for the scoring '{FORCED}' on its own"
        key = "budgets" if "budgets" in part else "budget"
        raise ConfigError(f"configuration, experiments.{table}.{key}: {what}")


def _check_forced(name: str, entry: Mapping[str, Any], models: Mapping[str, ModelSpec]) -> None:
    if entry["kind"] == "reasoning" and BACKENDS[models[entry["model"]].backend].remote:
        what = "a server does not tell how it splits a verdict into tokens, so none can be forced"
        raise ConfigError(f"configuration, discriminators.{name}: {what}; use the backend transformers or vllm")


def _check_costless(where: str, name: str, discriminators: Iterable[str]) -> None:
    try:
        costless.parse(name)
    except ConfigError as error:
        raise ConfigError(f"configuration, {where}: {error}") from None
    if file_name(name) in discriminators:
        raise ConfigError(
            f"configuration, discriminators.{file_name(name)}: that name is taken by {where}; use another"
        )


def experiment_descriptions() -> dict[str, str]:
    """What each table shows, in a sentence, from the experiments' schema."""
    return {name: str(part["description"]) for name, part in schema("experiments")["properties"].items()}
