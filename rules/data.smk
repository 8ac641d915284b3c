# The dataset: fetched where no source is named, and brought into one plain layout.
SOURCE = config["dataset"]["source"]
QUESTIONS_FILE = config["dataset"]["questions_file"]

if SOURCE and not resolve(SOURCE).exists():
    sys.exit(f"Error: configuration, dataset.source: {SOURCE} does not exist; name Spider's folder or zip archive")


def source_files(wildcards):
    """What the staged dataset is made from: the folder's own files, the archive, or the download."""
    if not SOURCE:
        return [f"results/downloads/{DATASET}.zip"]
    path = resolve(SOURCE)
    if path.is_file():
        return [str(path)]
    wanted = {QUESTIONS_FILE, "tables.json"}
    return [
        str(file)
        for file in sorted(path.rglob("*"))
        if (file.name in wanted or file.suffix in {".sqlite", ".sql"}) and not file.name.startswith("._")
    ]


rule download_dataset:
    """Fetch the dataset's archive from the first mirror that gives the right bytes."""
    output:
        "results/downloads/{dataset}.zip",
    params:
        mirrors=config["dataset"]["mirrors"],
        sha256=config["dataset"]["sha256"],
    log:
        "logs/download_dataset/{dataset}.log",
    resources:
        runtime=120,
    conda:
        HARDWARE_CPU
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
    params:
        source=lambda wildcards, input: str(resolve(SOURCE)) if SOURCE else input[0],
        questions_file=QUESTIONS_FILE,
        code=code_digest("acquire"),
    log:
        f"logs/stage_dataset/{DATASET}.log",
    conda:
        HARDWARE_CPU
    script:
        "../scripts/stage_dataset.py"
