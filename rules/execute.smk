# Executions: what each candidate does on its database, and whether its result equals the gold query's.
rule execute:
    """Run every candidate in the sandbox: outcome, first rows, and execution match with the gold query."""
    input:
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        databases=DATABASES,
    output:
        "results/executions/{pool}.jsonl",
    log:
        "logs/execute/{pool}.log",
    benchmark:
        "benchmarks/results/execute/{pool}.tsv"
    conda:
        HARDWARE_CPU
    threads: 2
    params:
        comparison=FORM.comparison,
        limits=config["execution"],
        code=code_digest("stages.execute"),
    script:
        "../scripts/execute.py"
