"""Phrases that the report's captions share: which questions, which pool, who judges, how. Knows the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqljudge.core.artefacts import Experiment, one_or_many
from sqljudge.data.datasets import FORMATS

MODES = {"naive": "when every candidate is scored", "check": "with the executability check"}
CONTEXTS = {
    "no_schema": "without the schema",
    "schema": "with the schema",
    "result": "with the candidate's result",
    "few_shot": "with demonstrations",
}


def phrases(config: Mapping[str, Any], experiment: Experiment, display: Mapping[str, str]) -> dict[str, Any]:
    """Phrases for the captions of one experiment's table and figure.

    `questions`, `pool`: what was asked and on which candidates; `level`: what the dataset calls hardness; `who`: the
    discriminators, `generator`: who proposed; `context`, `contexts`: what the prompt shows, `unasked`: a sentence on
    each discriminator that is left out of one; `modes`: which candidates are asked about; `settings`: a sentence on
    how responses were read; `bootstrap`: which intervals.
    """
    budgets = one_or_many(experiment, "budget")
    context = CONTEXTS.get(experiment.get("context", ""), experiment.get("context", ""))
    read = [f"responses are cut at {', '.join(map(str, budgets))} tokens"] if budgets else []
    read += [f"prompts are {context}"] if context else []
    read += [f"scores are {experiment['scoring']}"] if "scoring" in experiment else []
    return {
        "questions": asked(config),
        "level": FORMATS[config["dataset"]["format"]].level_word,
        "pool": _pool(config, display),
        "who": ", ".join(display.get(name, name) for name in one_or_many(experiment, "discriminator")),
        "generator": display.get(experiment.get("generator", ""), ""),
        "context": context,
        "modes": " and ".join(MODES.get(mode, mode) for mode in one_or_many(experiment, "mode")),
        "contexts": "; ".join(CONTEXTS.get(name, name) for name in one_or_many(experiment, "context")),
        "unasked": [
            f"{display.get(who, who)} is not asked {CONTEXTS.get(shown, shown)}: there is no such prompt of its kind."
            for who, shown in experiment.get("unasked", ())
        ],
        "settings": f"{', '.join(read).capitalize()}." if read else "",
        "bootstrap": f"95 % percentile bootstrap intervals over questions ({config['resamples']:,} resamples)",
    }


def asked(config: Mapping[str, Any]) -> str:
    """Which questions a run asks."""
    data = config["dataset"]
    if data.get("question_ids"):
        return f"the questions of ``{data['name']}`` listed in ``{data['question_ids']}``"
    form, each = FORMATS[data["format"]], data["per_hardness"]
    sampled = f"{each} of each {form.level_word}, seed {config['seed']}"
    return f"{len(form.levels) * each} questions of ``{data['name']}`` ({sampled})"


def _pool(config: Mapping[str, Any], display: Mapping[str, str]) -> str:
    pool = config["pool"]
    if pool.get("file"):
        return f"the labelled pool of ``{pool['file']}``"
    return f"candidates of {display.get(pool['generator'], pool['generator'])} for {asked(config)}"
