# Scores: each budget, scoring and mode is cut from the judgments that exist. No model runs here.
rule score:
    """Turn judgments into scores at one budget: soft or hard, naive or with the executability check."""
    input:
        candidates=PATTERNS["candidates"],
        judgments=PATTERNS["judgments"],
        prompt=discriminator_prompt,
        executions=executions_if_checked,
    output:
        scores=PATTERNS["scores"],
    log:
        log_of(PATTERNS["scores"]),
    wildcard_constraints:
        discriminator=ASKING,
        scoring="soft|hard",
    localrule: True
    conda:
        CPU_ENV
    params:
        budget=lambda wildcards: int(wildcards.budget),
        scoring="{scoring}",
        mode="{mode}",
        verdicts=CONFIG.verdicts,
        code=code_digest("stages.score"),
    script:
        "../scripts/score.py"


rule score_forced:
    """Turn forced verdicts into scores at one budget: the probability of true."""
    input:
        candidates=PATTERNS["candidates"],
        forced=PATTERNS["forced"],
        executions=executions_if_checked,
    output:
        scores=PATTERNS["scores"].replace("{scoring}", FORCED),
    log:
        log_of(PATTERNS["scores"].replace("{scoring}", FORCED)),
    wildcard_constraints:
        discriminator=ASKING,
    localrule: True
    conda:
        CPU_ENV
    params:
        budget=lambda wildcards: int(wildcards.budget),
        mode="{mode}",
        code=code_digest("stages.score"),
    script:
        "../scripts/score_forced.py"


rule score_baseline:
    """Score every candidate without a model: by chance, order, execution, votes, likelihood, or the gold query."""
    input:
        candidates=PATTERNS["candidates"],
        executions=PATTERNS["executions"],
        groups=PATTERNS["groups"],
    output:
        scores=PATTERNS["scores"],
    log:
        log_of(PATTERNS["scores"]),
    wildcard_constraints:
        discriminator=BASELINE,
        scoring="soft",
    localrule: True
    conda:
        CPU_ENV
    params:
        method=lookup(dpath="discriminators/{discriminator}/method", within=config),
        p=lambda wildcards: config["discriminators"][wildcards.discriminator].get("p", 1.0),
        mode="{mode}",
        seed=SEED,
        code=code_digest("stages.baselines"),
    script:
        "../scripts/score_baseline.py"
