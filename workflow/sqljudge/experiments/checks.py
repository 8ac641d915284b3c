"""Checks a configuration across its parts: what uses a name, what a method or a planner can do. Runs nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.variants import CHOOSERS, FORCED, RERANK, Experiment, members
from sqljudge.data.datasets import FORMATS
from sqljudge.data.pool import databases_of
from sqljudge.data.sources import check_archive, is_written
from sqljudge.experiments.config import TABLES, Config, experiments_of, resolve
from sqljudge.experiments.jobs import framing_of, model_jobs, needs_of
from sqljudge.experiments.parts import Context, Part, nearest
from sqljudge.experiments.trained import lineage
from sqljudge.models.engines import check_forced, check_prompt_format, check_weights
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.weights import TRAINED
from sqljudge.stages.baselines import BASELINES
from sqljudge.stages.extras import EXTRAS, read_demonstration
from sqljudge.stages.generate import EXTRACTIONS
from sqljudge.stages.prompts import read_template
from sqljudge.stages.search.run import STRATEGIES
from sqljudge.training.methods import method_of as training_method
from sqljudge.training.methods import settings_of as training_settings

Models = Mapping[str, ModelSpec]

GROUPS = {
    "generator": "generators",
    "decoding": "decodings",
    "greedy_decoding": "decodings",
    "discriminator": "discriminators",
    "baseline": "discriminators",
    "context": "contexts",
}
"""What an experiment's settings name: each setting, or its plural, an entry of a part of the configuration."""


def check_references(config: Config, models: Models, tables: Collection[str] | None = None) -> None:
    """Check that files exist, and that every name the experiments use is defined and fits.

    `tables`: the experiments of those that are to be made (None: all); what no other thing uses may name any model.
    Raises ConfigError, in one line that names the key and what is possible.
    """
    _check_files(config)
    chosen = {table: part for table, part in config.experiments.items() if tables is None or table in tables}
    if chosen and not config.pool.file:
        for key, name in (("generator", config.pool.generator), ("decoding", config.pool.decoding)):
            _check_name(f"pool.{key}", name, GROUPS[key], config, models)
    for table, settings in chosen.items():
        _check_settings(f"experiments.{table}", settings, config, models)
        for place, row in enumerate(getattr(settings, "extra_rows", None) or ()):
            _check_settings(f"experiments.{table}.extra_rows.{place}", row, config, models)
    _check_trainings(config, models)
    experiments = {table: one for table, one in experiments_of(config).items() if table in chosen}
    _check_seeds(config, models, chosen)
    for table in chosen:
        if TABLES[table].pools:
            _check_before(table, f"{TABLES[table].against}s", config, models)
    _check_judging(config, experiments, models)
    for table, experiment in experiments.items():
        _check_planners(table, experiment, config)
    _check_routers(config, models)


def check_models(config: Config, models: Models, tables: Mapping[str, Experiment]) -> None:
    """Check that the local models are there which some tables, whose names are checked, still have to ask.

    Of a model that is trained the first one is looked for. Raises ModelError, in one line, for a folder, file or
    package that is missing or holds no weights.
    """
    left = [job for job in model_jobs(needs_of(tables, config), config) if not Path(job["result"]).is_file()]
    for model in dict.fromkeys(job["model"] for job in left):
        check_weights(lineage(models[model], config, models)[-1])


def _refuse(where: str, what: str) -> NoReturn:
    raise ConfigError(f"configuration, {where}: {what}")


@contextmanager
def _at(where: str) -> Iterator[None]:
    """An error is told with the key that causes it."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"configuration, {where}: {error}") from None


def _check_defined(where: str, name: str, names: Iterable[str]) -> None:
    if name not in (known := list(names)):
        _refuse(where, f"'{name}' is not defined{nearest(name, known)}")


def _check_files(config: Config) -> None:
    source, mirrors = config.dataset.source, config.dataset.mirrors
    if not source and not mirrors:
        what = "it is empty, and dataset.mirrors gives no address to download from; name the folder or zip archive of"
        _refuse("dataset.source", f"{what} {FORMATS[config.dataset.format].title}")
    if source and not resolve(source).exists():
        _refuse("dataset.source", f"{source} does not exist; name the dataset's folder or zip archive")
    if source and resolve(source).is_file():
        try:
            check_archive(resolve(source))
        except DataError as error:
            _refuse("dataset.source", str(error))
    if source and resolve(source).is_dir() and is_written(resolve(source)):
        _refuse("dataset.source", f"{source} is a folder that the run writes and deletes; move the dataset elsewhere")
    for key, file in (("dataset.question_ids", config.dataset.question_ids), ("pool.file", config.pool.file)):
        if file and is_written(resolve(file)):
            _refuse(key, f"{file} lies in a folder that the run writes and deletes; copy it elsewhere")
    for key, file, instead in (
        ("pool", config.pool.file, "a labelled pool, or leave it empty"),
        ("demonstrations", config.demonstrations.file, "training questions, or leave it empty for the dataset's own"),
    ):
        if file and not resolve(file).is_file():
            _refuse(f"{key}.file", f"{file} does not exist; name {instead}")


def _check_name(where: str, name: str, group: str, config: Config, models: Models) -> None:
    """Check that a part of the configuration has a name, and that its model, if it has one, is there and fits."""
    entries = getattr(config, group)
    if name not in entries and name.startswith("oracle:"):
        new, define = name.replace(":", "-"), f"{{method: oracle, p: {name.partition(':')[2]}}}"
        what = f"it is now called '{new}'" if new in entries else f"define it under discriminators, as {new}: {define}"
        _refuse(where, f"'{name}' is not defined; {what}")
    _check_defined(where, name, entries)
    if model := getattr(entries[name], "model", ""):
        _check_defined(f"{group}.{name}.model", model, models)
        if group == "generators":
            with _at(f"{group}.{name}.prompt_format"):
                check_prompt_format(models[model], entries[name].prompt_format)


def _check_settings(where: str, part: Part, config: Config, models: Models) -> None:
    """Check the names and budgets of an experiment, or of one of its extra rows."""

    def several(value: Any) -> tuple[Any, ...]:
        return value if isinstance(value, tuple) else () if value is None else (value,)

    settings = dict(part)
    for key, value in settings.items():
        group = GROUPS.get(key.removesuffix("s"), "")
        for name in several(value) if group else ():
            _check_name(f"{where}.{key}", name, group, config, models)
            is_baseline = group == "discriminators" and config.discriminators[name].is_baseline
            if is_baseline != (key == "baselines"):
                what = "asks no model; only 'baselines'" if is_baseline else "asks a model; all but 'baselines'"
                _refuse(f"{where}.{key}", f"'{name}' {what} can name it")
        if key in ("budget", "budgets") and 0 in several(value):
            scorings = {*several(settings.get("scoring")), *several(settings.get("scorings"))}
            if scorings != {FORCED}:
                what = f"0 is too small; the least is 1, but for the scoring '{FORCED}' on its own"
                _refuse(f"{where}.{key}", what)


FILES_OF_DATA = ("file", "tables", "databases", "judgments", "candidates", "questions")


def _check_trainings(config: Config, models: Models) -> None:
    """Check trainings and what they are trained on, and that each trained model has a training that ends."""
    for name, data in config.training_data.items():
        for key in FILES_OF_DATA:
            file, where = getattr(data, key, ""), f"training_data.{name}.{key}"
            if not file or not isinstance(file, str):
                continue
            if not resolve(file).exists():
                _refuse(where, f"{file} does not exist; correct it")
            if is_written(resolve(file)):
                _refuse(where, f"{file} lies in a folder that the run writes and deletes; copy it elsewhere")
            if any(resolve(file).samefile(other) for other in _evaluated_files(config)):
                _refuse(where, f"{file} is evaluated; train on other questions")
        _check_databases(name, data, config)
    for name, training in config.trainings.items():
        where = f"trainings.{name}"
        _check_defined(f"{where}.model", training.model, models)
        _check_defined(f"{where}.data", training.data, config.training_data)
        base = models[training.model]
        if base.backend not in ("transformers", "vllm"):
            _refuse(f"{where}.model", f"'{training.model}' has no weights to train; name a model of transformers")
        if base.quantization != "none":
            _refuse(f"{where}.model", f"'{training.model}' has weights in fewer bits; add a row with quantization none")
        with _at(f"{where}.settings"):
            training_settings(training.method, training.settings)
        tasks, kind = training_method(training.method).tasks, config.training_data[training.data].kind
        asked = {"sat": "sat", "questions": "query"}.get(kind, "judge")
        if asked not in tasks and kind != "file":
            what = f"the method '{training.method}' learns from data that ask for: {', '.join(tasks)}"
            _refuse(f"{where}.data", f"{what}; '{training.data}' asks for: {asked}")
        if kind != "sat":
            if not training.prompt:
                _refuse(f"{where}.prompt", "it is missing; name the template that the model is to be asked with")
            with _at(f"{where}.prompt"):
                read_template(resolve(training.prompt), required=("question",), further=("result",))
        with _at(f"{where}.prompt_format"):
            check_prompt_format(base, training.prompt_format)
    for name, spec in models.items():
        chain, training_name = [name], spec.source.removeprefix(TRAINED)
        while spec.source.startswith(TRAINED):
            if spec.backend not in ("transformers", "vllm"):
                _refuse("models_table", f"model '{name}': a trained model has weights; use transformers or vllm")
            _check_defined(f"models_table, model '{name}', source", training_name, config.trainings)
            spec = models[config.trainings[training_name].model]
            if spec.name in chain:
                _refuse("models_table", f"model '{name}' is trained from itself; name another base model")
            chain.append(spec.name)
            training_name = spec.source.removeprefix(TRAINED)


def _check_before(table: str, key: str, config: Config, models: Models) -> None:
    """Check that the first of a table of trained models asks the one that the others were trained from.

    Others may ask that one, too, by another method.
    """
    entries, where = getattr(config, key), f"experiments.{table}.{key}"
    first, *others = getattr(config.experiments[table], key)
    before = models[entries[first].model]
    for name in others:
        chain = lineage(models[entries[name].model], config, models)
        if before.name in [spec.name for spec in chain]:
            continue
        twin = next((spec.name for spec in chain if spec.source == before.source), "")
        if twin:
            what = f"'{first}' asks '{before.name}', which is '{twin}' under another name"
            _refuse(where, f"{what}; let it ask '{twin}', from which '{name}' was trained")
        _refuse(where, f"'{name}' was not trained from '{before.name}', which the first one asks; put its base first")


def _check_seeds(config: Config, models: Models, chosen: Mapping[str, Part]) -> None:
    """Check that what has a model of each of several seeds is named only where all of them can be meant."""
    parts: dict[str, Collection[str]] = {"generator": config.generators, "discriminator": config.discriminators}
    for role, known in parts.items():
        named = {f"experiments.{table}.{role}": getattr(part, role, None) for table, part in chosen.items()}
        named |= {f"routers.{name}.{role}": getattr(router, role, None) for name, router in config.routers.items()}
        named |= {f"roles.{role}": getattr(config.roles, role, None), f"pool.{role}": getattr(config.pool, role, None)}
        for table, part in chosen.items():
            for place, row in enumerate(getattr(part, "extra_rows", None) or ()):
                named[f"experiments.{table}.extra_rows.{place}"] = getattr(row, role, None)
        _check_single(named, known)
    for table, part in chosen.items():
        if TABLES[table].pools:  # all others compare with the first one of each seed
            key = f"{TABLES[table].against}s"
            _check_single({f"experiments.{table}.{key}": getattr(part, key)[0]}, getattr(config, key))
    _check_single({f"trainings.{name}.model": each.model for name, each in config.trainings.items()}, models)
    for row in models.values():
        for each in row.parts:
            _check_single({f"models_table, model '{row.name}', source": each.name}, models)


def _check_single(named: Mapping[str, str | None], known: Collection[str]) -> None:
    for where, name in named.items():
        if name and (own := members(name, known)) != (name,):
            _refuse(where, f"'{name}' has a model of each of several seeds; name one of them, such as '{own[0]}'")


def _check_databases(name: str, data: Any, config: Config) -> None:
    """Check that questions to train on are over other databases than those of the files that are evaluated.

    What cannot be read here (items, an archive, a download) is checked when the training data are made.
    """
    if data.kind not in ("questions", "mutations"):
        return
    with _at(f"training_data.{name}.file"):
        evaluated = {db_id for file in _evaluated_files(config) for db_id in databases_of(file)}
        both = sorted(evaluated & set(databases_of(resolve(data.file))))
    if both:
        what = f"its database '{both[0]}' is evaluated; leave the questions over it out"
        _refuse(f"training_data.{name}.file", f"{data.file}: {what}")


def _evaluated_files(config: Config) -> list[Path]:
    source = resolve(config.dataset.source) if config.dataset.source else None
    named = [source / config.dataset.questions_file] if source and source.is_dir() else []
    return [file for file in (*named, *map(resolve, filter(None, [config.pool.file]))) if file.is_file()]


def _check_planners(table: str, experiment: Experiment, config: Config) -> None:
    """Check that planners are known: beside re-ranking the other choosers, in a table of planners all there are."""
    where, compares = f"experiments.{table}", "planners" in TABLES[table].settings
    if compares and not experiment.planners:
        _refuse(f"{where}.planners", "it is empty; name at least one planner")
    for name in experiment.planners:
        known = [*CHOOSERS, *config.planners] if compares else [name for name in CHOOSERS if name != RERANK]
        _check_defined(f"{where}.planners", name, known)
        if name in config.planners:
            _check_search(where, name, experiment, config)


def _check_search(where: str, name: str, experiment: Experiment, config: Config) -> None:
    """Check a planner that asks models against the generator, discriminators and context that it is to work with."""
    planner, generator, context = config.planners[name], experiment.generators[0], experiment.contexts[0]
    continues = EXTRACTIONS[config.generators[generator].extraction].continues
    if STRATEGIES[planner.strategy].opens and not continues:
        what = f"the strategy '{planner.strategy}' opens answers with SQL, but generator '{generator}' writes a fenced"
        _refuse(f"{where}.planners", f"'{name}': {what} block; use another generator")
    for baseline in experiment.baselines:
        if not BASELINES[config.discriminators[baseline].method].alone:
            what = f"'{baseline}' scores candidates against each other, so it cannot value a new query"
            possible = ", ".join(method for method, known in BASELINES.items() if known.alone)
            _refuse(f"{where}.baselines", f"{what}; possible methods: {possible}")
    if config.contexts[context].extras:
        what = f"'{context}' shows extras, which a query that a planner finds does not have yet"
        _refuse(f"{where}.context", f"{what}; use a context without extras")


def _check_yes_token(config: Config, who: str, context: str, models: Models) -> None:
    """Check that a model that learnt to say one token Yes is not read by another."""
    source = models[config.discriminators[who].model].source
    training = config.trainings.get(source.removeprefix(TRAINED)) if source.startswith(TRAINED) else None
    if training is None or training.method not in ("probe", "verdict") or training.closes:
        return
    name, asked = source.removeprefix(TRAINED), config.contexts[context].yes_token
    if training.yes_token != asked:
        what = f"it is '{training.yes_token}', but '{who}' is asked in the context '{context}', whose yes_token is"
        _refuse(f"trainings.{name}.yes_token", f"{what} '{asked}'; let them be equal")


def _check_judging(config: Config, experiments: Mapping[str, Experiment], models: Models) -> None:
    """Check that discriminators have prompts in the contexts that they are asked in, and can do what is wanted."""
    forced: dict[tuple[str, str], bool] = {}
    for one in experiments.values():
        for variants, always in ((one.variants(), bool(one.checkpoints)), (one.extra_rows, False)):
            for each in variants:
                if each.discriminator:
                    pair = (each.discriminator, each.context)
                    forced[pair] = forced.get(pair, False) or always or each.scoring == FORCED
    for who, context in forced:
        method = config.discriminators[who].method
        shown = config.contexts[context]
        if method not in shown.prompts:
            _refuse(f"contexts.{context}", f"has no {method} prompt, which '{who}' needs")
        with _at(f"contexts.{context}.prompt_format" if shown.prompt_format else f"discriminators.{who}.prompt_format"):
            prompt_format = framing_of(config, discriminator=who, context=context)["prompt_format"]
            check_prompt_format(models[config.discriminators[who].model], prompt_format)
        if method == "yes_no":
            _check_yes_token(config, who, context, models)
    for table, one in experiments.items():
        for who, context in one.left_out:
            if context == one.contexts[0]:
                what = f"'{who}' cannot be asked in '{context}', the first, to which all others are compared"
                _refuse(f"experiments.{table}.contexts", f"{what}; put one first that all can answer")
    for name in dict.fromkeys(context for _, context in forced):
        _check_extras(f"contexts.{name}", config.contexts[name])
        if "demonstrations" in config.contexts[name].extras:
            with _at("demonstrations.prompt"):
                read_demonstration(resolve(config.demonstrations.prompt))
    for (who, _), wanted in forced.items():
        entry = config.discriminators[who]
        if wanted and entry.responds:
            with _at(f"discriminators.{who}"):
                check_forced(models[entry.model])


def _check_routers(config: Config, models: Models) -> None:
    """Check that a router's two models can share the work, and that its large one wrote responses in its context."""
    for name, router in config.routers.items():
        where = f"routers.{name}"
        _check_defined(f"{where}.small", router.small, models)
        _check_name(f"{where}.discriminator", router.discriminator, "discriminators", config, models)
        _check_defined(f"{where}.context", router.context, config.contexts)
        entry, context = config.discriminators[router.discriminator], config.contexts[router.context]
        if not entry.responds:
            _refuse(f"{where}.discriminator", f"'{router.discriminator}' writes no response; name one that reasons")
        for key, model in (("small", router.small), ("discriminator", entry.model)):
            if models[model].backend != "transformers":
                what = f"model '{model}' has the backend '{models[model].backend}'"
                _refuse(f"{where}.{key}", f"{what}; a router is between two models with the backend transformers")
        if entry.method not in context.prompts or context.extras:
            what = "shows extras" if context.extras else f"has no {entry.method} prompt"
            _refuse(f"{where}.context", f"'{router.context}' {what}; use another")


def _check_extras(where: str, context: Context) -> None:
    """Check that the extras of a context stand in all of its templates, and no others."""
    for method, path in context.prompts.items():
        with _at(f"{where}.{method}"):
            template = read_template(resolve(path), required=("question", "sql"), further=EXTRAS)
        for name, extra in EXTRAS.items():
            listed, shown = name in context.extras, name in template.fields
            if listed and method not in extra.methods:
                what = f"{name} are for {', '.join(extra.methods)} prompts only; take the {method} prompt out"
                _refuse(f"{where}.{method}", what)
            if shown and not listed:
                _refuse(f"{where}.extras", f"{path} shows ${{{name}}}, which is not listed; add '{name}' to it")
            if listed and not shown:
                what = f"'{name}' is listed, but {path} shows no ${{{name}}}; take it out, or put it in there"
                _refuse(f"{where}.extras", what)
