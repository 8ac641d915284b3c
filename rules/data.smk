# The dataset: fetched where no source is named, and brought into one plain layout.
rule download_dataset:
    """Fetch the dataset's archive from the first mirror that gives the right bytes."""
    output:
        "results/downloads/{dataset}.zip",
    log:
        "logs/download_dataset/{dataset}.log",
    conda:
        HARDWARE_CPU
    resources:
        runtime=120,
    params:
        mirrors=config["dataset"]["mirrors"],
        sha256=config["dataset"]["sha256"],
    script:
        "../scripts/download_dataset.py"


rule stage_dataset:
    """Bring questions, schemas and databases into one layout; build databases that are given as SQL text."""
    input:
        source_files,
    output:
        questions=f"{DATA}/questions.json",
        tables=f"{DATA}/tables.json",
        databases=directory(DATABASES),
    log:
        f"logs/stage_dataset/{DATASET}.log",
    conda:
        HARDWARE_CPU
    params:
        source=lambda wildcards, input: str(resolve(SOURCE)) if SOURCE else input[0],
        questions_file=config["dataset"]["questions_file"],
        dataset_format=config["dataset"]["format"],
        code=code_digest("data.staging"),
    script:
        "../scripts/stage_dataset.py"


rule stage_training:
    """Take the training questions, which demonstrations come from, out of the dataset."""
    input:
        training_files,
    output:
        f"{DATA}.training.json",
    log:
        f"logs/stage_training/{DATASET}.log",
    conda:
        HARDWARE_CPU
    params:
        source=lambda wildcards, input: str(resolve(SOURCE)) if SOURCE else input[0],
        questions_file=config["dataset"]["questions_file"],
        training_file=config["dataset"]["training_file"],
        dataset_format=config["dataset"]["format"],
        code=code_digest("data.staging"),
    script:
        "../scripts/stage_training.py"
