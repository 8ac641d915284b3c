# Tables 1 to 8 of the paper, each a target of its own name. What each one shows stands in the experiments' schema.
TABLES = sorted(EXPERIMENTS)

for NAME in TABLES:

    rule:
        name:
            NAME
        input:
            metrics=artefacts.METRICS[NAME](EXPERIMENTS[NAME]),
            runs=artefacts.runs(EXPERIMENTS[NAME]),
            published=str(ROOT / "resources/published.json"),
        output:
            html=report(
                f"results/tables/{NAME}.html",
                caption=f"../workflow/report/{NAME}.rst",
                category="Tables",
                labels={"Table": NAME.removeprefix("table"), "Format": "page"},
            ),
            csv=report(
                f"results/tables/{NAME}.csv",
                caption=f"../workflow/report/{NAME}.rst",
                category="Tables",
                labels={"Table": NAME.removeprefix("table"), "Format": "csv"},
            ),
            md=f"results/tables/{NAME}.md",
            tex=f"results/tables/{NAME}.tex",
            sidecar=f"results/tables/{NAME}.provenance.json",
        log:
            f"logs/tables/{NAME}.log",
        conda:
            HARDWARE_CPU
        params:
            name=NAME,
            experiment=EXPERIMENTS[NAME],
            display=display_names(),
            seed=SEED,
            code=code_digest("tables"),
        script:
            "../scripts/table.py"

    workflow.get_rule(NAME).docstring = experiment_descriptions()[NAME]


rule tables:
    """Every table of the configuration."""
    input:
        [f"results/tables/{name}.html" for name in TABLES],
