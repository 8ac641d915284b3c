# Tables 1 to 8 of the paper and those beyond, each a target of its own name.
TABLES = sorted(SHOWN)

for NAME in TABLES:

    rule:
        name:
            NAME
        input:
            metrics=artefacts.METRICS[NAME](SHOWN[NAME]),
            runs=artefacts.runs(SHOWN[NAME]),
            published=str(ROOT / FORM.published),
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
                labels={"Table": NAME.removeprefix("table"), "Format": "values (csv)"},
            ),
            md=f"results/tables/{NAME}.md",
            tex=f"results/tables/{NAME}.tex",
            sidecar=f"results/tables/{NAME}.provenance.json",
            findings=f"results/tables/{NAME}.findings.rst",
        log:
            f"logs/tables/{NAME}.log",
        conda:
            HARDWARE_CPU
        params:
            name=NAME,
            experiment=SHOWN[NAME],
            display=display_names(),
            phrases=captions.phrases(config, SHOWN[NAME], display_names()),
            seed=SEED,
            code=code_digest("report.tables"),
        script:
            "../scripts/table.py"

    describe(NAME, DESCRIPTIONS[NAME])


rule tables:
    """Every table of the configuration."""
    input:
        [f"results/tables/{name}.html" for name in TABLES],
