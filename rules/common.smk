# What several rule files share: the checked configuration, the names of files, and the entries of a job's models.
import dataclasses
import re
import sys

from sqljudge.core.errors import SqljudgeError
from sqljudge.core.provenance import code_digest
from sqljudge.core.variants import (
    CHOOSERS,
    FORCED,
    GREEDY,
    NONE,
    PATTERNS,
    POOL,
    VOTE,
    Variant,
    path,
    reference,
    variant_of,
)
from sqljudge.data.datasets import FORMATS
from sqljudge.experiments.checks import check_references
from sqljudge.experiments.config import ROOT, experiments_of, load_config, read_models, resolve
from sqljudge.experiments.jobs import extras_of, model_jobs, needs_of, tables_of
from sqljudge.models.engines import BACKENDS, weights_label

try:
    CONFIG = load_config(config)
    MODELS = read_models(resolve(CONFIG.models_table), CONFIG.models_folder)
    check_references(CONFIG, MODELS)
except SqljudgeError as error:
    sys.exit(f"Error: {error}")

config = CONFIG.model_dump()  # with its defaults, for `lookup` and the report's captions
SEED = CONFIG.seed
DATASET = CONFIG.dataset.name
FORMAT = FORMATS[CONFIG.dataset.format]
DATA = f"results/data/{DATASET}"
DATABASES = f"{DATA}/database"
CPU_ENV = "../envs/cpu.yaml"
JOURNAL = "results/journal" if CONFIG.journal else ""
TABLES = tables_of(experiments_of(CONFIG))
NEEDS = needs_of(TABLES, CONFIG)
LABELS = {
    **{name: entry.label or name for name, entry in CONFIG.planners.items()},
    **{
        name: (entry.label or name)
        + (weights_label(MODELS[entry.model]) if entry.model in MODELS else "")
        for name, entry in {**CONFIG.generators, **CONFIG.discriminators}.items()
    },
}


def either(names):
    """A wildcard constraint: one of some names."""
    return "|".join(map(re.escape, names)) or "-"


ASKING = either(name for name, entry in CONFIG.discriminators.items() if not entry.is_baseline)
BASELINE = either(name for name, entry in CONFIG.discriminators.items() if entry.is_baseline)


wildcard_constraints:
    generator=either(CONFIG.generators),
    decoding=either(CONFIG.decodings),
    discriminator=either([*CONFIG.discriminators, NONE]),
    planner=either([*CHOOSERS, GREEDY, *CONFIG.planners]),
    context=either([*CONFIG.contexts, NONE]),
    base=either(CONFIG.contexts),
    pool=either([POOL, *(f"{g}.{d}" for g in CONFIG.generators for d in CONFIG.decodings)]),
    budget=r"\d+",
    checkpoints=r"\d+(-\d+)*",
    model=either(MODELS),
    scoring="soft|hard|forced",
    mode="naive|check",


def of_samples(kind):
    """The files of a kind that belong to a generator's samples."""
    return PATTERNS[kind].replace("{pool}", "{generator}.{decoding}")


def log_of(pattern):
    """The log of the job that makes a file."""
    return pattern.replace("results/", "logs/", 1) + ".log"


def benchmark_of(pattern):
    """The benchmark of the job that makes a file."""
    return pattern.replace("results/", "benchmarks/results/", 1) + ".tsv"


def variant(wildcards):
    """A job's variant."""
    found = dict(wildcards.items())
    if "generator" in found:
        found["pool"] = f"{found['generator']}.{found['decoding']}"
    return variant_of(found)


def settings(wildcards):
    """A job's variant as it is written into metric files."""
    return variant(wildcards).settings()


def questions_of(wildcards):
    """The questions that a pool of candidates belongs to."""
    return path("questions", Variant(POOL if variant(wildcards).pool == POOL else DATASET))


def executions_if_checked(wildcards):
    """Executions, where the executability check needs them."""
    return [path("executions", variant(wildcards))] if wildcards.mode == "check" else []


def entry_of(role):
    """A function: the configuration of a job's generator or discriminator."""
    return lambda wildcards: getattr(CONFIG, f"{role}s")[wildcards[role]]


def model_row(role):
    """A params function: the row of the models table of a job's generator or discriminator."""
    return lambda wildcards: dataclasses.asdict(MODELS[entry_of(role)(wildcards).model])


def weights_of(role):
    """An input function: the folder of a model that comes as a GGUF file; nothing for others."""

    def folder(wildcards):
        model = MODELS[entry_of(role)(wildcards).model]
        packed = model.source.endswith(".gguf") and model.backend == "transformers"
        return [f"results/models/{model.name}"] if packed else []

    return folder


def backend_of(role):
    """The name of the backend of a job's generator or discriminator."""
    return lambda wildcards: MODELS[entry_of(role)(wildcards).model].backend


def model_gpus(*roles):
    """A resources function: no GPU for models behind a server."""
    return lambda wildcards: max(
        0 if BACKENDS[backend_of(role)(wildcards)].remote else 1 for role in roles
    )


def model_env(*roles):
    """A conda function: the environment that holds the backends of all of a job's models."""
    order = ["cpu", "gpu", "vllm"]
    return lambda wildcards: "../envs/{}.yaml".format(
        max((BACKENDS[backend_of(role)(wildcards)].environment for role in roles), key=order.index)
    )


def model_code(stage, *roles):
    """A params function: the digest of a model stage's code, its backends included."""
    return lambda wildcards: code_digest(
        stage, *(f"models.engines.{backend_of(role)(wildcards)}" for role in roles)
    )


def model_threads(wildcards):
    """A model job on a GPU leaves the cores to others; on the CPU it takes them all."""
    offered = dict(workflow.global_resources.unwrapped_items())
    return (workflow.cores or 2) if offered.get("gpu") == 0 else 2


def decoding_of(wildcards):
    """How a job's completions are drawn: the decoding, with the generator's own limit in place of its limit."""
    own = entry_of("generator")(wildcards).max_new_tokens
    decoding = config["decodings"][wildcards.decoding]
    return {**decoding, "max_new_tokens": own} if own else decoding


def discriminator_prompt(wildcards):
    """The prompt template of a job's context and discriminator."""
    method = entry_of("discriminator")(wildcards).method
    return str(resolve(config["contexts"][wildcards.context][method]))


def describe(name, text):
    """Give a rule that was made in a loop its docstring; within a module its name is another."""
    workflow.get_rule(workflow.modifier.modify_rulename(name)).docstring = text
