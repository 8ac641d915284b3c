"""The configuration: what a file of settings becomes, and how a wrong one is refused. Runs nothing."""

from __future__ import annotations

import csv
import dataclasses
import re
import sysconfig
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import read_text
from sqljudge.core.variants import CHOOSERS, FORCED, GREEDY, NONE, POOL, Experiment, Variant, members
from sqljudge.experiments import parts, training_parts
from sqljudge.experiments.parts import Part, nearest, refusal
from sqljudge.models.engines import BACKENDS, check_spec, join_parts
from sqljudge.models.engines.base import ModelSpec
from sqljudge.report.specs import SPECS, TableSpec
from sqljudge.stages.score import VERDICTS

CHECKOUT = Path(__file__).resolve().parents[3]
INSTALLED = Path(sysconfig.get_path("data")) / "share/sqljudge"
ROOT = CHECKOUT if (CHECKOUT / "config/models.tsv").is_file() else INSTALLED
"""Where the project's own files are: in its repository, or beside the packages of an installation."""


def resolve(path: str) -> Path:
    """A file named in the configuration: below the working directory if it is there, else below the project."""
    plain = Path(path).expanduser()
    return plain if plain.is_absolute() or plain.exists() else ROOT / plain


class ExtraRow(Part):
    """Another variant that a figure shows."""

    discriminator: str
    context: str
    budget: parts.Count
    scoring: parts.Scoring


_ONE: dict[str, tuple[Any, str]] = {
    "generator": (str, "Who proposes SQL."),
    "decoding": (str, "How its completions are drawn."),
    "discriminator": (str, "Who judges, by a model."),
    "context": (str, "What a discriminator is shown."),
    "budget": (parts.Count, "Most new tokens of a response."),
    "scoring": (parts.Scoring, "A verdict's probability, the verdict alone, or the probability of a forced verdict."),
    "mode": (parts.Mode, "Every candidate is judged, or only those that execute."),
}
_SEVERAL: Any = parts.Several
KEYS: dict[str, tuple[Any, str]] = {
    **_ONE,
    **{f"{key}s": (_SEVERAL[kind], text) for key, (kind, text) in _ONE.items()},
    "checkpoints": (
        parts.AtLeastTwo[parts.Count],
        "Budgets at which a verdict is forced and the thought may be stopped; the last is the full thought.",
    ),
    "planners": (parts.Distinct[str], "Beside re-ranking, or in the table `search` all that it compares."),
    "baselines": (parts.Distinct[str], "Discriminators that ask no model; their rows stand below the others."),
    "greedy_decoding": (str, "How the generator's own row is drawn, which no discriminator judges."),
    "extra_rows": (parts.Listed[ExtraRow], "Other variants that the figure shows."),
}
"""Each setting of an experiment: its type, and what it says."""


TABLES: dict[str, TableSpec] = {name: spec for name, spec in SPECS.items() if not spec.experiment}
"""The tables that can be configured."""


class Settings(Part):
    """The settings behind a table. Each table has a class of its own, made from TABLES and KEYS."""

    model_config = ConfigDict(use_attribute_docstrings=False)


def _without_null(tables: Any) -> Any:
    """On the command line, null is a text."""
    return (
        {key: None if part == "null" else part for key, part in tables.items()} if isinstance(tables, dict) else tables
    )


def _chosen(tables: Part) -> dict[str, Settings]:
    found = {name: settings for name, settings in tables if settings is not None}
    if not found:
        raise refusal(f"no table is named; known: {', '.join(TABLES)}")
    return found


def _settings_of(table: str, keys: TableSpec) -> type[Settings]:
    typed = {key: Annotated[kind, Field(description=text)] for key, (kind, text) in KEYS.items()}
    required: dict[str, Any] = {key: (typed[key], ...) for key in keys.settings}
    optional: dict[str, Any] = {key: (typed[key] | None, None) for key in keys.optional}
    return create_model(table, __base__=Settings, __doc__=keys.description, **required, **optional)


if TYPE_CHECKING:
    Experiments = dict[str, Settings]
else:
    _Tables = create_model(
        "Experiments",
        __base__=Settings,
        __doc__="The settings behind each table and figure. A table that is left out, or null, is not made.",
        **{name: (_settings_of(name, keys) | None, None) for name, keys in TABLES.items()},
    )
    Experiments = Annotated[SerializeAsAny[_Tables], BeforeValidator(_without_null), AfterValidator(_chosen)]


class Config(Part):
    """Configuration of the workflow."""

    seed: parts.Count = 42
    """The one seed of everything that is drawn: the sample of questions, sampled completions, resamples."""
    dataset: parts.Dataset
    pool: parts.Pool = Field(default_factory=parts.Pool)
    models_table: str = "config/models.tsv"
    """The table of models."""
    models_folder: str = ""
    """A folder looked into before the hub: for a model called NAME with source ORG/REPO, the first that exists of NAME,
    NAME.gguf, ORG/REPO and REPO."""
    generators: dict[parts.Name, parts.Generator]
    """Who proposes SQL, by name."""
    decodings: dict[parts.NameWithoutDot, parts.Decoding]
    """How completions are drawn, by name."""
    discriminators: dict[parts.Name, parts.Discriminator]
    """Who judges candidates, by name."""
    contexts: dict[parts.Name, parts.Context]
    """What a discriminator is shown, by name: a prompt template for each method that can be asked so."""
    demonstrations: parts.Demonstrations = Field(default_factory=parts.Demonstrations)
    execution: parts.Execution = Field(default_factory=parts.Execution)
    journal: bool = True
    """Keep finished model requests under results/journal, and answer from there. false: ask anew."""
    failures_tolerated: parts.AsWritten[Annotated[float, Field(ge=0, le=1)]] = 0
    """The share of a model job's distinct requests that may end without an answer (after retries) before the job fails.
    Questions of such requests are listed, counted and left out, never scored."""
    operations_per_second: parts.AsWritten[Annotated[float, Field(gt=0)]] | None = None
    """For `snakemake estimate` alone: floating-point operations a second of the device that models will run on. If not
    given, it is measured, where this machine has such a device."""
    embedder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """The sentence-embedding model behind the diversity of responses: a hub name, a local folder, or the name of an
    installed package that holds it."""
    resamples: Annotated[int, Field(ge=100)] = 10_000
    """Random weights of the questions behind an interval, and most swaps that an exact paired test tries."""
    verdicts: Annotated[str, parts.one_of(VERDICTS)] = "any"
    """How a verdict is found in a response: any JSON object, or those alone that the paper's program finds
    (docs/method.md)."""
    calibration: parts.Calibration = Field(default_factory=parts.Calibration)
    forced: parts.Forced = Field(default_factory=parts.Forced)
    planners: dict[parts.NameWithoutDot, parts.Planner] = Field(default_factory=dict)
    """Planners that ask models while they plan, by name (docs/beyond.md)."""
    training_data: dict[parts.NameWithoutDot, training_parts.TrainingData] = Field(default_factory=dict)
    """What models are trained on, by name."""
    trainings: dict[parts.Name, training_parts.Training] = Field(default_factory=dict)
    """Models that are trained, by name; the models table takes them as `trained:NAME` (docs/training.md)."""
    routers: dict[parts.NameWithoutDot, training_parts.Router] = Field(default_factory=dict)
    """Routers between a small and a large model, by name."""
    roles: parts.Roles = Field(default_factory=parts.Roles)
    experiments: Experiments

    @field_validator("generators", "discriminators", "contexts", "planners")
    @classmethod
    def _named(cls, entries: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """No entry has a name that means something else; each that tables show has a label."""
        taken = {"discriminators": (NONE,), "contexts": (NONE,), "planners": (*CHOOSERS, GREEDY)}
        for name in taken.get(str(info.field_name), ()):
            if name in entries:
                raise refusal(f"the name '{name}' is taken; use another")
        for name, entry in entries.items():
            if getattr(entry, "label", None) == "":
                entries[name] = entry.model_copy(update={"label": entry.default_label(name)})
        return entries


def experiments_of(config: Config) -> dict[str, Experiment]:
    """The experiment behind each table.

    A discriminator or generator of several seeds is as many, but in the tables that pool them. The first one of the
    table `training` also has a row for its forced verdict without a thought, if it thinks and has none yet.
    Where several discriminators are asked in several contexts, a pair whose context has no prompt for the method is
    left out. Whether names are defined is checked for the tables that are asked for (`checks.check_references`).
    """
    fields = {field.name for field in dataclasses.fields(Experiment)}
    found = {}
    for table, settings in config.experiments.items():
        values: dict[str, Any] = {}
        for key, value in settings:
            if value is not None:
                values |= {key: value} if key in fields else {f"{key}s": (value,)}
        rows = tuple(Variant(POOL, **dict(row)) for row in values.get("extra_rows", ()))
        seeds = []
        for key in ("discriminators", "generators"):
            known, names = getattr(config, key), values.get(key, ())
            each = {name: members(name, known) for name in names}
            if TABLES[table].pools:
                seeds += [(name, own) for name, own in each.items() if own != (name,)]
            elif names:
                values[key] = tuple(one for name in names for one in each[name])
        if table == "training" and not (0 in values["budgets"] and FORCED in values["scorings"]):
            before = config.discriminators.get(values["discriminators"][0])
            if before and before.responds:
                rows = (Variant(POOL, values["discriminators"][0], values["contexts"][0], 0, FORCED),)
        several = values["discriminators"] if getattr(settings, "discriminators", ()) else ()  # one is asked everywhere
        left_out = tuple(
            (who, context)
            for who, context in product(several, getattr(settings, "contexts", ()))
            if who in config.discriminators
            and context in config.contexts
            and config.discriminators[who].method not in config.contexts[context].prompts
        )
        found[table] = Experiment(**{**values, "extra_rows": rows, "left_out": left_out, "seeds": tuple(seeds)})
    return found


# --- reading ----------------------------------------------------------------------------------------------------------


OF_PYTHON = {
    " or instance of \\w+": "",
    " or object to .*": "",
    " after .*": "",
    "tuple": "list",
    "dictionary": "mapping",
}
"""What pydantic's messages say to programmers, and what a person reads in its place."""


def _explain(error: ValidationError) -> str:
    """One line on what is wrong: where, what is there, and what may be."""
    found = min(error.errors(include_url=False), key=lambda one: one["type"] != "refused")
    where, value, limits = list(found["loc"]), found["input"], found.get("ctx", {})
    if where[-1:] == ["[key]"]:
        del where[-2:]
    elif where[:1] in (["planners"], ["training_data"]) and len(where) > 2:
        del where[2]  # the strategy, which chose the type
    match found["type"]:
        case "refused":
            said = found["msg"]
        case "missing":
            said = f"the key '{where.pop()}' is missing"
        case "union_tag_not_found":
            said = f"the key '{_tag(where)}' is missing"
        case "union_tag_invalid":
            where.append(_tag(where))
            said = _impossible(limits["tag"], limits["expected_tags"])
        case "literal_error":
            said = _impossible(value, limits["expected"])
        case "greater_than_equal":
            said = f"{value} is too small; the least is {limits['ge']:g}"
        case "less_than_equal":
            said = f"{value} is too large; the most is {limits['le']:g}"
        case _:
            words = found["msg"].partition(" should ")[2]
            for python, plain in OF_PYTHON.items():
                words = re.sub(python, plain, words)
            said = f"{value!r} should {words}"
    return f"{'.'.join(map(str, where)) or 'the top level'}: {said}"


def _tag(where: list[Any]) -> str:
    """The key that decides which other keys there are."""
    return "kind" if where[0] == "training_data" else "strategy"


def _impossible(value: Any, possible: str) -> str:
    return f"{value!r} is not possible" + nearest(str(value), re.findall("'([^']*)'", possible))


def load_config(raw: Mapping[str, Any]) -> Config:
    """The configuration, its defaults filled in.

    Raises ConfigError, in one line that names the key and the nearest possible one, for what does not fit.
    """
    try:
        return Config.model_validate(dict(raw))
    except ValidationError as error:
        raise ConfigError(f"configuration, {_explain(error)}") from None


def read_models(path: str | Path, models_folder: str = "") -> dict[str, ModelSpec]:
    """The models table, by name, with sources found in `models_folder` in place of hub names.

    Raises ConfigError naming file and line for what is missing, malformed or listed twice.
    """
    try:
        text = read_text(path)
    except DataError as error:
        raise ConfigError(f"models_table: {error}") from error
    models: dict[str, ModelSpec] = {}
    lines: dict[str, str] = {}
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        try:
            cells = parts.ModelRow.model_validate({key: cell for key, cell in row.items() if key and cell is not None})
        except ValidationError as error:
            raise ConfigError(f"{where}: {_explain(error)} (cells are separated by tabs)") from None
        if None in row:
            raise ConfigError(f"{where}: more cells than columns (cells are separated by tabs)")
        if cells.name in models:
            raise ConfigError(f"{where}: model '{cells.name}' is listed twice; keep one")
        spec = ModelSpec(**dict(cells))
        try:
            check_spec(spec)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        models[spec.name] = spec if spec.backend == "routed" else _localised(spec, models_folder)
        lines[spec.name] = where
    for name, spec in models.items():
        if spec.backend == "routed":
            try:
                models[name] = join_parts(spec, models)
            except ConfigError as error:
                raise ConfigError(f"{lines[name]}: {error}") from error
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
            found: dict[str, Any] = {column: str(folder / name)}
            return dataclasses.replace(spec, **found)
    return spec
