# What made each result: its sidecar and those of all others, as one table; and the facts on the report's front page.
rule provenance:
    """What made each table and figure: commit, digests, model revisions, device, seed, tokens, seconds."""
    input:
        sidecars=[
            f"results/tables/{name}.provenance.json" for name in [*TABLES, "claims", "costs"]
        ]
        + [f"results/figures/{name}.provenance.json" for name in DRAWN],
        runs=rules.costs.input.runs,
    output:
        html=report(
            "results/tables/provenance.html",
            caption="../workflow/report/provenance.rst",
            category="Provenance",
            labels={"Format": "page"},
        ),
        csv=report(
            "results/tables/provenance.csv",
            caption="../workflow/report/provenance.rst",
            category="Provenance",
            labels={"Format": "values (csv)"},
        ),
        md="results/tables/provenance.md",
        tex="results/tables/provenance.tex",
        facts="results/tables/provenance.facts.rst",
    log:
        "logs/tables/provenance.log",
    conda:
        HARDWARE_CPU
    params:
        code=code_digest("report.provenance"),
    script:
        "../scripts/provenance.py"
