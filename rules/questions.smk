# The questions that everything is evaluated on.
rule sample_questions:
    """Sample the evaluation questions, equally many of each hardness, or take the ids that a user lists."""
    input:
        questions=f"{DATA}/questions.json",
        tables=f"{DATA}/tables.json",
        databases=DATABASES,
        ids=question_ids,
    output:
        f"results/questions/{DATASET}.jsonl",
    log:
        f"logs/sample_questions/{DATASET}.log",
    conda:
        HARDWARE_CPU
    params:
        dataset_format=config["dataset"]["format"],
        per_hardness=config["dataset"]["per_hardness"],
        exclude=config["dataset"]["exclude_databases"],
        seed=SEED,
        code=code_digest("data.datasets"),
    script:
        "../scripts/sample_questions.py"
