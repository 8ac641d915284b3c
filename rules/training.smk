# Models that are trained: their data, the training, and the weights as a folder that any engine loads.


STORE = "results/training/store"


rule prepare_training:
    """Make the items that models are trained on; refuse what is evaluated."""
    input:
        unpack(data_files),
        evaluated=evaluated_questions,
    output:
        data="results/training/data/{data}.jsonl",
        note="results/training/data/{data}.jsonl.note.json",
    log:
        "logs/training/data/{data}.log",
    conda:
        CPU_ENV
    params:
        kind=lambda wildcards: data_of(wildcards).kind,
        settings=data_settings,
        name="{data}",
        code=code_digest("training.data"),
    script:
        "../scripts/prepare_training.py"


rule train:
    """Train a model, from where a job that was cut short had come; a finished training is never run again."""
    input:
        data=lambda wildcards: f"results/training/data/{training_of(wildcards).data}.jsonl",
        note=lambda wildcards: f"results/training/data/{training_of(wildcards).data}.jsonl.note.json",
        weights=lambda wildcards: folder_of(training_of(wildcards).model),
        prompt=lambda wildcards: prompts_of_training(training_of(wildcards))["prompt"],
        closing=lambda wildcards: prompts_of_training(training_of(wildcards))["closing"],
        databases=lambda wildcards: [
            str(resolve(folder)) for folder in [getattr(data_of(wildcards), "databases", "")] if folder
        ],
    output:
        adapter=directory("results/training/{training}/adapter"),
        log="results/training/{training}/log.jsonl",
        run="results/training/{training}/run.json",
    log:
        "logs/training/{training}.log",
    benchmark:
        "benchmarks/results/training/{training}.tsv"
    retries: 3
    conda:
        "../envs/train.yaml"
    threads: model_threads
    resources:
        gpu=1,
        mem_mb=64000,
        runtime=1440,
    params:
        name="{training}",
        model=lambda wildcards: row_of(MODELS[training_of(wildcards).model]),
        method=lambda wildcards: training_of(wildcards).method,
        settings=lambda wildcards: training_of(wildcards).settings,
        steps=lambda wildcards: training_of(wildcards).steps,
        seed=lambda wildcards: seed_of(training_of(wildcards)),
        framing=lambda wildcards: {
            "prompt_format": training_of(wildcards).prompt_format,
            "special_tokens": training_of(wildcards).special_tokens,
            "yes_token": training_of(wildcards).yes_token,
        },
        extraction=lambda wildcards: training_of(wildcards).extraction,
        journal=REQUESTS["journal"],
        store=STORE,
        checkpoints="results/training/checkpoints",
        method_code=lambda wildcards: code_of_training(training_of(wildcards)),
    script:
        "../scripts/train.py"


rule merge_trained:
    """Write a trained model as a folder of weights, like any other."""
    input:
        adapter=lambda wildcards: f"results/training/{MODELS[wildcards.model].source.removeprefix(TRAINED)}/adapter",
        run=lambda wildcards: f"results/training/{MODELS[wildcards.model].source.removeprefix(TRAINED)}/run.json",
        weights=lambda wildcards: folder_of(training_of(wildcards).model),
    output:
        folder=directory("results/models/{model}"),
    log:
        "logs/models/{model}.merge.log",
    wildcard_constraints:
        model=either(name for name, spec in MODELS.items() if spec.source.startswith(TRAINED)),
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=32000,
        runtime=60,
    params:
        base=lambda wildcards: row_of(MODELS[training_of(wildcards).model]),
        model=lambda wildcards: row_of(MODELS[wildcards.model]),
    script:
        "../scripts/merge_trained.py"
