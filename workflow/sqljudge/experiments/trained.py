"""What stands behind a trained model: its trainings, and of one with several seeds an entry for each. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.core.variants import of_seed
from sqljudge.experiments.config import Config
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.weights import TRAINED, parse_route

Models = Mapping[str, ModelSpec]


def with_seeds(config: Config, models: Models) -> tuple[Config, dict[str, ModelSpec]]:
    """A configuration and its models, with an entry for each seed of a training that has several.

    They are added for the training, the models that it makes, and the generators and discriminators that ask these;
    each is called as the first with `-seed` and the number behind it. Raises ConfigError for a name that is taken.
    """
    trainings: dict[str, Any] = {}
    rows: dict[str, ModelSpec] = {}
    entries: dict[str, dict[str, Any]] = {part: {} for part in _entries(config)}
    for name, training in config.trainings.items():
        for seed in training.seeds:
            trainings[of_seed(name, seed)] = training.model_copy(update={"seed": seed, "seeds": ()})
            for row in (row for row in models.values() if row.source == f"{TRAINED}{name}"):
                model = of_seed(row.name, seed)
                rows[model] = replace(row, name=model, source=f"{TRAINED}{of_seed(name, seed)}")
                for part, found in entries.items():
                    for own, entry in getattr(config, part).items():
                        if entry.model == row.name:
                            label = f"{entry.label}, seed {seed}"
                            found[of_seed(own, seed)] = entry.model_copy(update={"model": model, "label": label})
    for part, known in {"trainings": config.trainings, "models_table": models, **_entries(config)}.items():
        for name in known:
            stem = re.sub(r"-seed\d+$", "", name)
            if stem != name and stem in known:
                what = f"'{name}' would be read as a seed of '{stem}'; use another name"
                raise ConfigError(f"configuration, {part}: {what}")
    update = {part: {**getattr(config, part), **made} for part, made in {"trainings": trainings, **entries}.items()}
    return config.model_copy(update=update), {**models, **rows}


def _entries(config: Config) -> dict[str, Mapping[str, Any]]:
    return {"generators": config.generators, "discriminators": config.discriminators}


def lineage(spec: ModelSpec, config: Config, models: Models) -> list[ModelSpec]:
    """A model, the one that it was trained from, and so on to the first; all are checked."""
    chain = [spec]
    while chain[-1].source.startswith(TRAINED):
        chain.append(models[config.trainings[chain[-1].source.removeprefix(TRAINED)].model])
    return chain


def trainings_of(spec: ModelSpec, config: Config, models: Models) -> list[str]:
    """The trainings that made a model, or the two that share its work, the first one first."""
    if spec.parts:
        return [name for part in spec.parts for name in trainings_of(models[part.name], config, models)]
    chain = lineage(spec, config, models)
    return [one.source.removeprefix(TRAINED) for one in reversed(chain) if one.source.startswith(TRAINED)]


def routers_of(spec: ModelSpec, config: Config) -> list[str]:
    """The routers of the configuration that two models share their work by; at most one."""
    file = parse_route(spec).router if spec.parts else ""
    return [name for name in config.routers if file and file.endswith(f"results/routers/{name}.safetensors")]
