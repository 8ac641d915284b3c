# Figures of the paper, each a target of its own name, drawn from the same metrics as the table they belong to.
FIGURES = {
    "figure4": ("table8", "Quality and failure rate of a reasoning discriminator against its token budget."),
    "figure5": ("table7", "Execution accuracy of generators by hardness, as bars."),
}
DRAWN = [name for name, (table, _) in FIGURES.items() if table in EXPERIMENTS]

for NAME in DRAWN:

    rule:
        name:
            NAME
        input:
            metrics=metrics_of(FIGURES[NAME][0]),
            runs=runs_of(FIGURES[NAME][0]),
            published=str(ROOT / "resources/published.json"),
        output:
            svg=report(
                f"results/figures/{NAME}.svg",
                caption=f"../workflow/report/{NAME}.rst",
                category="Figures",
                labels={"Figure": NAME.removeprefix("figure")},
            ),
            pdf=f"results/figures/{NAME}.pdf",
            sidecar=f"results/figures/{NAME}.provenance.json",
        params:
            name=NAME,
            experiment=EXPERIMENTS[FIGURES[NAME][0]],
            display=display_names(),
            seed=SEED,
            code=code_digest("figures"),
        log:
            f"logs/figures/{NAME}.log",
        conda:
            HARDWARE_CPU
        script:
            "../scripts/figure.py"

    workflow.get_rule(NAME).docstring = FIGURES[NAME][1]


rule figures:
    """Every figure of the configuration."""
    input:
        [f"results/figures/{name}.svg" for name in DRAWN],
