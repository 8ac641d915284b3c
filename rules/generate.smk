# Candidates: a generator's queries for every question.
def generator_entry(wildcards):
    """The configuration of a job's generator."""
    return config["generators"][wildcards.generator]


rule generate:
    """Ask a generator for SQL, all questions in one queue, and keep the distinct queries."""
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        prompt=lambda wildcards: str(resolve(generator_entry(wildcards)["prompt"])),
    output:
        candidates="results/candidates/{generator}.{decoding}.jsonl",
        run="results/candidates/{generator}.{decoding}.run.json",
    params:
        model=model_of("generators"),
        frame=lambda wildcards: generator_entry(wildcards)["frame"],
        extraction=lambda wildcards: generator_entry(wildcards)["extraction"],
        decoding=lambda wildcards: {
            **config["decodings"][wildcards.decoding],
            **{
                key: value
                for key, value in generator_entry(wildcards).items()
                if key == "max_new_tokens"
            },
        },
        seed=SEED,
        journal=JOURNAL,
        code=model_code("generate", "generators"),
    log:
        "logs/generate/{generator}.{decoding}.log",
    benchmark:
        "benchmarks/results/generate/{generator}.{decoding}.tsv"
    threads: 2
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=240,
    conda:
        HARDWARE_GPU
    script:
        "../scripts/generate.py"
