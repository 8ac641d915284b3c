# What has been asked of models, and what is still to be asked. Neither makes a file; both can be asked for at any time.
localrules:
    journal,
    estimate,


def model_job(run):
    """A model job, named by the file in which it records itself, with what counts its requests."""
    stage = "discriminate" if "/judgments/" in run else "generate"
    place = run.removesuffix(".run.json").split("/")[2:]
    pool = place[-1]
    if stage == "discriminate":
        entry = config["discriminators"][place[0]]
        budget = 0 if entry["kind"] == "yes_no" else BUDGETS.get(Judged(*place), 0)
        result, decoding = run.replace(".run.json", ".parquet"), None
    else:
        generator, _, decoding = pool.rpartition(".")
        entry = config["generators"][generator]
        budget = entry.get("max_new_tokens", config["decodings"][decoding]["max_new_tokens"])
        result = run.replace(".run.json", ".jsonl")
    if pool == POOL and not POOL_FILE:
        pool_decoding = config["pool"]["decoding"]
    else:
        pool_decoding = pool.rpartition(".")[2]
    return {
        "name": ".".join([stage, *place]),
        "model": entry["model"],
        "new_tokens": budget,
        "result": result,
        "candidates": f"results/candidates/{pool}.jsonl" if stage == "discriminate" else "",
        "samples": config["decodings"].get(pool_decoding, {"samples": 5})["samples"],
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
