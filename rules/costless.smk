# Discriminators that cost nothing, and the majority of results: what a model's judgment must beat. No model runs here.
rule group_results:
    """Find the candidates of each question that give equal results."""
    input:
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        executions="results/executions/{pool}.jsonl",
        databases=DATABASES,
    output:
        "results/groups/{pool}.jsonl",
    log:
        "logs/group_results/{pool}.log",
    conda:
        HARDWARE_CPU
    threads: 2
    params:
        comparison=FORM.comparison,
        limits=config["execution"],
        code=code_digest("stages.consensus"),
    script:
        "../scripts/group_results.py"


rule score_without_model:
    """Score every candidate without a model: by chance, order, execution, votes, likelihood, or the gold query."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        executions="results/executions/{pool}.jsonl",
        groups="results/groups/{pool}.jsonl",
    output:
        "results/scores/{costless}/{pool}.{mode}.jsonl",
    log:
        "logs/score/{costless}/{pool}.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        name=lambda wildcards: COSTLESS[wildcards.costless],
        seed=SEED,
        code=code_digest("stages.baselines", "stages.score"),
    script:
        "../scripts/score_without_model.py"


use rule rerank as rerank_without_model with:
    input:
        candidates="results/candidates/{pool}.jsonl",
        scores="results/scores/{costless}/{pool}.{mode}.jsonl",
    output:
        "results/selections/rerank/{costless}/{pool}.{mode}.jsonl",
    log:
        "logs/plan/rerank/{costless}/{pool}.{mode}.log",
