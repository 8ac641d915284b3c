# The one query that a planner chooses for each question, how good it is, and what it takes to choose it.
rule plan:
    """Choose a candidate by its score, by a vote of equal results that scores weigh, or the first one; and measure it.

    A job of its own would take as long to start as both take.
    """
    input:
        candidates=PATTERNS["candidates"],
        scores=scores_to_plan,
        groups=lambda wildcards: ([path("groups", variant(wildcards))] if wildcards.planner == VOTE else []),
        questions=path("questions", Variant(DATASET)),
        tables=f"{DATA}/tables.json",
        executions=chosen_executions,
    output:
        selections=PATTERNS["selections"],
        metrics=PATTERNS["end_to_end"],
    log:
        log_of(PATTERNS["selections"]),
    wildcard_constraints:
        planner=either([*CHOOSERS, GREEDY]),
    localrule: True
    conda:
        CPU_ENV
    params:
        **MEASURED,
        planner="{planner}",
        settings=settings,
        code=code_digest("metrics.end_to_end"),
    script:
        "../scripts/plan.py"


rule cost:
    """What a planner needs that chooses among candidates: calls and tokens of both models, by question."""
    input:
        candidates=PATTERNS["candidates"],
        run=PATTERNS["candidates_run"],
        scores=scores_to_plan,
        judgments=lambda wildcards: (
            [path("judgments", variant(wildcards))] if wildcards.discriminator in NEEDS.models else []
        ),
    output:
        costs=PATTERNS["costs"],
    log:
        log_of(PATTERNS["costs"]),
    wildcard_constraints:
        planner=either([*CHOOSERS, GREEDY]),
    localrule: True
    conda:
        CPU_ENV
    params:
        scoring="{scoring}",
        code=code_digest("stages.search.cost"),
    script:
        "../scripts/cost.py"
