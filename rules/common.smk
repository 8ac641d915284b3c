# What several files of rules share: the checked configuration, names of files, constraints.
import dataclasses
import functools
import io
import os
import re
import sys
from contextlib import redirect_stderr

from snakemake.cli import parse_args

from sqljudge.core.errors import SqljudgeError
from sqljudge.core.provenance import code_digest
from sqljudge.core.records import NO_LEVEL
from sqljudge.core.variants import (
    CHOOSERS,
    CONSTRAINTS,
    FORCED,
    GREEDY,
    NONE,
    PATTERNS,
    POOL,
    VOTE,
    Variant,
    members,
    path,
    variant_of,
)
from sqljudge.data.datasets import FORMATS
from sqljudge.experiments.checks import check_models, check_references
from sqljudge.experiments.config import ROOT, experiments_of, load_config, read_models, resolve
from sqljudge.experiments.folder import configuration, model_rows
from sqljudge.experiments.jobs import about_model, extras_of, framing_of, model_jobs, needs_of, router_job
from sqljudge.experiments.trained import routers_of, trainings_of, with_seeds
from sqljudge.experiments.training_estimate import training_job
from sqljudge.models.device import RUN
from sqljudge.models.engines import BACKENDS, weights_label
from sqljudge.models.engines.weights import TRAINED
from sqljudge.report.specs import SPECS, tables_of

try:
    CONFIG = load_config(config)
    CONFIG, MODELS = with_seeds(CONFIG, read_models(resolve(CONFIG.models_table), CONFIG.models_folder))
    check_references(CONFIG, MODELS, tables=())
except SqljudgeError as error:
    sys.exit(f"Error: {error}")

# With its defaults, for `lookup` and the report's captions; with the models table, wherever its weights lie.
config = {**CONFIG.model_dump(by_alias=True), "models": model_rows(read_models(resolve(CONFIG.models_table)))}
os.environ[RUN] = str(os.getpid())  # what outlives a job ends with this process
CONFIGURATION = configuration(config, workflow.overwrite_configfiles, workflow.config_settings.config)
SEED = CONFIG.seed
STATISTICS = {"seed": SEED, "resamples": CONFIG.resamples}
REQUESTS = {
    "journal": "results/journal" if CONFIG.journal else "",
    "failures_tolerated": CONFIG.failures_tolerated,
}
DATASET = CONFIG.dataset.name
FORMAT = FORMATS[CONFIG.dataset.format].with_files(CONFIG.dataset.tables_file, CONFIG.dataset.databases_folder)
DATA = f"results/data/{DATASET}"
DATABASES = f"{DATA}/database"
CPU_ENV = "../envs/cpu.yaml"
MEASURED = {"levels": list(FORMAT.levels), "comparison": FORMAT.comparison}
EXECUTION = {"comparison": FORMAT.comparison, "limits": config["execution"]}
# Priorities: what model jobs wait for, model jobs, and searches, which find in the journal what judgments have asked.
# All else fills the cores that these leave.
FIRST, MODEL_JOBS, SEARCHES = 3, 2, 1
TABLES = tables_of(experiments_of(CONFIG))
NEEDS = needs_of(TABLES, CONFIG)
LABELS = {
    **{name: entry.label or name for name, entry in CONFIG.planners.items()},
    **{
        name: (entry.label or name) + (weights_label(MODELS[entry.model]) if entry.model in MODELS else "")
        for name, entry in {**CONFIG.generators, **CONFIG.discriminators}.items()
    },
}


def command_line():
    """The options of this call, those of its profiles included; None within a job, or called from Python."""
    if Path(sys.argv[0]).name not in ("snakemake", "__main__.py") or workflow.exec_mode.name != "DEFAULT":
        return None
    with redirect_stderr(io.StringIO()):  # Snakemake has said already which profiles it uses
        return parse_args(sys.argv[1:])[1]


OPTIONS = command_line()


@functools.cache
def check(names):
    """End with one line if what some tables name is not defined, does not fit together or is not there."""
    try:
        check_references(CONFIG, MODELS, tables={SPECS[name].source for name in names})
        check_models(CONFIG, MODELS, {name: TABLES[name] for name in names})
    except SqljudgeError as error:
        sys.exit(f"Error: {error}")


def needed(names, files):
    """An input function: files, once the tables that need them are checked. What nobody asks for is not checked."""
    return lambda wildcards: (check(tuple(names)), files)[1]


def either(names):
    """A wildcard constraint: one of some names."""
    return "|".join(map(re.escape, names)) or "-"


ASKING = either(name for name, entry in CONFIG.discriminators.items() if not entry.is_baseline)
BASELINE = either(name for name, entry in CONFIG.discriminators.items() if entry.is_baseline)


wildcard_constraints:
    **{field: CONSTRAINTS[field] for field in ("budget", "checkpoints", "scoring", "mode")},
    generator=either(CONFIG.generators),
    decoding=either(CONFIG.decodings),
    discriminator=either([*CONFIG.discriminators, NONE]),
    planner=either([*CHOOSERS, GREEDY, *CONFIG.planners]),
    context=either([*CONFIG.contexts, NONE]),
    base=either(CONFIG.contexts),
    pool=either([POOL, *(f"{g}.{d}" for g in CONFIG.generators for d in CONFIG.decodings)]),
    model=either(MODELS),
    training=either(name for name, training in CONFIG.trainings.items() if not training.seeds),
    data=either(CONFIG.training_data),


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


def questions_of(wildcards):
    """The questions that a pool of candidates belongs to."""
    return path("questions", Variant(POOL if variant(wildcards).pool == POOL else DATASET))


def executions_if_checked(wildcards):
    """Executions, where the executability check needs them."""
    return [path("executions", variant(wildcards))] if wildcards.mode == "check" else []


def describe(name, text):
    """Give a rule that was made in a loop its docstring; within a module its name is another."""
    workflow.get_rule(workflow.modifier.modify_rulename(name)).docstring = text
