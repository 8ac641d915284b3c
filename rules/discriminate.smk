# Judgments: what a discriminator says of every candidate, once per context, at the largest budget that is asked for.
rule discriminate:
    """Judge every candidate: probability of Yes, or a reasoned response with its tokens' log-probabilities."""
    input:
        unpack(evidence_files),
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        prompt=discriminator_prompt,
        weights=unpacked_model(discriminator_entry),
    output:
        judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
        run="results/judgments/{discriminator}/{context}/{pool}.run.json",
    log:
        "logs/discriminate/{discriminator}/{context}/{pool}.log",
    benchmark:
        "benchmarks/results/discriminate/{discriminator}/{context}/{pool}.tsv"
    conda:
        model_environment(discriminator_entry)
    threads: model_threads
    resources:
        gpu=model_gpus(discriminator_entry),
        mem_mb=32000,
        runtime=480,
    params:
        model=model_of(discriminator_entry),
        kind=lambda wildcards: discriminator_entry(wildcards)["kind"],
        frame=lambda wildcards: discriminator_entry(wildcards)["frame"],
        budget=judged_budget,
        evidence=evidence_of,
        journal=JOURNAL,
        failures_tolerated=config["failures_tolerated"],
        code=judging_code("stages.judge"),
    script:
        "../scripts/discriminate.py"
