# What people look at: tables, figures, claims, costs, provenance, the explorer. Each table and figure is a target.
from sqljudge.experiments.folder import check_shown, of_table
from sqljudge.report.answer import TABLE as ANSWER
from sqljudge.report.cells import files
from sqljudge.report.explorer import explorer_inputs
from sqljudge.report.specs import FIGURES
from sqljudge.report.words import phrases, question_summary, subject

EXPERIMENTS = {name: dataclasses.asdict(experiment) for name, experiment in TABLES.items()}
USES_GOLD = [name for name, entry in CONFIG.discriminators.items() if entry.method == "oracle"]
ABOUT = {
    name: about_model(MODELS[entry.model], reasons=entry.responds)
    for name, entry in CONFIG.discriminators.items()
    if not entry.is_baseline and entry.model in MODELS
}
PHRASES = {name: phrases(config, experiment, LABELS) for name, experiment in TABLES.items()}
SUBJECT = subject(config, TABLES.values(), LABELS)
DRAWN = [name for name, spec in FIGURES.items() if spec.name in TABLES]
ANSWERED = ["answer"] if ANSWER in TABLES else []
PUBLISHED = str(ROOT / FORMAT.figures(DATASET))


for NAME, EXPERIMENT in TABLES.items():

    rule:
        name:
            NAME
        input:
            metrics=needed([NAME], files(SPECS[NAME], EXPERIMENT)),
            runs=needs_of({NAME: EXPERIMENT}, CONFIG).runs(),
            published=PUBLISHED,
        output:
            **page(NAME, "Tables", {"Table": NAME.removeprefix("table")}, **BESIDE),
        log:
            f"logs/tables/{NAME}.log",
        localrule: True
        conda:
            CPU_ENV
        params:
            name=NAME,
            experiment=EXPERIMENTS[NAME],
            display=LABELS,
            uses_gold=USES_GOLD,
            about=ABOUT,
            question_ids=CONFIG.dataset.question_ids,
            caption=PHRASES[NAME],
            subject=subject(config, [EXPERIMENT], LABELS),
            configuration=of_table(CONFIGURATION, config, NAME, EXPERIMENT),
            seed=SEED,
            code=code_digest("report.write"),
        script:
            "../scripts/table.py"

    describe(NAME, SPECS[NAME].description)


for NAME in DRAWN:
    TABLE = FIGURES[NAME].name

    rule:
        name:
            NAME
        input:
            metrics=needed([TABLE], files(SPECS[TABLE], TABLES[TABLE])),
            runs=needs_of({TABLE: TABLES[TABLE]}, CONFIG).runs(),
            published=PUBLISHED,
        output:
            **{key: f"results/figures/{NAME}.{end}" for key, end in BESIDE.items()},
            svg=report(
                f"results/figures/{NAME}.svg",
                caption=f"../workflow/report/{NAME}.rst",
                category="Figures",
                labels={"Figure": NAME.removeprefix("figure")},
            ),
            pdf=f"results/figures/{NAME}.pdf",
        log:
            f"logs/figures/{NAME}.log",
        localrule: True
        conda:
            CPU_ENV
        params:
            name=NAME,
            experiment=EXPERIMENTS[TABLE],
            display=LABELS,
            uses_gold=USES_GOLD,
            about=ABOUT,
            caption=PHRASES[TABLE],
            subject=subject(config, [TABLES[TABLE]], LABELS),
            configuration=of_table(CONFIGURATION, config, TABLE, TABLES[TABLE]),
            seed=SEED,
            code=code_digest("report.figures"),
        script:
            "../scripts/figure.py"

    describe(NAME, FIGURES[NAME].figures[NAME])


if ANSWER in TABLES:

    rule write_answer:
        """The answer as a page and as files."""
        input:
            metrics=needed([ANSWER], files(SPECS[ANSWER], TABLES[ANSWER])),
            runs=needs_of({ANSWER: TABLES[ANSWER]}, CONFIG).runs(),
            published=PUBLISHED,
        output:
            **page("answer", "Answer", {}, **BESIDE),
        log:
            "logs/tables/answer.log",
        localrule: True
        conda:
            CPU_ENV
        params:
            experiment=EXPERIMENTS[ANSWER],
            display=LABELS,
            uses_gold=USES_GOLD,
            about=ABOUT,
            dataset=DATASET,
            caption=PHRASES[ANSWER],
            subject=subject(config, [TABLES[ANSWER]], LABELS),
            configuration=of_table(CONFIGURATION, config, ANSWER, TABLES[ANSWER]),
            seed=SEED,
            code=code_digest("report.answer"),
        script:
            "../scripts/answer.py"


rule write_claims:
    """The claims as a page and as files."""
    input:
        metrics=needed(TABLES, sorted({file for name in TABLES for file in files(SPECS[name], TABLES[name])})),
        runs=NEEDS.runs(),
        published=str(ROOT / "resources/published.json"),
    output:
        **page("claims", "Claims", {}, **BESIDE),
    log:
        "logs/tables/claims.log",
    localrule: True
    conda:
        CPU_ENV
    params:
        experiments=EXPERIMENTS,
        roles=CONFIG.roles.model_dump(exclude_none=True, by_alias=True),
        display=LABELS,
        uses_gold=USES_GOLD,
        about=ABOUT,
        dataset=DATASET,
        caption={"questions": question_summary(config)},
        subject=SUBJECT,
        configuration=CONFIGURATION,
        seed=SEED,
        resamples=CONFIG.resamples,
        code=code_digest("report.claims"),
    script:
        "../scripts/claims.py"


PRINTED = {
    "answer": "The best discriminator that reasons against the best that does not, and the best free baseline; printed.",
    "claims": "The paper's eight claims: the published figure, this run's, an interval, and a verdict; printed.",
}

for NAME in [*ANSWERED, "claims"]:

    rule:
        name:
            NAME
        input:
            table=f"results/tables/{NAME}.md",
        log:
            f"logs/tables/print_{NAME}.log",
        localrule: True
        conda:
            CPU_ENV
        shell:
            "cat {input.table:q} 2> {log:q}"

    describe(NAME, PRINTED[NAME])


rule costs:
    """Requests, tokens, seconds and memory of every model job, and what sharing saved."""
    input:
        runs=needed(TABLES, NEEDS.runs()),
        trainings=lambda wildcards: [f"results/training/{name}/run.json" for name in needed_trainings()],
        routers=lambda wildcards: [f"results/routers/{name}.run.json" for name in needed_routers()],
        judgments=[path("judgments", job) for job in sorted(NEEDS.budgets())],
        executions=sorted({path("executions", job) for job in NEEDS.budgets()}),
    output:
        **page("costs", "Costs", {}, **BESIDE),
    log:
        "logs/tables/costs.log",
    localrule: True
    conda:
        CPU_ENV
    params:
        experiments={name: EXPERIMENTS[name] for name in CONFIG.experiments},
        subject=SUBJECT,
        configuration=CONFIGURATION,
        seed=SEED,
        code=code_digest("report.costs"),
    script:
        "../scripts/costs.py"


RESULTS = {
    **{f"tables/{name}": of_table(CONFIGURATION, config, name, one) for name, one in TABLES.items()},
    **{f"tables/{name}": of_table(CONFIGURATION, config, ANSWER, TABLES[ANSWER]) for name in ANSWERED},
    **{f"tables/{name}": CONFIGURATION for name in ("claims", "costs")},
    **{
        f"figures/{name}": of_table(CONFIGURATION, config, FIGURES[name].name, TABLES[FIGURES[name].name])
        for name in DRAWN
    },
}
SIDECARS = {f"results/{name}.provenance.json": recorded for name, recorded in RESULTS.items()}

if OPTIONS and (OPTIONS.report or OPTIONS.reporter) and not OPTIONS.report_after_run:
    try:
        check_shown(SIDECARS, OPTIONS.targets, CONFIGURATION)
    except SqljudgeError as error:
        sys.exit(f"Error: {error}")


rule provenance:
    """What made each table and figure: commit, digests, model revisions, device, seed, tokens, seconds."""
    input:
        sidecars=list(SIDECARS),
        runs=NEEDS.runs(),
    output:
        **page("provenance", "Provenance", {}, facts="facts.rst"),
    log:
        "logs/tables/provenance.log",
    localrule: True
    conda:
        CPU_ENV
    params:
        subject=SUBJECT,
        code=code_digest("report.provenance"),
    script:
        "../scripts/provenance.py"


SHOWN = explorer_inputs(NEEDS.cells, DATASET, NEEDS.budgets())


rule explorer:
    """Every question with its candidates, scores, responses and choices: open results/explorer/index.html."""
    input:
        **SHOWN,
        databases=needed(TABLES, DATABASES),
    output:
        page="results/explorer/index.html",
        assets=directory("results/explorer/assets"),
        data=directory("results/explorer/data"),
    log:
        "logs/explorer.log",
    benchmark:
        "benchmarks/results/explorer.tsv"
    conda:
        CPU_ENV
    threads: spare_threads
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        display=LABELS,
        levels=[*FORMAT.levels, NO_LEVEL],
        limits=config["execution"],
        prompts=lambda wildcards: sorted(
            {
                (
                    job.discriminator,
                    job.context,
                    prompt_of(job.discriminator, job.context),
                    framing_of(CONFIG, discriminator=job.discriminator, context=job.context)["prompt_format"],
                )
                for job in NEEDS.budgets()
            }
        ),
        verdicts=CONFIG.verdicts,
        subject=SUBJECT,
        code=code_digest("report.explorer"),
    script:
        "../scripts/explorer.py"


rule tables:
    """Every table of the configuration."""
    input:
        [f"results/tables/{name}.html" for name in [*ANSWERED, *TABLES]],


rule figures:
    """Every figure of the configuration."""
    input:
        [f"results/figures/{name}.svg" for name in DRAWN],
