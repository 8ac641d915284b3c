# Candidates: a generator's queries for every question.
rule generate:
    """Ask a generator for SQL, all questions in one queue, and keep the distinct queries."""
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        prompt=lambda wildcards: str(resolve(generator_entry(wildcards)["prompt"])),
        weights=unpacked_model(generator_entry),
    output:
        candidates="results/candidates/{generator}.{decoding}.jsonl",
        run="results/candidates/{generator}.{decoding}.run.json",
    log:
        "logs/generate/{generator}.{decoding}.log",
    benchmark:
        "benchmarks/results/generate/{generator}.{decoding}.tsv"
    conda:
        model_environment(generator_entry)
    threads: model_threads
    resources:
        gpu=model_gpus(generator_entry),
        mem_mb=16000,
        runtime=240,
    params:
        model=model_of(generator_entry),
        frame=lambda wildcards: generator_entry(wildcards)["frame"],
        extraction=lambda wildcards: generator_entry(wildcards)["extraction"],
        decoding=decoding_of,
        quoted_names=FORM.quoted_names,
        seed=SEED,
        journal=JOURNAL,
        failures_tolerated=config["failures_tolerated"],
        code=model_code("stages.generate", generator_entry),
    script:
        "../scripts/generate.py"
