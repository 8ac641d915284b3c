# Scores: each budget, scoring and mode is cut from the judgments that exist. No model runs here.
rule score:
    """Turn judgments into scores at one budget: soft or hard, naive or with the executability check."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
        executions=executions_if_checked,
    output:
        "results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    log:
        "logs/score/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.log",
    wildcard_constraints:
        scoring="soft|hard",
    conda:
        HARDWARE_CPU
    params:
        code=code_digest("stages.score", "core.parquet"),
    script:
        "../scripts/score.py"
