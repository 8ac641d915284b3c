# The labelled pool of candidates: a user's file, or a generator's samples labelled by execution.
if POOL_FILE:

    rule import_pool:
        """Read a user's labelled pool of candidates."""
        input:
            pool=str(resolve(POOL_FILE)),
            tables=f"{DATA}/tables.json",
        output:
            questions=f"results/questions/{POOL}.jsonl",
            candidates=f"results/candidates/{POOL}.jsonl",
        log:
            "logs/import_pool.log",
        conda:
            HARDWARE_CPU
        params:
            dataset_format=config["dataset"]["format"],
            questions=config["pool"]["questions"],
            seed=SEED,
            code=code_digest("data.pool"),
        script:
            "../scripts/import_pool.py"

else:
    SAMPLED = f"{config['pool']['generator']}.{config['pool']['decoding']}"

    rule label_pool:
        """Label a generator's candidates by execution: 1 where the result equals the gold query's."""
        input:
            questions=f"results/questions/{DATASET}.jsonl",
            candidates=f"results/candidates/{SAMPLED}.jsonl",
            executions=f"results/executions/{SAMPLED}.jsonl",
        output:
            questions=f"results/questions/{POOL}.jsonl",
            candidates=f"results/candidates/{POOL}.jsonl",
        log:
            "logs/label_pool.log",
        conda:
            HARDWARE_CPU
        params:
            code=code_digest("data.pool"),
        script:
            "../scripts/label_pool.py"
