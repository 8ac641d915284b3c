# The dataset: fetched where no source is named, brought into one plain layout, and sampled.


if not CONFIG.dataset.source:

    rule download_dataset:
        """Fetch the dataset's archive from the first mirror that gives the right bytes."""
        output:
            target="results/downloads/{dataset}.zip",
        log:
            "logs/downloads/{dataset}.log",
        conda:
            CPU_ENV
        resources:
            runtime=120,
        params:
            mirrors=CONFIG.dataset.mirrors,
            sha256=CONFIG.dataset.sha256,
        script:
            "../scripts/download_dataset.py"


rule stage_dataset:
    """Bring questions, schemas and databases into one layout; build databases that are given as SQL text."""
    input:
        files=lambda wildcards: in_source(source_files),
    output:
        questions=f"{DATA}/questions.json",
        tables=f"{DATA}/tables.json",
        databases=directory(DATABASES),
    log:
        f"logs/data/{DATASET}.log",
    priority: FIRST
    conda:
        CPU_ENV
    params:
        source=lambda wildcards, input: str(resolve(SOURCE)) if SOURCE else input[0],
        questions_file=CONFIG.dataset.questions_file,
        tables_file=FORMAT.tables_file,
        databases_folder=FORMAT.databases_folder,
        pool_databases=lambda wildcards: databases_of(resolve(CONFIG.pool.file)) if CONFIG.pool.file else [],
        dataset_format=CONFIG.dataset.format,
        code=code_digest("data.staging"),
    script:
        "../scripts/stage_dataset.py"


rule stage_training:
    """Take the training questions, which demonstrations come from, out of the dataset."""
    input:
        files=lambda wildcards: in_source(training_files, training_file=CONFIG.dataset.training_file),
    output:
        training=f"{DATA}.training.json",
    log:
        f"logs/data/{DATASET}.training.log",
    priority: FIRST
    localrule: True
    conda:
        CPU_ENV
    params:
        source=lambda wildcards, input: str(resolve(SOURCE)) if SOURCE else input[0],
        questions_file=CONFIG.dataset.questions_file,
        tables_file=FORMAT.tables_file,
        training_file=CONFIG.dataset.training_file,
        dataset_format=CONFIG.dataset.format,
        code=code_digest("data.staging"),
    script:
        "../scripts/stage_training.py"


rule sample_questions:
    """Take the questions that a list names, or sample them, equally many of each hardness."""
    input:
        questions=f"{DATA}/questions.json",
        tables=f"{DATA}/tables.json",
        databases=DATABASES,
        ids=[str(resolve(file)) for file in [CONFIG.dataset.question_ids] if file],
    output:
        sample=path("questions", Variant(DATASET)),
    log:
        log_of(path("questions", Variant(DATASET))),
    priority: FIRST
    conda:
        CPU_ENV
    threads: spare_threads
    params:
        dataset_format=CONFIG.dataset.format,
        per_hardness=CONFIG.dataset.per_hardness,
        exclude=CONFIG.dataset.exclude_databases,
        empty_golds=CONFIG.dataset.empty_golds,
        limits=config["execution"],
        seed=SEED,
        code=code_digest("data.sample"),
    script:
        "../scripts/sample_questions.py"


# The labelled pool of candidates: a user's file, or a generator's samples labelled by execution.
if CONFIG.pool.file:

    rule import_pool:
        """Read a user's pool of candidates, and label by execution those that have no label."""
        input:
            pool=str(resolve(CONFIG.pool.file)),
            tables=f"{DATA}/tables.json",
            databases=DATABASES,
        output:
            questions=path("questions", Variant(POOL)),
            candidates=path("candidates", Variant(POOL)),
        log:
            log_of(path("candidates", Variant(POOL))),
        priority: FIRST
        localrule: True
        conda:
            CPU_ENV
        threads: 2
        params:
            comparison=FORMAT.comparison,
            limits=lambda wildcards, input: config["execution"] if lacks_labels(input.pool) else {},
            dataset_format=CONFIG.dataset.format,
            limit=CONFIG.pool.questions,
            seed=SEED,
            code=code_digest("stages.label"),
        script:
            "../scripts/import_pool.py"

else:
    SAMPLED = Variant(f"{CONFIG.pool.generator}.{CONFIG.pool.decoding}")

    rule label_pool:
        """Label a generator's candidates by execution: 1 where the result equals the gold query's."""
        input:
            questions=path("questions", Variant(DATASET)),
            candidates=path("candidates", SAMPLED),
            executions=path("executions", SAMPLED),
        output:
            pool_questions=path("questions", Variant(POOL)),
            pool_candidates=path("candidates", Variant(POOL)),
        log:
            log_of(path("candidates", Variant(POOL))),
        priority: FIRST
        localrule: True
        conda:
            CPU_ENV
        params:
            code=code_digest("data.pool"),
        script:
            "../scripts/label_pool.py"
