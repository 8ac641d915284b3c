# What one file of rules alone computes from wildcards: inputs, models, environments, outputs.
from sqljudge.core.provenance import own_digest
from sqljudge.core.variants import only, reference
from sqljudge.data.pool import databases_of, lacks_labels
from sqljudge.data.staging import source_files, training_files
from sqljudge.models.engines.weights import parse_route
from sqljudge.stages.extras import EXTRAS
from sqljudge.training.methods import CODE, method_of

SOURCE = CONFIG.dataset.source
READ = ("file", "tables", "judgments", "candidates", "questions")
BESIDE = {"sidecar": "provenance.json", "findings": "findings.rst"}


def in_source(files, **names):
    """The dataset's archive, its download, or of a folder what a function of the library finds."""
    if not SOURCE:
        return [f"results/downloads/{DATASET}.zip"]
    return files(resolve(SOURCE), questions_file=CONFIG.dataset.questions_file, dataset_format=FORMAT, **names)


def entry_of(role):
    """A function: the configuration of a job's generator or discriminator."""
    return lambda wildcards: getattr(CONFIG, f"{role}s")[wildcards[role]]


def unlabelled(part):
    """A params function: the configuration of a job's planner, generator or discriminator, but for its label."""
    return lambda wildcards: {
        key: value for key, value in config[f"{part}s"][wildcards[part]].items() if key != "label"
    }


def framed(role):
    """A params function: how the prompts of a job's generator, or of its discriminator in its context, become tokens."""
    names = ["discriminator", "context"] if role == "discriminator" else ["generator"]
    return lambda wildcards: framing_of(CONFIG, **{name: wildcards[name] for name in names})


def framed_model(role):
    """A params function: a job's generator or discriminator but for its label, and how its prompts become tokens."""

    def found(wildcards):
        entry = unlabelled(role)(wildcards)
        is_baseline = role == "discriminator" and CONFIG.discriminators[wildcards.discriminator].is_baseline
        return entry if is_baseline else {**entry, "framing": framed(role)(wildcards)}

    return found


def row_of(model):
    """A row of the models table, but for what no result depends on."""
    row = {key: value for key, value in dataclasses.asdict(model).items() if key != "parameters"}
    return {**row, "parts": [row_of(part) for part in model.parts]}


def model_of(role):
    """A function: the model of a job's generator or discriminator; ends with one line if the models table lacks it."""

    def found(wildcards):
        name = entry_of(role)(wildcards).model
        if name not in MODELS:
            sys.exit(f"Error: configuration, {role}s.{wildcards[role]}.model: '{name}' is not defined")
        return MODELS[name]

    return found


def model_row(role):
    """A params function: the row of the models table of a job's generator or discriminator."""
    return lambda wildcards: row_of(model_of(role)(wildcards))


def folder_of(name):
    """The folder that the run makes of a model that is trained or comes as a GGUF file, or the records; else nothing."""
    model = MODELS[name]
    if model.backend == "recorded":
        return [str(resolve(model.source))]
    packed = model.source.endswith(".gguf") and model.backend == "transformers"
    return [f"results/models/{model.name}"] if packed or model.source.startswith(TRAINED) else []


def weights_of(role):
    """An input function: the folders that the run makes of a role's models, their records or router; else nothing."""

    def folders(wildcards):
        model = model_of(role)(wildcards)
        if not model.parts:
            return folder_of(model.name)
        routers = [parse_route(model).router]
        return [*filter(None, routers), *(file for part in model.parts for file in folder_of(part.name))]

    return folders


def backend_of(role):
    """The name of the backend of a job's generator or discriminator."""
    return lambda wildcards: model_of(role)(wildcards).backend


def model_gpus(*roles):
    """A resources function: no GPU for models behind a server."""
    return lambda wildcards: max(0 if BACKENDS[backend_of(role)(wildcards)].remote else 1 for role in roles)


def model_env(*roles):
    """A conda function: the environment that holds the backends of all of a job's models."""
    order = ["cpu", "gpu", "vllm"]
    return lambda wildcards: "../envs/{}.yaml".format(
        max((BACKENDS[backend_of(role)(wildcards)].environment for role in roles), key=order.index)
    )


def model_code(stage, *roles):
    """A params function: the digest of a model stage's code, its backends included."""
    return lambda wildcards: code_digest(stage, *(f"models.engines.{backend_of(role)(wildcards)}" for role in roles))


def adapting():
    """Whether jobs run on this machine alone.

    On a cluster the process that submits a job and the one that runs it must count the same threads.
    """
    return workflow.local_exec and not workflow.remote_exec


def model_threads(wildcards):
    """A model job on a GPU leaves the cores to others; on the CPU two share them, so that one starts while one runs."""
    offered = dict(workflow.global_resources.unwrapped_items())
    return max(1, (workflow.cores or 4) // 2) if adapting() and offered.get("gpu") == 0 else 2


def spare_threads(wildcards):
    """Two, but one where there are less than four cores: a job of two would wait until two are free at once."""
    return 1 if adapting() and (workflow.cores or 4) < 4 else 2


def decoding_of(wildcards):
    """How a job's completions are drawn: the decoding, with the generator's own limit in place of its limit."""
    own = entry_of("generator")(wildcards).max_new_tokens
    decoding = config["decodings"][wildcards.decoding]
    return {**decoding, "max_new_tokens": own} if own else decoding


def router_of(wildcards):
    """The configuration of a router."""
    return CONFIG.routers[wildcards.router]


def router_models(wildcards):
    """The rows of a router's two models."""
    found = router_of(wildcards)
    large = CONFIG.discriminators[found.discriminator].model
    return {"small": MODELS[found.small], "large": MODELS[large]}


def prompt_of(discriminator, context):
    """The prompt template of a discriminator in a context."""
    method = CONFIG.discriminators[discriminator].method
    return str(resolve(config["contexts"][context][method]))


def discriminator_prompt(wildcards):
    """The prompt template of a job's discriminator and context."""
    return prompt_of(wildcards.discriminator, wildcards.context)


def extra_files(wildcards):
    """The files that the extras of a job's prompts are taken from, by name."""
    own = CONFIG.demonstrations.file
    files = {
        "executions": path("executions", variant(wildcards)),
        "training": str(resolve(own)) if own else f"{DATA}.training.json",
        "demonstration": str(resolve(CONFIG.demonstrations.prompt)),
    }
    return {name: files[name] for extra in extras_of(wildcards.context, CONFIG) for name in EXTRAS[extra].files}


def judged_budget(wildcards):
    """The largest budget that any table takes from these judgments; 0 for a discriminator that writes no response.

    A response has one token where verdicts are forced before the first alone.
    """
    responds = entry_of("discriminator")(wildcards).responds
    return max(1, NEEDS.budgets().get(only("judgments", variant(wildcards)), 1)) if responds else 0


def forced_budgets(wildcards):
    """All budgets at which tables want forced verdicts of these judgments."""
    return NEEDS.checkpoints().get(only("judgments", variant(wildcards)), [])


def search_roles(wildcards):
    """Which models a search asks: a baseline is none."""
    judges = not CONFIG.discriminators[wildcards.discriminator].is_baseline
    return ["generator", "discriminator"] if judges else ["generator"]


def of_search(make):
    """A function of wildcards, from one that is made for the roles whose models a search asks."""
    return lambda wildcards: make(*search_roles(wildcards))(wildcards)


def scores_to_plan(wildcards):
    """The scores that a planner chooses by; none for the generator alone."""
    return [path("scores", variant(wildcards))] if wildcards.discriminator != NONE else []


def shard_of(pattern):
    """The file that one shard makes in the place of a job's file."""
    stem, dot, ending = pattern.rpartition(".run.json" if pattern.endswith(".run.json") else ".")
    return f"{stem}.{{scatteritem}}{dot}{ending}".replace("results/", "results/shards/", 1)


def all_shards(pattern):
    """The files of all shards that are merged into a job's file."""
    doubled = shard_of(pattern).replace("{", "{{").replace("}", "}}")
    return gather.shards(doubled.replace("{{scatteritem}}", "{scatteritem}"))


def settings(wildcards):
    """A job's variant as it is written into metric files."""
    return variant(wildcards).settings()


def reference_files(kind):
    """An input function: the file of the re-ranking that a planner is compared with; none for what has none."""

    def found(wildcards):
        compared = reference(variant(wildcards))
        return [path(kind, compared)] if compared else []

    return found


def chosen_executions(wildcards):
    """The executions of the queries that a planner chose from."""
    tried = wildcards.planner in CONFIG.planners
    return path("tried_executions" if tried else "executions", variant(wildcards))


def full_thought(wildcards):
    """The scores of the responses' own verdicts at the last checkpoint."""
    found = variant(wildcards)
    return path("scores", dataclasses.replace(found, budget=found.checkpoints[-1], scoring="soft"))


def page(name, category, label, **more):
    """The outputs of a table: its page and its values in the report, and the same for a text and for a paper."""
    reported = {
        form: report(
            f"results/tables/{name}.{form}",
            caption=f"../workflow/report/{name}.rst",
            category=category,
            labels={**label, "Format": words},
        )
        for form, words in (("html", "page"), ("csv", "values (csv)"))
    }
    plain = {form: f"results/tables/{name}.{form}" for form in ("md", "tex")}
    return {
        **reported,
        **plain,
        **{key: f"results/tables/{name}.{end}" for key, end in more.items()},
    }


def training_of(wildcards):
    """The configuration of a training: of the one named, or of the one that makes a model."""
    name = wildcards.get("training") or MODELS[wildcards.model].source.removeprefix(TRAINED)
    return CONFIG.trainings[name]


def trained_runs(entries, names):
    """A dictionary: of generators or discriminators the records of the trainings behind their models, the last last."""
    asked = {name: MODELS.get(getattr(entries[name], "model", "")) for name in names}
    found = {name: trainings_of(model, CONFIG, MODELS) if model else [] for name, model in asked.items()}
    return {name: [f"results/training/{one}/run.json" for one in own] for name, own in found.items()}


def compared_runs(role):
    """A params function: `trained_runs` of each seed that a job's discriminator or generator stands for.

    Those that the model before training comes from are left out.
    """

    def found(wildcards):
        entries = getattr(CONFIG, f"{role}s")
        name = wildcards.discriminator if role == "discriminator" else variant(wildcards).generator
        before = trained_runs(entries, [wildcards.base])[wildcards.base]
        made = trained_runs(entries, members(name, entries))
        return {each: [run for run in runs if run not in before] for each, runs in made.items()}

    return found


def compared_files(role):
    """An input function: the records and logs of `compared_runs`."""

    def found(wildcards):
        runs = [run for own in compared_runs(role)(wildcards).values() for run in own]
        return runs + [str(Path(run).with_name("log.jsonl")) for run in runs]

    return found


def seeds_files(kind, role, before=False):
    """An input function: a kind of file of each seed of a job's discriminator or generator, or of the one before."""

    def found(wildcards):
        own = variant(wildcards)
        entries, name = getattr(CONFIG, f"{role}s"), getattr(own, role)
        names = [wildcards.base] if before else members(name, entries)
        if before and name == wildcards.base:
            return []
        fields = {
            each: {role: each} if role == "discriminator" else {"pool": f"{each}.{own.decoding}"} for each in names
        }
        return [path(kind, dataclasses.replace(own, base="", **fields[each])) for each in names]

    return found


def seed_of(training):
    """The seed of a training."""
    return SEED if training.seed is None else training.seed


def prompts_of_training(training):
    """A training's templates: of its prompts, and what closes a thought where it forces verdicts; at most one each."""
    closes = training.closes or method_of(training.method).forced
    files = {
        "prompt": [training.prompt] if training.prompt else [],
        "closing": [CONFIG.forced.prompt] if closes else [],
    }
    return {role: [str(resolve(file)) for file in some] for role, some in files.items()}


def code_of_training(training):
    """The digest of the code of a training's method."""
    return own_digest(*CODE[method_of(training.method).trainer])


def needed_models():
    """The rows of all models that the tables ask."""
    check(tuple(TABLES))
    return [MODELS[name] for name in dict.fromkeys(job["model"] for job in model_jobs(NEEDS, CONFIG))]


def needed_routers():
    """The routers behind these."""
    return list(dict.fromkeys(name for model in needed_models() for name in routers_of(model, CONFIG)))


def needed_trainings():
    """The trainings behind these."""
    return list(dict.fromkeys(name for model in needed_models() for name in trainings_of(model, CONFIG, MODELS)))


def training_row(name):
    """A training as an estimate takes it."""
    training = CONFIG.trainings[name]
    prompts = [file for some in prompts_of_training(training).values() for file in some]
    return training_job(name, training, seed=seed_of(training), prompts=prompts, code=code_of_training(training))


def data_of(wildcards):
    """The configuration of a training's data."""
    return CONFIG.training_data[wildcards.get("data") or training_of(wildcards).data]


def evaluated_questions(wildcards):
    """The questions that tables rest on: nothing is trained on them."""
    return [path("questions", Variant(name)) for name in (DATASET, *([POOL] if CONFIG.pool.file else []))]


def data_files(wildcards):
    """The files that training data are made from, by the names of their keys."""
    found = {key: getattr(data_of(wildcards), key, "") for key in READ}
    return {key: str(resolve(file)) for key, file in found.items() if file and isinstance(file, str)}


def data_settings(wildcards):
    """What else is said of training data."""
    found = data_of(wildcards).model_dump(exclude={"kind", "databases", *data_files(wildcards)})
    return {**found, "seed": SEED} if data_of(wildcards).kind in ("sat", "mutations") else found
