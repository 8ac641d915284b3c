"""The configuration: read against its schemas, defaults filled in. Knows names and settings, runs nothing."""

from __future__ import annotations

import copy
import csv
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource

from sqljudge.core.errors import ConfigError
from sqljudge.core.planners import BESIDE
from sqljudge.data.datasets import FORMATS
from sqljudge.models.engines import BACKENDS, check_spec
from sqljudge.models.engines.base import ModelSpec
from sqljudge.stages.extras import KINDS as EVIDENCE
from sqljudge.stages.kinds import KINDS

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


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
    """One of the JSON schemas of `workflow/schemas`, by name, with the names that registries hold."""
    loaded: dict[str, Any] = yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))
    if name in _REGISTERED:
        _REGISTERED[name](loaded)
    return loaded


def _names(loaded: dict[str, Any]) -> None:
    properties = loaded["properties"]
    properties["dataset"]["properties"]["format"]["enum"] = list(FORMATS)
    kind = properties["discriminators"]["additionalProperties"]["properties"]["kind"]
    kind["enum"] = list(KINDS)
    kind["description"] += f" {'; '.join(f'{name} - {known.says}' for name, known in KINDS.items())}."
    templates = properties["contexts"]["additionalProperties"]["properties"]
    templates.update({name: {"type": "string", "description": known.prompt} for name, known in KINDS.items()})
    templates["evidence"]["items"] = {"enum": list(EVIDENCE)}


def _backends(loaded: dict[str, Any]) -> None:
    loaded["properties"]["backend"]["enum"] = list(BACKENDS)


def _planners(loaded: dict[str, Any]) -> None:
    loaded["$defs"]["planners"]["items"]["enum"] = list(BESIDE)


_REGISTERED: dict[str, Callable[[dict[str, Any]], None]] = {
    "config": _names,
    "models": _backends,
    "experiments": _planners,
}


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


def experiment_descriptions() -> dict[str, str]:
    """What each table shows, in a sentence, from the experiments' schema."""
    return {name: str(part["description"]) for name, part in schema("experiments")["properties"].items()}
