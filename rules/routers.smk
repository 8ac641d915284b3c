# Routers between a small and a large model: labels from the large model's judgments, and the training.


rule train_router:
    """Label where a small model's token changes what a large one concludes, and train a router on that."""
    input:
        questions=lambda wildcards: str(resolve(router_of(wildcards).questions)),
        candidates=lambda wildcards: str(resolve(router_of(wildcards).candidates)),
        judgments=lambda wildcards: str(resolve(router_of(wildcards).judgments)),
        evaluated=[path("questions", Variant(name)) for name in (DATASET, *([POOL] if CONFIG.pool.file else []))],
        prompt=lambda wildcards: prompt_of(router_of(wildcards).discriminator, router_of(wildcards).context),
        closing=str(resolve(CONFIG.forced.prompt)),
        unpacked=lambda wildcards: sum((folder_of(row.name) for row in router_models(wildcards).values()), []),
    output:
        router="results/routers/{router}.safetensors",
        run="results/routers/{router}.run.json",
    log:
        "logs/routers/{router}.log",
    benchmark:
        "benchmarks/results/routers/{router}.tsv"
    wildcard_constraints:
        router=either(CONFIG.routers),
    conda:
        "../envs/gpu.yaml"
    threads: model_threads
    resources:
        gpu=1,
        mem_mb=48000,
        runtime=480,
    params:
        **REQUESTS,
        models=lambda wildcards: {role: row_of(row) for role, row in router_models(wildcards).items()},
        framing=lambda wildcards: framing_of(
            CONFIG, discriminator=router_of(wildcards).discriminator, context=router_of(wildcards).context
        ),
        span=lambda wildcards: router_of(wildcards).span,
        tolerance=lambda wildcards: router_of(wildcards).tolerance,
        seed=SEED,
        label="route.{router}",
        code=code_digest("training.router"),
    script:
        "../scripts/train_router.py"
