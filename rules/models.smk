# Models that come as one GGUF file, unpacked once for all jobs that load them.
rule unpack_model:
    """Turn a GGUF file into a folder that loads ten times as fast."""
    output:
        directory("results/models/{model}"),
    log:
        "logs/models/{model}.log",
    benchmark:
        "benchmarks/results/models/{model}.tsv"
    conda:
        HARDWARE_CPU
    resources:
        mem_mb=16000,
        runtime=30,
    params:
        model=lambda wildcards: dataclasses.asdict(MODELS[wildcards.model]),
        code=code_digest("models.engines.transformers"),
    script:
        "../scripts/unpack_model.py"
