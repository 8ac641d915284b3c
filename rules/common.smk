# Helpers of the rules: the checked configuration, and which file needs which. No rule stands here.
import dataclasses
import re
import sys
from pathlib import Path

from sqljudge.config import (
    POOL,
    ROOT,
    Judged,
    check_config,
    check_references,
    largest_budgets,
    read_models,
    resolve,
)
from sqljudge.errors import SqljudgeError
from sqljudge.provenance import code_digest

try:
    config = check_config(config)
    MODELS = read_models(resolve(config["models_table"]), config["models_folder"])
    check_references(config, MODELS)
except SqljudgeError as error:
    sys.exit(f"Error: {error}")

SEED = config["seed"]
DATASET = config["dataset"]["name"]
EXPERIMENTS = config["experiments"]
BUDGETS = largest_budgets(config)
DATA = f"results/data/{DATASET}"
DATABASES = f"{DATA}/database"
HARDWARE_CPU = "../envs/cpu.yaml"
HARDWARE_GPU = "../envs/gpu.yaml"
JOURNAL = "results/journal" if config["journal"] else ""


wildcard_constraints:
    dataset="[A-Za-z0-9_-]+",
    generator="|".join(map(re.escape, config["generators"])),
    decoding="|".join(map(re.escape, config["decodings"])),
    discriminator="|".join(map(re.escape, config["discriminators"])),
    context="|".join(map(re.escape, config["contexts"])),
    pool="|".join(
        [POOL]
        + [
            rf"{re.escape(generator)}\.{re.escape(decoding)}"
            for generator in config["generators"]
            for decoding in config["decodings"]
        ]
    ),
    budget=r"\d+",
    scoring="soft|hard",
    mode="naive|check",


def questions_of(wildcards):
    """The questions that a pool of candidates belongs to."""
    name = POOL if wildcards.pool == POOL else DATASET
    return f"results/questions/{name}.jsonl"


def settings(name, **changes):
    """What stands between a judgment and its use: `b{budget}.{scoring}.{mode}` of an experiment, with changes."""
    values = {**EXPERIMENTS[name], **changes}
    return f"b{values['budget']}.{values['scoring']}.{values['mode']}"


def intrinsic(name, discriminator, **changes):
    """The intrinsic metrics of a discriminator under an experiment's settings."""
    context = changes.get("context", EXPERIMENTS[name].get("context"))
    return f"results/metrics/intrinsic/{discriminator}/{context}/{POOL}.{settings(name, **changes)}.json"


def reranked(name, discriminator, **changes):
    """The end-to-end metrics of a discriminator that re-ranks an experiment's candidates."""
    experiment = EXPERIMENTS[name]
    pool = f"{experiment['generator']}.{experiment['decoding']}"
    return (
        f"results/metrics/end_to_end/rerank/{discriminator}/{experiment['context']}/"
        f"{pool}.{settings(name, **changes)}.json"
    )


def first_of(generator, decoding):
    """The end-to-end metrics of a generator without a discriminator."""
    return f"results/metrics/end_to_end/greedy/{generator}.{decoding}.json"


def reasoning(name, **changes):
    """The reasoning-quality metrics of an experiment's discriminator."""
    values = {**EXPERIMENTS[name], **changes}
    return f"results/metrics/reasoning/{values['discriminator']}/{values['context']}/{POOL}.b{values['budget']}.json"


def end_to_end_of(name):
    """The metrics of an end-to-end table: each discriminator, and the generator alone where a baseline is named."""
    experiment = EXPERIMENTS[name]
    files = [reranked(name, discriminator) for discriminator in experiment["discriminators"]]
    if "greedy_decoding" in experiment:
        files.append(first_of(experiment["generator"], experiment["greedy_decoding"]))
    return files


def variants(name):
    """Scoring and mode of each row of a soft-against-hard table."""
    experiment = EXPERIMENTS[name]
    return [
        {"scoring": scoring, "mode": mode}
        for mode in experiment["modes"]
        for scoring in experiment["scorings"]
    ]


def metrics_of(name):
    """Every metrics file that a table is made of."""
    experiment = EXPERIMENTS[name]
    who = experiment.get("discriminator")
    made = {
        "table1": lambda: [
            intrinsic(name, discriminator, mode=mode)
            for discriminator in experiment["discriminators"]
            for mode in experiment["modes"]
        ],
        "table2": lambda: end_to_end_of(name),
        "table3": lambda: end_to_end_of(name),
        "table4": lambda: [
            make(context)
            for context in experiment["contexts"]
            for make in (
                lambda context: intrinsic(name, who, context=context),
                lambda context: reasoning(name, context=context),
            )
        ],
        "table5": lambda: [intrinsic(name, who, **variant) for variant in variants(name)],
        "table6": lambda: [reranked(name, who, **variant) for variant in variants(name)],
        "table7": lambda: [
            first_of(generator, experiment["decoding"]) for generator in experiment["generators"]
        ],
        "table8": lambda: [
            make(budget)
            for budget in experiment["budgets"]
            for make in (
                lambda budget: intrinsic(name, who, budget=budget),
                lambda budget: reasoning(name, budget=budget),
            )
        ],
    }
    return made[name]()


def runs_of(name):
    """What every model job behind a table recorded of itself."""
    experiment = EXPERIMENTS[name]
    who = experiment.get("discriminators") or [experiment[key] for key in ("discriminator",) if key in experiment]
    contexts = experiment.get("contexts") or [experiment[key] for key in ("context",) if key in experiment]
    decoding = experiment.get("decoding")
    sampled = [f"{experiment['generator']}.{decoding}"] if "generator" in experiment else []
    if "greedy_decoding" in experiment:
        sampled.append(f"{experiment['generator']}.{experiment['greedy_decoding']}")
    sampled += [f"{generator}.{decoding}" for generator in experiment.get("generators", [])]
    pool = sampled[0] if sampled else POOL
    judged = [f"results/judgments/{one}/{context}/{pool}.run.json" for one in who for context in contexts]
    return [f"results/candidates/{pool}.run.json" for pool in sampled] + judged


def pool_of(selected):
    """The pool of candidates that a path below results/selections comes from."""
    name = selected.rpartition("/")[2]
    return re.sub(r"\.b\d+\.\w+\.\w+$", "", name)


def selection_settings(selected):
    """What a path below results/selections says of planner, generator, discriminator and scoring."""
    parts = selected.split("/")
    values = {"planner": parts[0]}
    values["generator"], _, values["decoding"] = pool_of(selected).rpartition(".")
    if len(parts) == 4:
        budget, scoring, mode = parts[3].split(".")[-3:]
        values |= {"discriminator": parts[1], "context": parts[2], "scoring": scoring, "mode": mode}
        values["budget"] = int(budget.removeprefix("b"))
    return values


def display_names():
    """What tables and figures call each generator and discriminator."""
    named = {**config["generators"], **config["discriminators"]}
    return {name: entry.get("label", name) for name, entry in named.items()}


def model_of(group):
    """A params function: the models-table row of a job's generator or discriminator, as a plain dict."""
    single = group.removesuffix("s")

    def spec(wildcards):
        return dataclasses.asdict(MODELS[config[group][getattr(wildcards, single)]["model"]])

    return spec


def model_code(stage, group):
    """A params function: the digest of a model stage's code, its backend included."""
    single = group.removesuffix("s")

    def digest(wildcards):
        backend = MODELS[config[group][getattr(wildcards, single)]["model"]].backend
        return code_digest(stage, f"backends.{backend}")

    return digest
