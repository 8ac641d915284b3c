# Figures, each a target of its own name, drawn from the same metrics as the table they belong to.
FIGURES = {
    "figure4": (
        "table8",
        "Quality and failure rate of a reasoning discriminator against its token budget.",
    ),
    "figure5": ("table7", "Execution accuracy of generators by hardness, as bars."),
    "reliability": (
        "thresholds",
        "How often a candidate is correct against the probability that a discriminator gives it.",
    ),
    "pareto": (
        "adaptive",
        "Pairwise accuracy against the tokens that a discriminator writes, with the Pareto front.",
    ),
    "planner_costs": (
        "planners",
        "Execution accuracy of planners against the tokens that they need, with the Pareto front.",
    ),
}
DRAWN = [name for name, (table, _) in FIGURES.items() if table in SHOWN]

for NAME in DRAWN:
    TABLE = FIGURES[NAME][0]

    rule:
        name:
            NAME
        input:
            metrics=artefacts.METRICS[TABLE](SHOWN[TABLE]),
            runs=artefacts.runs(SHOWN[TABLE]),
            published=str(ROOT / FORM.published),
        output:
            svg=report(
                f"results/figures/{NAME}.svg",
                caption=f"../workflow/report/{NAME}.rst",
                category="Figures",
                labels={"Figure": NAME.removeprefix("figure")},
            ),
            pdf=f"results/figures/{NAME}.pdf",
            sidecar=f"results/figures/{NAME}.provenance.json",
            findings=f"results/figures/{NAME}.findings.rst",
        log:
            f"logs/figures/{NAME}.log",
        conda:
            HARDWARE_CPU
        params:
            name=NAME,
            table=TABLE,
            experiment=SHOWN[TABLE],
            display=display_names(),
            phrases=captions.phrases(config, SHOWN[TABLE], display_names()),
            seed=SEED,
            code=code_digest("report.figures"),
        script:
            "../scripts/figure.py"

    describe(NAME, FIGURES[NAME][1])


rule figures:
    """Every figure of the configuration."""
    input:
        [f"results/figures/{name}.svg" for name in DRAWN],
