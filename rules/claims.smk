# The paper's claims, judged on this run's own metrics.
rule claims:
    """The paper's eight claims: the published figure, this run's, an interval, and a verdict."""
    input:
        metrics=sorted({file for name in SHOWN for file in artefacts.METRICS[name](SHOWN[name])}),
        runs=sorted({run for name in EXPERIMENTS for run in artefacts.runs(EXPERIMENTS[name])}),
        published=str(ROOT / "resources/published.json"),
    output:
        html=report(
            "results/tables/claims.html",
            caption="../workflow/report/claims.rst",
            category="Claims",
            labels={"Format": "page"},
        ),
        csv=report(
            "results/tables/claims.csv",
            caption="../workflow/report/claims.rst",
            category="Claims",
            labels={"Format": "values (csv)"},
        ),
        md="results/tables/claims.md",
        tex="results/tables/claims.tex",
        sidecar="results/tables/claims.provenance.json",
        findings="results/tables/claims.findings.rst",
    log:
        "logs/tables/claims.log",
    conda:
        HARDWARE_CPU
    params:
        roles=config["roles"],
        display=display_names(),
        asked=captions.asked(config),
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("report.claims"),
    script:
        "../scripts/claims.py"
