# The stages that ask models: candidates, judgments, forced verdicts, and planners that search.
from sqljudge.core.variants import only
from sqljudge.stages.extras import EXTRAS


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


def extra_files(wildcards):
    """The files that the extras of a job's prompts are taken from, by name."""
    own = CONFIG.demonstrations.file
    files = {
        "executions": path("executions", variant(wildcards)),
        "training": str(resolve(own)) if own else f"{DATA}.training.json",
        "demonstration": str(resolve(CONFIG.demonstrations.prompt)),
    }
    return {
        name: files[name]
        for extra in extras_of(wildcards.context, CONFIG)
        for name in EXTRAS[extra].files
    }


def judged_budget(wildcards):
    """The largest budget that any table takes from these judgments; 0 for a discriminator that writes no response.

    A response has one token where verdicts are forced before the first alone.
    """
    responds = entry_of("discriminator")(wildcards).responds
    return max(1, NEEDS.budgets().get(only("judgments", variant(wildcards)), 1)) if responds else 0


def forced_budgets(wildcards):
    """All budgets at which tables want forced verdicts of these judgments."""
    return NEEDS.checkpoints().get(only("judgments", variant(wildcards)), [])


rule unpack_model:
    """Turn a GGUF file into a folder that loads ten times as fast."""
    output:
        folder=directory("results/models/{model}"),
    log:
        "logs/models/{model}.log",
    benchmark:
        "benchmarks/results/models/{model}.tsv"
    conda:
        CPU_ENV
    resources:
        mem_mb=16000,
        runtime=30,
    params:
        model=lambda wildcards: dataclasses.asdict(MODELS[wildcards.model]),
        code=code_digest("models.engines.transformers"),
    script:
        "../scripts/unpack_model.py"


rule generate:
    """Ask a generator for SQL, all questions in one queue, and keep the distinct queries."""
    input:
        questions=path("questions", Variant(DATASET)),
        prompt=lambda wildcards: str(resolve(entry_of("generator")(wildcards).prompt)),
        weights=weights_of("generator"),
    output:
        candidates=of_samples("candidates"),
        run=of_samples("candidates_run"),
    log:
        log_of(of_samples("candidates")),
    benchmark:
        benchmark_of(of_samples("candidates"))
    conda:
        model_env("generator")
    threads: model_threads
    resources:
        gpu=model_gpus("generator"),
        mem_mb=16000,
        runtime=240,
    params:
        **REQUESTS,
        model=model_row("generator"),
        prompt_format=lookup(dpath="generators/{generator}/prompt_format", within=config),
        extraction=lookup(dpath="generators/{generator}/extraction", within=config),
        decoding=decoding_of,
        quoted_names=FORMAT.quoted_names,
        seed=SEED,
        label="generate.{generator}.{decoding}",
        code=model_code("stages.generate", "generator"),
    script:
        "../scripts/generate.py"


rule judge:
    """Judge every candidate: probability of Yes, or a reasoned response with its tokens' log-probabilities."""
    input:
        unpack(extra_files),
        questions=questions_of,
        candidates=PATTERNS["candidates"],
        prompt=discriminator_prompt,
        weights=weights_of("discriminator"),
    output:
        judgments=PATTERNS["judgments"],
        run=PATTERNS["judgments_run"],
    log:
        log_of(PATTERNS["judgments"]),
    benchmark:
        benchmark_of(PATTERNS["judgments"])
    wildcard_constraints:
        discriminator=ASKING,
    conda:
        model_env("discriminator")
    threads: model_threads
    resources:
        gpu=model_gpus("discriminator"),
        mem_mb=32000,
        runtime=480,
    params:
        **REQUESTS,
        model=model_row("discriminator"),
        method=lookup(dpath="discriminators/{discriminator}/method", within=config),
        prompt_format=lookup(dpath="discriminators/{discriminator}/prompt_format", within=config),
        budget=judged_budget,
        extras=lambda wildcards: extras_of(wildcards.context, CONFIG),
        label="judge.{discriminator}.{context}.{pool}",
        code=model_code("stages.judge", "discriminator"),
    script:
        "../scripts/judge.py"


rule force:
    """Read the verdict that a discriminator gives when its thought is closed at each of the budgets asked for."""
    input:
        unpack(extra_files),
        questions=questions_of,
        candidates=PATTERNS["candidates"],
        judgments=PATTERNS["judgments"],
        prompt=discriminator_prompt,
        closing=str(resolve(CONFIG.forced.prompt)),
        weights=weights_of("discriminator"),
    output:
        forced=PATTERNS["forced"],
        run=PATTERNS["forced_run"],
    log:
        log_of(PATTERNS["forced"]),
    benchmark:
        benchmark_of(PATTERNS["forced"])
    wildcard_constraints:
        discriminator=ASKING,
    conda:
        model_env("discriminator")
    threads: model_threads
    resources:
        gpu=model_gpus("discriminator"),
        mem_mb=32000,
        runtime=240,
    params:
        **REQUESTS,
        model=model_row("discriminator"),
        method=lookup(dpath="discriminators/{discriminator}/method", within=config),
        prompt_format=lookup(dpath="discriminators/{discriminator}/prompt_format", within=config),
        budgets=forced_budgets,
        extras=lambda wildcards: extras_of(wildcards.context, CONFIG),
        label="force.{discriminator}.{context}.{pool}",
        code=model_code("stages.force", "discriminator"),
    script:
        "../scripts/force.py"


def search_roles(wildcards):
    """Which models a search asks: a baseline is none."""
    judges = not CONFIG.discriminators[wildcards.discriminator].is_baseline
    return ["generator", "discriminator"] if judges else ["generator"]


def of_search(make):
    """A function of wildcards, from one that is made for the roles whose models a search asks."""
    return lambda wildcards: make(*search_roles(wildcards))(wildcards)


rule plan_by_search:
    """Plan with a generator and a discriminator at hand: correct the best query, or search over clauses."""
    input:
        questions=path("questions", Variant(DATASET)),
        candidates=of_samples("candidates"),
        generator_prompt=lambda wildcards: str(resolve(entry_of("generator")(wildcards).prompt)),
        planner_prompt=lambda wildcards: [
            str(resolve(file))
            for file in [config["planners"][wildcards.planner].get("prompt")]
            if file
        ],
        discriminator_prompt=lambda wildcards: [
            discriminator_prompt(wildcards)
            for role in search_roles(wildcards)
            if role == "discriminator"
        ],
        closing=str(resolve(CONFIG.forced.prompt)),
        databases=DATABASES,
        generator_weights=weights_of("generator"),
        discriminator_weights=lambda wildcards: [
            file for role in search_roles(wildcards)[1:] for file in weights_of(role)(wildcards)
        ],
    output:
        selections=of_samples("selections"),
        costs=of_samples("costs"),
        tried=of_samples("tried"),
        trace=of_samples("trace"),
        generator_run=of_samples("search_generator_run"),
        discriminator_run=of_samples("search_discriminator_run"),
    log:
        log_of(of_samples("tried")),
    benchmark:
        benchmark_of(of_samples("tried"))
    wildcard_constraints:
        planner=either(CONFIG.planners),
    conda:
        of_search(model_env)
    threads: model_threads
    resources:
        gpu=of_search(model_gpus),
        mem_mb=48000,
        runtime=960,
    params:
        **EXECUTION,
        **REQUESTS,
        planner=lookup(dpath="planners/{planner}", within=config),
        models=lambda wildcards: {
            role: model_row(role)(wildcards) for role in search_roles(wildcards)
        },
        generator=lookup(dpath="generators/{generator}", within=config),
        discriminator=lookup(dpath="discriminators/{discriminator}", within=config),
        decoding=decoding_of,
        budget=lambda wildcards: int(wildcards.budget),
        scoring="{scoring}",
        mode="{mode}",
        quoted_names=FORMAT.quoted_names,
        seed=SEED,
        label="search.{planner}.{discriminator}.{context}.{generator}.{decoding}.b{budget}.{scoring}.{mode}",
        code=lambda wildcards: model_code("stages.search.run", *search_roles(wildcards))(wildcards),
    script:
        "../scripts/search.py"
