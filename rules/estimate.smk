# What has been asked of models, and what is still to be asked. Neither makes a file; both can be asked for at any time.
from sqljudge.experiments.folder import mark_folder


localrules:
    journal,
    estimate,


rule journal:
    """Print what the journal of model requests holds: requests, tokens and seconds of every model job."""
    log:
        "logs/journal.log",
    conda:
        CPU_ENV
    params:
        journal="results/journal",
    script:
        "../scripts/journal.py"


rule estimate:
    """Print what model jobs still have to ask, before anything is spent: requests, tokens, time."""
    log:
        "logs/estimate.log",
    conda:
        CPU_ENV
    params:
        journal=REQUESTS["journal"],
        jobs=lambda wildcards: (check(tuple(TABLES)), [router_job(name, CONFIG) for name in needed_routers()])[1]
        + model_jobs(NEEDS, CONFIG),
        trainings=lambda wildcards: [training_row(name) for name in needed_trainings()],
        store=STORE,
        questions=path("questions", Variant(DATASET)),
        sizes={name: about_model(model, reasons=False).size for name, model in MODELS.items()},
        gpu=dict(workflow.global_resources.unwrapped_items()).get("gpu") != 0,
        operations_per_second=CONFIG.operations_per_second,
        expected=len(FORMAT.levels) * CONFIG.dataset.per_hardness,
        configuration=CONFIGURATION,
    script:
        "../scripts/estimate.py"


onstart:
    if set(workflow.dag_settings.targets or ["all"]) - {"journal", "estimate"}:
        mark_folder(CONFIGURATION)
