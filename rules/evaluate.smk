# Metrics: on the labelled pool, end to end, and of the responses themselves.
def wildcard_settings(wildcards):
    """A job's wildcards as settings, with the budget as a number and the pool's generator and decoding told apart."""
    values = dict(wildcards.items())
    if "budget" in values:
        values["budget"] = int(values["budget"])
    if "." in values.get("pool", ""):
        values["generator"], _, values["decoding"] = values["pool"].rpartition(".")
    return values


rule evaluate_intrinsic:
    """PwAcc, F1, Hit@1, MRR and failure rate on the labelled pool, with intervals."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        scores="results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    output:
        "results/metrics/intrinsic/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.json",
    params:
        settings=wildcard_settings,
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.intrinsic"),
    log:
        "logs/evaluate/intrinsic/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.log",
    conda:
        HARDWARE_CPU
    script:
        "../scripts/evaluate_intrinsic.py"


rule evaluate_end_to_end:
    """Execution accuracy, exact and partial match of a planner's choices, by hardness, with intervals."""
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        tables=f"{DATA}/tables.json",
        selections="results/selections/{selected}.jsonl",
        executions=lambda wildcards: f"results/executions/{pool_of(wildcards.selected)}.jsonl",
    output:
        "results/metrics/end_to_end/{selected}.json",
    params:
        settings=lambda wildcards: selection_settings(wildcards.selected),
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("evaluate", "metrics.intervals"),
    log:
        "logs/evaluate/end_to_end/{selected}.log",
    conda:
        HARDWARE_CPU
    script:
        "../scripts/evaluate_end_to_end.py"


rule evaluate_reasoning:
    """Repetition, lexical variety, entropy and diversity of a reasoning discriminator's responses."""
    input:
        judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
    output:
        "results/metrics/reasoning/{discriminator}/{context}/{pool}.b{budget}.json",
    params:
        settings=wildcard_settings,
        embedder=config["embedder"],
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.reasoning", "embedding"),
    log:
        "logs/evaluate/reasoning/{discriminator}/{context}/{pool}.b{budget}.log",
    threads: 2
    conda:
        HARDWARE_CPU
    script:
        "../scripts/evaluate_reasoning.py"
