# Selections: the one query that a planner chooses for each question.
rule rerank:
    """Choose the candidate with the highest score; ties go to the lexicographically smallest SQL."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        scores="results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    output:
        "results/selections/rerank/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    log:
        "logs/plan/rerank/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        planner="rerank",
        code=code_digest("stages.plan"),
    script:
        "../scripts/plan.py"


rule greedy:
    """Take a generator's first query as it is: no discriminator."""
    input:
        candidates="results/candidates/{pool}.jsonl",
    output:
        "results/selections/greedy/{pool}.jsonl",
    log:
        "logs/plan/greedy/{pool}.log",
    conda:
        HARDWARE_CPU
    params:
        planner="greedy",
        code=code_digest("stages.plan"),
    script:
        "../scripts/plan.py"


use rule rerank as replan with:
    input:
        candidates="results/candidates/{pool}.jsonl",
        scores="results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
        groups="results/groups/{pool}.jsonl",
    output:
        "results/selections/{beside}/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    log:
        "logs/plan/{beside}/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.log",
    params:
        planner=lambda wildcards: wildcards.beside,
        code=code_digest("stages.plan"),
