# Executions: what each candidate does on its database, and whether its result equals the gold query's.
rule execute:
    """Run every candidate in the sandbox: outcome, first rows, and execution match with the gold query."""
    input:
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        databases=DATABASES,
    output:
        "results/executions/{pool}.jsonl",
    params:
        limits=config["execution"],
        code=code_digest("execute"),
    log:
        "logs/execute/{pool}.log",
    benchmark:
        "benchmarks/results/execute/{pool}.tsv"
    threads: 2
    conda:
        HARDWARE_CPU
    script:
        "../scripts/execute.py"
