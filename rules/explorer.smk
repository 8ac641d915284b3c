# The explorer: every question of the run with all that was made of it, as pages that open from disk.
BEHIND = artefacts.behind(EXPERIMENTS, DATASET)
BEHIND["end_to_end"] = BEHIND.pop("metrics")


rule explorer:
    """Every question with its candidates, scores, responses and choices: open results/explorer/index.html."""
    input:
        **BEHIND,
        databases=DATABASES,
    output:
        page="results/explorer/index.html",
        assets=directory("results/explorer/assets"),
        data=directory("results/explorer/data"),
    log:
        "logs/explorer.log",
    benchmark:
        "benchmarks/results/explorer.tsv"
    conda:
        HARDWARE_CPU
    threads: 2
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        display={**display_names(), **COSTLESS_LABELS},
        levels=list(FORM.levels),
        limits=config["execution"],
        code=code_digest("report.explorer"),
    script:
        "../scripts/explorer.py"
