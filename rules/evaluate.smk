# Metrics: on the labelled pool, end to end, and of the responses themselves.
rule evaluate_intrinsic:
    """PwAcc, F1, Hit@1, MRR and failure rate on the labelled pool, with intervals."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        scores="results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    output:
        "results/metrics/intrinsic/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.json",
    log:
        "logs/evaluate/intrinsic/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        settings=wildcard_settings,
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.intrinsic"),
    script:
        "../scripts/evaluate_intrinsic.py"


rule evaluate_calibration:
    """AUROC, average precision, F1 at a fitted threshold, Brier score and calibration error, with intervals."""
    input:
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        scores="results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    output:
        "results/metrics/calibration/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.json",
    log:
        "logs/evaluate/calibration/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        settings=wildcard_settings,
        bins=config["calibration"]["bins"],
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.calibration"),
    script:
        "../scripts/evaluate_calibration.py"


rule evaluate_contrast:
    """What a discriminator gains or loses in one context against another: paired differences, with intervals."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        scores="results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
        base="results/scores/{discriminator}/{base}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    output:
        "results/metrics/contrast/{discriminator}/{context}/against/{base}/{pool}.b{budget}.{scoring}.{mode}.json",
    log:
        "logs/evaluate/contrast/{discriminator}/{context}/against/{base}/{pool}.b{budget}.{scoring}.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        settings=wildcard_settings,
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.contrast"),
    script:
        "../scripts/evaluate_contrast.py"


rule evaluate_end_to_end:
    """Execution accuracy, exact and partial match of a planner's choices, by hardness, with intervals."""
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        tables=f"{DATA}/tables.json",
        selections="results/selections/{selected}.jsonl",
        executions=lambda wildcards: f"results/executions/{artefacts.pool_of(wildcards.selected)}.jsonl",
    output:
        "results/metrics/end_to_end/{selected}.json",
    log:
        "logs/evaluate/end_to_end/{selected}.log",
    conda:
        HARDWARE_CPU
    params:
        settings=lambda wildcards: artefacts.selection_settings(wildcards.selected),
        levels=list(FORM.levels),
        comparison=FORM.comparison,
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.execution", "metrics.intervals"),
    script:
        "../scripts/evaluate_end_to_end.py"


rule evaluate_reasoning:
    """Repetition, lexical variety, entropy and diversity of a reasoning discriminator's responses."""
    input:
        judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
    output:
        "results/metrics/reasoning/{discriminator}/{context}/{pool}.b{budget}.json",
    log:
        "logs/evaluate/reasoning/{discriminator}/{context}/{pool}.b{budget}.log",
    conda:
        HARDWARE_CPU
    threads: 2
    params:
        settings=wildcard_settings,
        embedder=config["embedder"],
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.reasoning", "models.embedding"),
    script:
        "../scripts/evaluate_reasoning.py"


rule evaluate_adaptive:
    """What stopping a thought early spends and loses, its policy fitted on other databases, with intervals."""
    input:
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        forced="results/forced/{discriminator}/{context}/{pool}.jsonl",
        scores=lambda wildcards: artefacts.full_thought(dict(wildcards.items())),
        executions=executions_if_checked,
    output:
        "results/metrics/adaptive/{discriminator}/{context}/{pool}.b{checkpoints}.{mode}.json",
    log:
        "logs/evaluate/adaptive/{discriminator}/{context}/{pool}.b{checkpoints}.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        settings=lambda wildcards: dict(wildcards.items()),
        checkpoints=lambda wildcards: artefacts.listed(wildcards.checkpoints),
        confidences=config["forced"]["confidences"],
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.adaptive"),
    script:
        "../scripts/evaluate_adaptive.py"
