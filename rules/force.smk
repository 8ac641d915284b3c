# Forced verdicts: a thought cut at a budget, the answer opened up to the verdict, one forward pass. Nothing is written.
rule force_verdicts:
    """Read the verdict that a discriminator gives when its thought is closed at each of the budgets asked for."""
    input:
        unpack(evidence_files),
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
        prompt=discriminator_prompt,
        closing=str(resolve(config["forced"]["prompt"])),
        weights=unpacked_model(discriminator_entry),
    output:
        forced="results/forced/{discriminator}/{context}/{pool}.jsonl",
        run="results/forced/{discriminator}/{context}/{pool}.run.json",
    log:
        "logs/force/{discriminator}/{context}/{pool}.log",
    benchmark:
        "benchmarks/results/force/{discriminator}/{context}/{pool}.tsv"
    conda:
        model_environment(discriminator_entry)
    threads: model_threads
    resources:
        gpu=model_gpus(discriminator_entry),
        mem_mb=32000,
        runtime=240,
    params:
        model=model_of(discriminator_entry),
        kind=lambda wildcards: discriminator_entry(wildcards)["kind"],
        frame=lambda wildcards: discriminator_entry(wildcards)["frame"],
        budgets=forced_budgets,
        evidence=evidence_of,
        journal=JOURNAL,
        failures_tolerated=config["failures_tolerated"],
        code=judging_code("stages.force"),
    script:
        "../scripts/force_verdicts.py"


rule score_forced:
    """Turn forced verdicts into scores at one budget: the probability of true."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        forced="results/forced/{discriminator}/{context}/{pool}.jsonl",
        executions=executions_if_checked,
    output:
        "results/scores/{discriminator}/{context}/{pool}.b{budget}.forced.{mode}.jsonl",
    log:
        "logs/score/{discriminator}/{context}/{pool}.b{budget}.forced.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        code=code_digest("stages.score"),
    script:
        "../scripts/score_forced.py"
