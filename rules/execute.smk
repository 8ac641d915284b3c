# What each candidate does on its database, and which candidates of a question give equal results.
rule execute:
    """Run every candidate in the sandbox: outcome, first rows, and execution match with the gold query."""
    input:
        questions=questions_of,
        candidates=PATTERNS["candidates"],
        databases=DATABASES,
    output:
        executions=PATTERNS["executions"],
    log:
        log_of(PATTERNS["executions"]),
    benchmark:
        benchmark_of(PATTERNS["executions"])
    priority: FIRST
    conda:
        CPU_ENV
    threads: spare_threads
    params:
        **EXECUTION,
        code=code_digest("stages.execute"),
    script:
        "../scripts/execute.py"


use rule execute as execute_tried with:
    input:
        questions=path("questions", Variant(DATASET)),
        candidates=PATTERNS["tried"],
        databases=DATABASES,
    output:
        executions=PATTERNS["tried_executions"],
    log:
        log_of(PATTERNS["tried_executions"]),
    benchmark:
        benchmark_of(PATTERNS["tried_executions"])


rule group:
    """Find the candidates of each question that give equal results."""
    input:
        questions=questions_of,
        candidates=PATTERNS["candidates"],
        executions=PATTERNS["executions"],
        databases=DATABASES,
    output:
        groups=PATTERNS["groups"],
    log:
        log_of(PATTERNS["groups"]),
    conda:
        CPU_ENV
    threads: spare_threads
    params:
        **EXECUTION,
        code=code_digest("stages.execute"),
    script:
        "../scripts/group.py"
