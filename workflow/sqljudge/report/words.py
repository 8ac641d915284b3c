"""What settings are called: in tables, in the notes under them, and in the phrases that captions share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqljudge.core.variants import RERANK, VOTE, Experiment
from sqljudge.data.datasets import FORMATS

PLUS = " + "
"""Between two models that share the work, and between their sizes."""
Display = Mapping[str, str]
"""What generators, discriminators and planners are called, by name."""


class About(NamedTuple):
    """What tables say of a discriminator that asks a model: its size ("" if unknown), and whether it reasons.

    Of two models that share the work, `size` names both, the small one's first, `pair` the models, `rule` which gives a
    token, and `threshold` from where the large one does ("" where a rule has none of its own).
    """

    size: str
    reasons: bool
    pair: str = ""
    rule: str = ""
    threshold: str = ""

    @property
    def texts(self) -> tuple[str, str]:
        """As the cells of a row."""
        return self.size or "–", "yes" if self.reasons else "no"

    @property
    def sizes(self) -> tuple[float | None, ...]:
        """Parameters of the model, or of the small and the large one; None where they are not known."""
        return tuple(map(parameters, self.size.split(PLUS)))


def parameters(model: str) -> float | None:
    """How many parameters a model has by its size or name: `1.5b` is 1.5 thousand million."""
    found = re.search(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([tbm])(?![a-z0-9])", model.lower())
    return float(found[1]) * {"t": 1e12, "b": 1e9, "m": 1e6}[found[2]] if found else None


class Mode(NamedTuple):
    """A mode as a label, as a phrase, and as a clause that goes on with a sentence."""

    label: str
    phrase: str
    clause: str


MODES = {
    "naive": Mode("Naive", "every candidate scored", "when every candidate is scored"),
    "check": Mode("Executability check", "executability check", "with the executability check"),
}
HEADERS = {"scoring": "Scores", "budget": "Budget (tokens)"}
"""Over labels of rows, where it is not the setting's own name."""

LABELS: dict[str, dict[str, str]] = {
    "mode": {name: mode.label for name, mode in MODES.items()},
    "scoring": {"soft": "Soft", "hard": "Hard", "forced": "Forced"},
    "context": {
        "no_schema": "No schema",
        "schema": "Schema",
        "no_thinking": "No thinking",
        "result": "Result",
        "few_shot": "Demonstrations",
    },
    "planner": {RERANK: "Re-ranking", VOTE: "Majority of results, weighed"},
}
CONTEXTS = {
    "no_schema": "without the schema",
    "schema": "with the schema",
    "result": "with the candidate's result",
    "few_shot": "with demonstrations",
    "unframed": "as plain text, the answer opened",
    "examples": "with examples of a verdict",
    "key_only": "without examples of a verdict",
}
"""How captions speak of prompts."""

SETTINGS = {
    ("mode", "naive"): "every candidate is scored (naive)",
    ("mode", "check"): "candidates that do not execute rank last (executability check)",
    ("scoring", "soft"): "a score is the probability of the verdict (soft)",
    ("scoring", "hard"): "a score is 0 or 1 (hard)",
    ("decoding", "sample"): "its candidates are sampled",
    ("decoding", "greedy"): "true greedy decoding (the paper samples one sequence at temperature 0.1)",
}
"""How notes speak of a setting's value."""

_NO_SCHEMA = {"none", "no_schema", "no-schema", "noschema", "plain"}


def context_key(context: str) -> str:
    """The published name of a context: "no_schema", or its own."""
    return "no_schema" if context.lower() in _NO_SCHEMA else context


def label(setting: str, value: Any, display: Display) -> str:
    """What a table calls a setting's value."""
    name = context_key(value) if setting == "context" else str(value)
    return display.get(str(value)) or LABELS.get(setting, {}).get(name, str(value))


def setting_text(setting: str, value: Any, display: Display) -> str:
    """A setting in a note, such as "responses are cut at 512 tokens"."""
    called = display.get(str(value), str(value))
    name = context_key(value) if setting == "context" else str(value)
    known = SETTINGS.get((setting, name))
    if setting == "context" and name in CONTEXTS:
        known = f"prompts are {CONTEXTS[name]}"
    return known or {"budget": f"responses are cut at {called} tokens"}.get(setting, f"{setting} {called}")


def phrases(config: Mapping[str, Any], experiment: Experiment, display: Display) -> dict[str, Any]:
    """Phrases for the captions of one experiment's table and figure.

    `questions`, `pool`: which questions, and which candidates; `level`: what the dataset calls hardness; `who`: the
    discriminators, `generator`: who proposed; `context`, `contexts`: what the prompt shows; `left_out`: a sentence on
    each discriminator that a context has no prompt for; `modes`: which candidates are scored; `settings`: a sentence on
    how responses were read; `intervals`: which ones.
    """
    contexts = [CONTEXTS.get(name, name) for name in experiment.contexts]
    context = contexts[0] if len(contexts) == 1 else ""
    budgets = ", ".join(map(str, experiment.budgets))
    read = [f"responses are cut at {budgets} tokens"] if budgets else []
    read += [f"prompts are {context}"] if context else []
    read += [f"scores are {experiment.scorings[0]}"] if len(experiment.scorings) == 1 else []
    return {
        "questions": question_summary(config),
        "level": FORMATS[config["dataset"]["format"]].level_word,
        "pool": _pool(config, display),
        "who": ", ".join(display.get(name, name) for name in experiment.discriminators),
        "generator": ", ".join(display.get(name, name) for name in experiment.generators),
        "context": context,
        "modes": " and ".join(MODES[mode].clause for mode in experiment.modes),
        "contexts": "; ".join(contexts),
        "left_out": [
            f"{display.get(who, who)} is not asked {CONTEXTS.get(shown, shown)}: there is no such prompt of its kind."
            for who, shown in experiment.left_out
        ],
        "settings": f"{', '.join(read).capitalize()}." if read else "",
        "intervals": f"95 % intervals over questions, exact for shares, else of {config['resamples']:,} random weights",
    }


def subject(config: Mapping[str, Any], experiments: Iterable[Experiment], display: Display) -> str:
    """What results are of, in a line: dataset, candidates, generators, discriminators that ask a model, seed."""
    some, pool = list(experiments), config["pool"]
    generators = [name for one in some for name in one.generators]
    labelled = any(one.discriminators and not one.generators for one in some)
    if labelled and not pool.get("file"):
        generators.append(pool["generator"])
    judges = [name for one in some for name in one.discriminators]
    parts = {
        "dataset": [config["dataset"]["name"]],
        "labelled pool": [pool["file"]] if labelled and pool.get("file") else [],
        "generator": [display.get(name, name) for name in generators],
        "discriminator": [display.get(name, name) for name in judges],
        "seed": [str(config["seed"])],
    }
    known = {key: list(dict.fromkeys(names)) for key, names in parts.items() if names}
    return "; ".join(f"{key}{'s' if len(names) > 1 else ''} {', '.join(names)}" for key, names in known.items())


def question_summary(config: Mapping[str, Any]) -> str:
    """Which questions a run asks."""
    data = config["dataset"]
    known, each, listed = FORMATS[data["format"]], data["per_hardness"], data.get("question_ids", "")
    if listed and not listed.endswith(".tsv"):
        return f"the questions of ``{data['name']}`` listed in ``{listed}``"
    sampled = f"{each} of each {known.level_word}, seed {config['seed']}"
    if listed:
        return f"the questions of ``{data['name']}`` listed in ``{listed}``, completed by drawing ({sampled})"
    return f"{len(known.levels) * each} questions of ``{data['name']}`` ({sampled})"


def _pool(config: Mapping[str, Any], display: Display) -> str:
    pool = config["pool"]
    if pool.get("file"):
        return f"the labelled pool of ``{pool['file']}``"
    return f"candidates of {display.get(pool['generator'], pool['generator'])} for {question_summary(config)}"
