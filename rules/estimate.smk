# What has been asked of models, and what is still to be asked. Neither makes a file; both can be asked for at any time.
localrules:
    journal,
    estimate,


STAGES = {"candidates": "generate", "judgments": "discriminate", "forced": "force"}
RESULTS = {"candidates": ".jsonl", "judgments": ".parquet", "forced": ".jsonl"}


def model_job(run):
    """A model job, named by the file in which it records itself, with what counts its requests."""
    folder, *place = run.removesuffix(".run.json").split("/")[1:]
    pool = place[-1]
    own_pool = f"{config['pool']['generator']}.{config['pool']['decoding']}"
    generator, _, decoding = (own_pool if pool == POOL else pool).rpartition(".")
    entry = (
        config["generators"][generator]
        if folder == "candidates"
        else config["discriminators"][place[0]]
    )
    limits = {
        "candidates": entry.get("max_new_tokens", config["decodings"][decoding]["max_new_tokens"]),
        "judgments": BUDGETS[Judged(*place)] if entry.get("kind") == "reasoning" else 0,
        "forced": 0,
    }
    return {
        "name": ".".join([STAGES[folder], *place]),
        "model": entry["model"],
        "new_tokens": limits[folder],
        "result": run.replace(".run.json", RESULTS[folder]),
        "candidates": "" if folder == "candidates" else f"results/candidates/{pool}.jsonl",
        "samples": config["decodings"][decoding]["samples"],
        "times": len(CHECKPOINTS[Judged(*place)]) if folder == "forced" else 1,
    }


def expected_questions():
    """How many questions the configuration asks for."""
    return 4 * config["dataset"]["per_hardness"]


rule journal:
    """Print what the journal of model requests holds: requests, tokens and seconds of every model job."""
    log:
        "logs/journal.log",
    conda:
        HARDWARE_CPU
    params:
        journal="results/journal",
    script:
        "../scripts/journal.py"


rule estimate:
    """Print what model jobs still have to ask, before anything is spent: requests, tokens, time."""
    log:
        "logs/estimate.log",
    conda:
        HARDWARE_CPU
    params:
        journal=JOURNAL,
        jobs=[
            model_job(run)
            for run in sorted(
                {run for name in EXPERIMENTS for run in artefacts.runs(EXPERIMENTS[name])}
            )
        ],
        questions=f"results/questions/{DATASET}.jsonl",
        expected=expected_questions(),
    script:
        "../scripts/estimate.py"
