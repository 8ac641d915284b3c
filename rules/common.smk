# Helpers of the rules: the checked configuration, and which file needs which. No rule stands here.
import dataclasses
import re
import sys
from pathlib import Path

from sqljudge import artefacts, captions, costless
from sqljudge.artefacts import POOL, Judged
from sqljudge.backends import held_as, BACKENDS
from sqljudge.config import (
    ROOT,
    check_config,
    check_references,
    experiment_descriptions,
    read_models,
    resolve,
)
from sqljudge.errors import SqljudgeError
from sqljudge.provenance import code_digest
from sqljudge.search.kinds import settings_of

try:
    config = check_config(config)
    MODELS = read_models(resolve(config["models_table"]), config["models_folder"])
    check_references(config, MODELS)
except SqljudgeError as error:
    sys.exit(f"Error: {error}")

SOURCE = config["dataset"]["source"]
if SOURCE and not resolve(SOURCE).exists():
    sys.exit(
        f"Error: configuration, dataset.source: {SOURCE} does not exist; name Spider's folder or zip archive"
    )
POOL_FILE = config["pool"]["file"]
if POOL_FILE and not resolve(POOL_FILE).is_file():
    sys.exit(
        f"Error: configuration, pool.file: {POOL_FILE} does not exist; name a labelled pool, or leave it empty"
    )

SEED = config["seed"]
DATASET = config["dataset"]["name"]
EXPERIMENTS = config["experiments"]
SHOWN = artefacts.all_tables(EXPERIMENTS)
DESCRIPTIONS = {
    **experiment_descriptions(),
    **{name: text for name, (_, text) in artefacts.BEYOND.items()},
}
COSTLESS = {
    artefacts.file_name(name): name
    for experiment in EXPERIMENTS.values()
    for name in experiment.get("costless", [])
}
COSTLESS_LABELS = {file: costless.label(name) for file, name in COSTLESS.items()}
BUDGETS = artefacts.largest_budgets(EXPERIMENTS)
CHECKPOINTS = artefacts.checkpoints(EXPERIMENTS)
DATA = f"results/data/{DATASET}"
DATABASES = f"{DATA}/database"
HARDWARE_CPU = "../envs/cpu.yaml"
JOURNAL = "results/journal" if config["journal"] else ""


wildcard_constraints:
    dataset="[A-Za-z0-9_-]+",
    generator="|".join(map(re.escape, config["generators"])),
    decoding="|".join(map(re.escape, config["decodings"])),
    discriminator="|".join(map(re.escape, config["discriminators"])),
    costless="|".join(map(re.escape, COSTLESS)) or "-",
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
    model="|".join(map(re.escape, MODELS)),
    checkpoints=r"\d+(-\d+)*",
    scoring="soft|hard|forced",
    planner="|".join(map(re.escape, config["planners"])) or "-",
    choosing="|".join(artefacts.CHOOSING),
    searched="({})/.+".format("|".join(map(re.escape, config["planners"])) or "-"),
    mode="naive|check",


def model_threads(wildcards):
    """A model job on a GPU leaves the cores to others; on the CPU it takes them all."""
    offered = dict(workflow.global_resources.unwrapped_items())
    return (workflow.cores or 2) if offered.get("gpu") == 0 else 2


def source_files(wildcards):
    """What the staged dataset is made from: the folder's own files, the archive, or the download."""
    if not SOURCE:
        return [f"results/downloads/{DATASET}.zip"]
    path = resolve(SOURCE)
    if path.is_file():
        return [str(path)]
    wanted = {config["dataset"]["questions_file"], "tables.json"}
    return [
        str(file)
        for file in sorted(path.rglob("*"))
        if (file.name in wanted or file.suffix in {".sqlite", ".sql"})
        and not file.name.startswith("._")
    ]


def question_ids(wildcards):
    """The user's list of question ids, if there is one."""
    named = config["dataset"]["question_ids"]
    return [str(resolve(named))] if named else []


def questions_of(wildcards):
    """The questions that a pool of candidates belongs to."""
    name = POOL if wildcards.pool == POOL else DATASET
    return f"results/questions/{name}.jsonl"


def generator_entry(wildcards):
    """The configuration of a job's generator."""
    return config["generators"][wildcards.generator]


def discriminator_entry(wildcards):
    """The configuration of a job's discriminator."""
    return config["discriminators"][wildcards.discriminator]


def decoding_of(wildcards):
    """How a job's completions are drawn: the decoding, with the generator's own limit in place of its limit."""
    own = generator_entry(wildcards).get("max_new_tokens")
    decoding = config["decodings"][wildcards.decoding]
    return {**decoding, "max_new_tokens": own} if own else decoding


def judged_budget(wildcards):
    """The largest budget that any experiment takes from these judgments; 0 for a discriminator without one.

    A response has one token where verdicts are forced before the first alone.
    """
    if discriminator_entry(wildcards)["kind"] == "yes_no":
        return 0
    return max(
        1, BUDGETS.get(Judged(wildcards.discriminator, wildcards.context, wildcards.pool), 1)
    )


def forced_budgets(wildcards):
    """All budgets at which experiments want forced verdicts of these judgments."""
    return CHECKPOINTS.get(Judged(wildcards.discriminator, wildcards.context, wildcards.pool), [])


def discriminator_prompt(wildcards):
    """The prompt template of a job's context and kind of discriminator."""
    kind = discriminator_entry(wildcards)["kind"]
    return str(resolve(config["contexts"][wildcards.context][kind]))


def executions_if_checked(wildcards):
    """Executions, where the executability check needs them."""
    return [f"results/executions/{wildcards.pool}.jsonl"] if wildcards.mode == "check" else []


def wildcard_settings(wildcards):
    """A job's wildcards as settings, with the budget as a number."""
    return {**dict(wildcards.items()), "budget": int(wildcards.budget)}


def display_names():
    """What tables and figures call planners, generators and discriminators: how weights are held, too, if not as usual."""
    named = {**config["generators"], **config["discriminators"]}
    used = {name: entry for name, entry in named.items() if entry["model"] in MODELS}
    planners = {name: entry.get("label", name) for name, entry in config["planners"].items()}
    return planners | {
        name: entry.get("label", name) + held_as(MODELS[entry["model"]])
        for name, entry in used.items()
    }


def model_of(entry):
    """A params function: the models-table row of a job's generator or discriminator, as a plain dict."""
    return lambda wildcards: dataclasses.asdict(MODELS[entry(wildcards)["model"]])


def unpacked_model(entry):
    """An input function: the folder of a model that comes as a GGUF file; nothing for others."""

    def folder(wildcards):
        model = MODELS[entry(wildcards)["model"]]
        packed = model.source.endswith(".gguf") and model.backend == "transformers"
        return [f"results/models/{model.name}"] if packed else []

    return folder


def describe(name, text):
    """Give a rule that was made in a loop its docstring; within a module its name is another."""
    workflow.get_rule(workflow.modifier.modify_rulename(name)).docstring = text


def engine_of(entry):
    """The backend of a generator's or discriminator's model."""
    return BACKENDS[MODELS[entry["model"]].backend]


def model_gpus(entry):
    """A resources function: no GPU for a model behind a server."""
    return lambda wildcards: 0 if engine_of(entry(wildcards)).remote else 1


def model_environment(entry):
    """A conda function: the environment that a job's backend runs in."""
    return lambda wildcards: f"../envs/{engine_of(entry(wildcards)).environment}.yaml"


def model_code(stage, entry):
    """A params function: the digest of a model stage's code, its backend included."""
    return lambda wildcards: code_digest(
        stage, f"backends.{MODELS[entry(wildcards)['model']].backend}"
    )


RESULTS = {"candidates": ".jsonl", "judgments": ".parquet", "forced": ".jsonl"}


def search_job(run):
    """What a search asks of one of its models, at most: a request a completion, and one a query to be scored."""
    selected, role = run.removeprefix("results/search/").removesuffix(".run.json").rsplit(".", 1)
    values = artefacts.selection_settings(selected)
    entry = config[f"{role}s"][values[role]]
    decoding = config["decodings"][values["decoding"]]
    written = {
        "generator": entry.get("max_new_tokens", decoding["max_new_tokens"]),
        "discriminator": values.get("budget", 0) if entry.get("kind") == "reasoning" else 0,
    }
    return {
        "name": f"search.{selected.replace('/', '.')}.{role}",
        "model": entry["model"],
        "new_tokens": written[role],
        "result": f"results/selections/{selected}.jsonl",
        "candidates": "",
        "samples": settings_of(config["planners"][values["planner"]]).most(decoding["samples"]),
        "times": 1,
    }


def model_job(run):
    """A model job, named by the file in which it records itself, with what counts its requests."""
    folder, *place = run.removesuffix(".run.json").split("/")[1:]
    pool = place[-1]
    own_pool = f"{config['pool']['generator']}.{config['pool']['decoding']}"
    generator, _, decoding = (own_pool if pool == POOL else pool).rpartition(".")
    entry = (
        config["generators"][generator]
        if folder == "candidates"
        else config["discriminators"][place[0]]
    )
    limits = {
        "candidates": entry.get("max_new_tokens", config["decodings"][decoding]["max_new_tokens"]),
        "judgments": BUDGETS[Judged(*place)] if entry.get("kind") == "reasoning" else 0,
        "forced": 0,
    }
    return {
        "name": ".".join([artefacts.STAGES[folder], *place]),
        "model": entry["model"],
        "new_tokens": limits[folder],
        "result": run.replace(".run.json", RESULTS[folder]),
        "candidates": "" if folder == "candidates" else f"results/candidates/{pool}.jsonl",
        "samples": config["decodings"][decoding]["samples"],
        "times": len(CHECKPOINTS[Judged(*place)]) if folder == "forced" else 1,
    }


JOBS = {"candidates": model_job, "judgments": model_job, "forced": model_job, "search": search_job}


def counted_jobs():
    """Every model job of the configuration, with what counts its requests."""
    runs = sorted({run for name in EXPERIMENTS for run in artefacts.runs(EXPERIMENTS[name])})
    return [JOBS[run.split("/")[1]](run) for run in runs]


def planner_entry(wildcards):
    """The configuration of a search's planner."""
    return config["planners"][wildcards.planner]


def unlabelled(entry):
    """A params function: what is configured, without what tables call it."""
    return lambda wildcards: {
        key: value for key, value in entry(wildcards).items() if key != "label"
    }


def planner_prompt(wildcards):
    """The planner's own prompt template, if its kind has one."""
    prompt = planner_entry(wildcards).get("prompt")
    return [str(resolve(prompt))] if prompt else []


def heaviest_environment(*entries):
    """A conda function: the environment that holds the backends of all of a job's models."""
    order = ["cpu", "gpu", "vllm"]
    return lambda wildcards: "../envs/{}.yaml".format(
        max((engine_of(entry(wildcards)).environment for entry in entries), key=order.index)
    )


def search_code(*entries):
    """A params function: the digest of a search's code, its backends included."""
    return lambda wildcards: code_digest(
        "search.planning",
        *(f"backends.{MODELS[entry(wildcards)['model']].backend}" for entry in entries),
    )


def reference_of(folder):
    """An input function: the file of the re-ranking that a planner is compared with; none for what has none."""

    def reference(wildcards):
        place = artefacts.compared_with(wildcards.selected)
        return [f"results/{folder.format(place)}"] if place else []

    return reference
