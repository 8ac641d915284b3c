# Judgments: what a discriminator says of every candidate, once per context, at the largest budget that is asked for.
def discriminator_entry(wildcards):
    """The configuration of a job's discriminator."""
    return config["discriminators"][wildcards.discriminator]


def judged_budget(wildcards):
    """The largest budget that any experiment takes from these judgments; 0 for a discriminator without one."""
    if discriminator_entry(wildcards)["kind"] == "yes_no":
        return 0
    return BUDGETS.get(Judged(wildcards.discriminator, wildcards.context, wildcards.pool), 0)


rule discriminate:
    """Judge every candidate: probability of Yes, or a reasoned response with its tokens' log-probabilities."""
    input:
        questions=questions_of,
        candidates="results/candidates/{pool}.jsonl",
        prompt=lambda wildcards: str(
            resolve(config["contexts"][wildcards.context][discriminator_entry(wildcards)["kind"]])
        ),
    output:
        judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
        run="results/judgments/{discriminator}/{context}/{pool}.run.json",
    params:
        model=model_of("discriminators"),
        kind=lambda wildcards: discriminator_entry(wildcards)["kind"],
        frame=lambda wildcards: discriminator_entry(wildcards)["frame"],
        budget=judged_budget,
        journal=JOURNAL,
        code=model_code("discriminate", "discriminators"),
    log:
        "logs/discriminate/{discriminator}/{context}/{pool}.log",
    benchmark:
        "benchmarks/results/discriminate/{discriminator}/{context}/{pool}.tsv"
    threads: 2
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=480,
    conda:
        HARDWARE_GPU
    script:
        "../scripts/discriminate.py"
