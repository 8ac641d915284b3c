# What the model jobs cost, and what they would have cost without sharing.
COUNTED = ("generator", "decoding", "discriminator", "context", "budget", "scoring", "mode")


rule costs:
    """Requests, tokens, seconds and memory of every model job, and what sharing saved."""
    input:
        runs=sorted({run for name in EXPERIMENTS for run in artefacts.runs(EXPERIMENTS[name])}),
        judgments=[
            f"results/judgments/{job.discriminator}/{job.context}/{job.pool}.parquet"
            for job in BUDGETS
        ],
        executions=sorted({f"results/executions/{job.pool}.jsonl" for job in BUDGETS}),
    output:
        html=report(
            "results/tables/costs.html",
            caption="../workflow/report/costs.rst",
            category="Costs",
            labels={"Format": "page"},
        ),
        csv=report(
            "results/tables/costs.csv",
            caption="../workflow/report/costs.rst",
            category="Costs",
            labels={"Format": "values (csv)"},
        ),
        md="results/tables/costs.md",
        tex="results/tables/costs.tex",
        sidecar="results/tables/costs.provenance.json",
        findings="results/tables/costs.findings.rst",
    log:
        "logs/tables/costs.log",
    conda:
        HARDWARE_CPU
    params:
        experiments={
            name: {f"{axis}s": artefacts.one_or_many(experiment, axis) for axis in COUNTED}
            | {"left_out": experiment.get("unasked", [])}
            for name, experiment in EXPERIMENTS.items()
        },
        seed=SEED,
        code=code_digest("report.costs"),
    script:
        "../scripts/costs.py"
