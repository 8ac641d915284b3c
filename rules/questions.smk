# The questions that everything is evaluated on.
def question_ids(wildcards):
    """The user's list of question ids, if there is one."""
    named = config["dataset"]["question_ids"]
    return [str(resolve(named))] if named else []


rule sample_questions:
    """Sample the evaluation questions, equally many of each hardness, or take the ids that a user lists."""
    input:
        questions=f"{DATA}/questions.json",
        tables=f"{DATA}/tables.json",
        databases=DATABASES,
        ids=question_ids,
    output:
        f"results/questions/{DATASET}.jsonl",
    params:
        per_hardness=config["dataset"]["per_hardness"],
        exclude=config["dataset"]["exclude_databases"],
        seed=SEED,
        code=code_digest("spider"),
    log:
        f"logs/sample_questions/{DATASET}.log",
    conda:
        HARDWARE_CPU
    script:
        "../scripts/sample_questions.py"
