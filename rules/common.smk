# Helpers of the rules: the checked configuration, and which file needs which. No rule stands here.
import dataclasses
import re
import sys
from pathlib import Path

from sqljudge.core import artefacts
from sqljudge.report import captions
from sqljudge.stages import baselines, extras
from sqljudge.core.artefacts import POOL, Judged
from sqljudge.models.engines import weights_label, BACKENDS
from sqljudge.experiments.config import (
    ROOT,
    check_config,
    experiment_descriptions,
    read_models,
    resolve,
)
from sqljudge.core.errors import SqljudgeError
from sqljudge.stages.kinds import KINDS
from sqljudge.core.planners import BESIDE
from sqljudge.data.formats import FORMATS
from sqljudge.core.provenance import code_digest
from sqljudge.experiments.checks import check_references, settled
from sqljudge.stages.search.kinds import settings_of

try:
    config = check_config(config)
    MODELS = read_models(resolve(config["models_table"]), config["models_folder"])
    check_references(config, MODELS)
except SqljudgeError as error:
    sys.exit(f"Error: {error}")

SOURCE = config["dataset"]["source"]
if SOURCE and not resolve(SOURCE).exists():
    sys.exit(
        f"Error: configuration, dataset.source: {SOURCE} does not exist; name the dataset's folder or zip archive"
    )
POOL_FILE = config["pool"]["file"]
if POOL_FILE and not resolve(POOL_FILE).is_file():
    sys.exit(
        f"Error: configuration, pool.file: {POOL_FILE} does not exist; name a labelled pool, or leave it empty"
    )

TRAINING_FILE = config["demonstrations"]["file"]
if TRAINING_FILE and not resolve(TRAINING_FILE).is_file():
    sys.exit(
        f"Error: configuration, demonstrations.file: {TRAINING_FILE} does not exist; name training questions, or "
        "leave it empty for the dataset's own"
    )

SEED = config["seed"]
DATASET = config["dataset"]["name"]
FORM = FORMATS[config["dataset"]["format"]]
EXPERIMENTS = settled(config)
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
COSTLESS_LABELS = {file: baselines.label(name) for file, name in COSTLESS.items()}
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
    base="|".join(map(re.escape, config["contexts"])),
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
    beside="|".join(map(re.escape, BESIDE)),


def model_threads(wildcards):
    """A model job on a GPU leaves the cores to others; on the CPU it takes them all."""
    offered = dict(workflow.global_resources.unwrapped_items())
    return (workflow.cores or 2) if offered.get("gpu") == 0 else 2


def in_source(names, endings=()):
    """The dataset's archive, its download, or of a folder the files with some names or endings."""
    if not SOURCE:
        return [f"results/downloads/{DATASET}.zip"]
    path = resolve(SOURCE)
    if path.is_file():
        return [str(path)]
    return [
        str(file)
        for file in sorted(path.rglob("*"))
        if (file.name in names or file.suffix in endings) and not file.name.startswith("._")
    ]


def source_files(wildcards):
    """What the staged dataset is made from."""
    names = {config["dataset"]["questions_file"], FORM.tables_file, FORM.databases_archive}
    return in_source(names, {".sqlite", ".sql"})


def training_files(wildcards):
    """What the dataset's own training file is made from."""
    return in_source({config["dataset"]["training_file"]})


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


def responds(entry):
    """Whether a discriminator writes responses, up to a budget."""
    return KINDS[entry["kind"]].responds


def judged_budget(wildcards):
    """The largest budget that any experiment takes from these judgments; 0 for a discriminator without one.

    A response has one token where verdicts are forced before the first alone.
    """
    if not responds(discriminator_entry(wildcards)):
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


def evidence_in(context):
    """What a context's prompts show beyond the question and the candidate: kinds of evidence, with their settings."""
    settings = {"demonstrations": {"number": config["demonstrations"]["number"]}}
    return {name: settings.get(name, {}) for name in config["contexts"][context]["evidence"]}


def evidence_of(wildcards):
    """The evidence that a job's prompts show."""
    return evidence_in(wildcards.context)


def evidence_files(wildcards):
    """The files that a job's evidence is taken from, by name."""
    training = str(resolve(TRAINING_FILE)) if TRAINING_FILE else f"{DATA}.training.json"
    files = {
        "executions": f"results/executions/{wildcards.pool}.jsonl",
        "training": training,
        "demonstration": str(resolve(config["demonstrations"]["prompt"])),
    }
    return {
        name: files[name] for kind in evidence_of(wildcards) for name in extras.KINDS[kind].files
    }


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
        name: entry.get("label", name) + weights_label(MODELS[entry["model"]])
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
        stage, f"models.engines.{MODELS[entry(wildcards)['model']].backend}"
    )


def judging_code(stage):
    """A params function: the digest of a judging stage's code, that of its backend, kind and evidence included."""

    def digest(wildcards):
        entry = discriminator_entry(wildcards)
        shown = [f"stages.extras.{kind}" for kind in evidence_of(wildcards)]
        engine = f"models.engines.{MODELS[entry['model']].backend}"
        return code_digest(stage, engine, f"stages.kinds.{entry['kind']}", *shown)

    return digest


RESULTS = {"candidates": ".jsonl", "judgments": ".parquet", "forced": ".jsonl"}


def search_job(run):
    """What a search asks of one of its models, at most: a request a completion, and one a query to be scored."""
    selected, role = run.removeprefix("results/search/").removesuffix(".run.json").rsplit(".", 1)
    values = artefacts.selection_settings(selected)
    entry = config[f"{role}s"][values[role]]
    decoding = config["decodings"][values["decoding"]]
    new_tokens = entry.get("max_new_tokens", decoding["max_new_tokens"])
    if role == "discriminator":
        new_tokens = values["budget"] if responds(entry) else 0
    return {
        "name": ".".join(["search", *Path(selected).parts, role]),
        "model": entry["model"],
        "new_tokens": new_tokens,
        "result": f"results/selections/{selected}.jsonl",
        "candidates": "",
        "samples": settings_of(config["planners"][values["planner"]]).most(decoding["samples"]),
        "evidence": 0,
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
    shown = {} if folder == "candidates" else evidence_in(place[1])
    new_tokens = 0
    if folder == "candidates":
        new_tokens = entry.get("max_new_tokens", config["decodings"][decoding]["max_new_tokens"])
    elif folder == "judgments" and responds(entry):
        new_tokens = BUDGETS[Judged(*place)]
    return {
        "name": ".".join([artefacts.STAGES[folder], *place]),
        "model": entry["model"],
        "new_tokens": new_tokens,
        "result": run.replace(".run.json", RESULTS[folder]),
        "candidates": "" if folder == "candidates" else f"results/candidates/{pool}.jsonl",
        "samples": config["decodings"][decoding]["samples"],
        "evidence": extras.tokens(shown),
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
    """A params function: the digest of a search's code, its backends and kind of discriminator included."""

    def digest(wildcards):
        found = [entry(wildcards) for entry in entries]
        engines = [f"models.engines.{MODELS[entry['model']].backend}" for entry in found]
        kinds = [f"stages.kinds.{entry['kind']}" for entry in found if "kind" in entry]
        return code_digest("stages.search.planning", *engines, *kinds)

    return digest


def reference_of(folder):
    """An input function: the file of the re-ranking that a planner is compared with; none for what has none."""

    def reference(wildcards):
        place = artefacts.compared_with(wildcards.selected)
        return [f"results/{folder.format(place)}"] if place else []

    return reference
