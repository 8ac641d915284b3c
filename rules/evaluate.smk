# Metrics: of scores on the labelled pool, of responses, of stopped thoughts, and of what searches chose.
rule measure_intrinsic:
    """PwAcc, F1, Hit@1, MRR and failure rate on the labelled pool, with intervals."""
    input:
        candidates=PATTERNS["candidates"],
        scores=PATTERNS["scores"],
    output:
        metrics=PATTERNS["intrinsic"],
    log:
        log_of(PATTERNS["intrinsic"]),
    localrule: True
    conda:
        CPU_ENV
    params:
        **STATISTICS,
        settings=settings,
        code=code_digest("metrics.intrinsic"),
    script:
        "../scripts/measure_intrinsic.py"


rule measure_calibration:
    """AUROC, average precision, F1 at a fitted threshold, Brier score and calibration error, with intervals."""
    input:
        candidates=PATTERNS["candidates"],
        scores=PATTERNS["scores"],
        questions=questions_of,
    output:
        metrics=PATTERNS["calibration"],
    log:
        log_of(PATTERNS["calibration"]),
    localrule: True
    conda:
        CPU_ENV
    params:
        **STATISTICS,
        settings=settings,
        bins=CONFIG.calibration.bins,
        code=code_digest("metrics.calibration"),
    script:
        "../scripts/measure_calibration.py"


rule measure_contrast:
    """What a discriminator gains or loses in one context against another: paired differences, with intervals."""
    input:
        candidates=PATTERNS["candidates"],
        scores=PATTERNS["scores"],
        base=PATTERNS["scores"].replace("{context}", "{base}"),
    output:
        metrics=PATTERNS["contrast"],
    log:
        log_of(PATTERNS["contrast"]),
    localrule: True
    conda:
        CPU_ENV
    params:
        **STATISTICS,
        settings=settings,
        code=code_digest("metrics.contrast"),
    script:
        "../scripts/measure_contrast.py"


rule measure_training:
    """What a trained discriminator gains or loses against the first, over all seeds, and what its training cost."""
    input:
        questions=questions_of,
        candidates=PATTERNS["candidates"],
        scores=seeds_files("scores", "discriminator"),
        base=seeds_files("scores", "discriminator", before=True),
        trainings=compared_files("discriminator"),
    output:
        metrics=PATTERNS["training"],
    log:
        log_of(PATTERNS["training"]),
    wildcard_constraints:
        base=either(CONFIG.discriminators),
    localrule: True
    conda:
        CPU_ENV
    params:
        **STATISTICS,
        settings=settings,
        runs=compared_runs("discriminator"),
        code=code_digest("metrics.training"),
    script:
        "../scripts/measure_training.py"


rule measure_trained_generator:
    """What a trained generator gains or loses against the first, over all seeds, and what its training cost."""
    input:
        end_to_end=seeds_files("end_to_end", "generator"),
        base=seeds_files("end_to_end", "generator", before=True),
        trainings=compared_files("generator"),
    output:
        metrics=PATTERNS["trained_generator"],
    log:
        log_of(PATTERNS["trained_generator"]),
    wildcard_constraints:
        base=either(CONFIG.generators),
    localrule: True
    conda:
        CPU_ENV
    params:
        **STATISTICS,
        settings=settings,
        runs=compared_runs("generator"),
        code=code_digest("metrics.training"),
    script:
        "../scripts/measure_trained_generator.py"


rule measure_reasoning:
    """Repetition, lexical variety, entropy and diversity of a reasoning discriminator's responses."""
    input:
        judgments=PATTERNS["judgments"],
    output:
        metrics=PATTERNS["reasoning"],
    log:
        log_of(PATTERNS["reasoning"]),
    conda:
        CPU_ENV
    threads: spare_threads
    params:
        **STATISTICS,
        settings=settings,
        budgets=lambda wildcards: NEEDS.response_budgets()[variant(wildcards)],
        embedder=CONFIG.embedder,
        code=code_digest("metrics.reasoning"),
    script:
        "../scripts/measure_reasoning.py"


rule measure_adaptive:
    """What stopping a thought early spends and loses, its policy fitted on other databases, with intervals."""
    input:
        questions=questions_of,
        candidates=PATTERNS["candidates"],
        forced=PATTERNS["forced"],
        scores=full_thought,
        executions=executions_if_checked,
    output:
        metrics=PATTERNS["adaptive"],
    log:
        log_of(PATTERNS["adaptive"]),
    localrule: True
    conda:
        CPU_ENV
    params:
        **STATISTICS,
        settings=settings,
        confidences=CONFIG.forced.confidences,
        code=code_digest("metrics.adaptive"),
    script:
        "../scripts/measure_adaptive.py"


rule measure_end_to_end:
    """Execution accuracy, exact and partial match of a search's choices, by hardness, with intervals."""
    input:
        questions=path("questions", Variant(DATASET)),
        tables=f"{DATA}/tables.json",
        selections=PATTERNS["selections"],
        executions=chosen_executions,
    output:
        metrics=PATTERNS["end_to_end"],
    log:
        log_of(PATTERNS["end_to_end"]),
    wildcard_constraints:
        planner=either(CONFIG.planners),
    localrule: True
    conda:
        CPU_ENV
    params:
        **MEASURED,
        settings=settings,
        code=code_digest("metrics.end_to_end"),
    script:
        "../scripts/measure_end_to_end.py"


rule measure_planner:
    """What a planner reaches and needs, and what it gains on re-ranking for its extra tokens, with intervals."""
    input:
        end_to_end=PATTERNS["end_to_end"],
        costs=PATTERNS["costs"],
        reference=reference_files("end_to_end"),
        reference_costs=reference_files("costs"),
    output:
        metrics=PATTERNS["planner"],
    log:
        log_of(PATTERNS["planner"]),
    localrule: True
    conda:
        CPU_ENV
    params:
        **STATISTICS,
        code=code_digest("metrics.planner"),
    script:
        "../scripts/measure_planner.py"
