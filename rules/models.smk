# The stages that ask models: candidates, judgments, forced verdicts, and planners that search.


rule unpack_model:
    """Turn a GGUF file into a folder that loads ten times as fast."""
    output:
        folder=directory("results/models/{model}"),
    log:
        "logs/models/{model}.log",
    benchmark:
        "benchmarks/results/models/{model}.tsv"
    wildcard_constraints:
        model=either(name for name, spec in MODELS.items() if not spec.source.startswith(TRAINED)),
    priority: FIRST
    conda:
        CPU_ENV
    resources:
        mem_mb=16000,
        runtime=30,
    params:
        model=lambda wildcards: row_of(MODELS[wildcards.model]),
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
    priority: FIRST
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
        framing=framed("generator"),
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
    priority: MODEL_JOBS
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
        framing=framed("discriminator"),
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
    priority: MODEL_JOBS
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
        framing=framed("discriminator"),
        budgets=forced_budgets,
        extras=lambda wildcards: extras_of(wildcards.context, CONFIG),
        label="force.{discriminator}.{context}.{pool}",
        code=model_code("stages.force", "discriminator"),
    script:
        "../scripts/force.py"


rule plan_by_search:
    """Plan with a generator and a discriminator at hand: correct the best query, or search over clauses."""
    input:
        questions=path("questions", Variant(DATASET)),
        candidates=of_samples("candidates"),
        generator_prompt=lambda wildcards: str(resolve(entry_of("generator")(wildcards).prompt)),
        planner_prompt=lambda wildcards: [
            str(resolve(file)) for file in [config["planners"][wildcards.planner].get("prompt")] if file
        ],
        discriminator_prompt=lambda wildcards: [
            discriminator_prompt(wildcards) for role in search_roles(wildcards) if role == "discriminator"
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
    priority: SEARCHES
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
        planner=unlabelled("planner"),
        models=lambda wildcards: {role: model_row(role)(wildcards) for role in search_roles(wildcards)},
        generator=framed_model("generator"),
        discriminator=framed_model("discriminator"),
        decoding=decoding_of,
        budget=lambda wildcards: int(wildcards.budget),
        scoring="{scoring}",
        verdicts=CONFIG.verdicts,
        mode="{mode}",
        quoted_names=FORMAT.quoted_names,
        seed=SEED,
        label="search.{planner}.{discriminator}.{context}.{generator}.{decoding}.b{budget}.{scoring}.{mode}",
        code=lambda wildcards: model_code("stages.search.run", *search_roles(wildcards))(wildcards),
    script:
        "../scripts/search.py"
