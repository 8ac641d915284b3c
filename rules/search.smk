# Planners that ask models while they plan, what they try and need, and what they reach against re-ranking.
ruleorder: evaluate_searched > evaluate_end_to_end


rule search:
    """Plan with a generator and a discriminator at hand: correct the best query, or search over clauses."""
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        candidates="results/candidates/{generator}.{decoding}.jsonl",
        generator_prompt=lambda wildcards: str(resolve(generator_entry(wildcards)["prompt"])),
        planner_prompt=planner_prompt,
        discriminator_prompt=discriminator_prompt,
        closing=str(resolve(config["forced"]["prompt"])),
        databases=DATABASES,
        generator_weights=unpacked_model(generator_entry),
        discriminator_weights=unpacked_model(discriminator_entry),
    output:
        selections="results/selections/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.jsonl",
        costs="results/spent/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.jsonl",
        tried="results/search/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.tried.jsonl",
        trace="results/search/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.trace.jsonl",
        generator_run="results/search/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.generator.run.json",
        discriminator_run="results/search/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.discriminator.run.json",
    log:
        "logs/search/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.log",
    benchmark:
        "benchmarks/results/search/{planner}/{discriminator}/{context}/{generator}.{decoding}.b{budget}.{scoring}.{mode}.tsv"
    conda:
        heaviest_environment(generator_entry, discriminator_entry)
    threads: model_threads
    resources:
        gpu=lambda wildcards: max(
            model_gpus(entry)(wildcards) for entry in (generator_entry, discriminator_entry)
        ),
        mem_mb=48000,
        runtime=960,
    params:
        label="search.{planner}.{discriminator}.{context}.{generator}.{decoding}.b{budget}.{scoring}.{mode}",
        planner=unlabelled(planner_entry),
        models=lambda wildcards: {
            "generator": model_of(generator_entry)(wildcards),
            "discriminator": model_of(discriminator_entry)(wildcards),
        },
        generator=unlabelled(generator_entry),
        discriminator=unlabelled(discriminator_entry),
        decoding=decoding_of,
        form=config["dataset"]["format"],
        limits=config["execution"],
        seed=SEED,
        journal=JOURNAL,
        failures_tolerated=config["failures_tolerated"],
        code=search_code(generator_entry, discriminator_entry),
    script:
        "../scripts/search.py"


rule search_without_model:
    """The same with a discriminator that is no model: how good must one be for a search to pay?"""
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        candidates="results/candidates/{generator}.{decoding}.jsonl",
        generator_prompt=lambda wildcards: str(resolve(generator_entry(wildcards)["prompt"])),
        planner_prompt=planner_prompt,
        databases=DATABASES,
        generator_weights=unpacked_model(generator_entry),
    output:
        selections="results/selections/{planner}/{costless}/{generator}.{decoding}.{mode}.jsonl",
        costs="results/spent/{planner}/{costless}/{generator}.{decoding}.{mode}.jsonl",
        tried="results/search/{planner}/{costless}/{generator}.{decoding}.{mode}.tried.jsonl",
        trace="results/search/{planner}/{costless}/{generator}.{decoding}.{mode}.trace.jsonl",
        generator_run="results/search/{planner}/{costless}/{generator}.{decoding}.{mode}.generator.run.json",
    log:
        "logs/search/{planner}/{costless}/{generator}.{decoding}.{mode}.log",
    benchmark:
        "benchmarks/results/search/{planner}/{costless}/{generator}.{decoding}.{mode}.tsv"
    conda:
        heaviest_environment(generator_entry)
    threads: model_threads
    resources:
        gpu=model_gpus(generator_entry),
        mem_mb=16000,
        runtime=480,
    params:
        label="search.{planner}.{costless}.{generator}.{decoding}.{mode}",
        planner=unlabelled(planner_entry),
        models=lambda wildcards: {"generator": model_of(generator_entry)(wildcards)},
        generator=unlabelled(generator_entry),
        name=lambda wildcards: COSTLESS[wildcards.costless],
        decoding=decoding_of,
        form=config["dataset"]["format"],
        limits=config["execution"],
        seed=SEED,
        journal=JOURNAL,
        failures_tolerated=config["failures_tolerated"],
        code=search_code(generator_entry),
    script:
        "../scripts/search_without_model.py"


use rule execute as execute_tried with:
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        candidates="results/search/{searched}.tried.jsonl",
        databases=DATABASES,
    output:
        "results/executions/search/{searched}.jsonl",
    log:
        "logs/execute/search/{searched}.log",
    benchmark:
        "benchmarks/results/execute/search/{searched}.tsv"


use rule evaluate_end_to_end as evaluate_searched with:
    input:
        questions=f"results/questions/{DATASET}.jsonl",
        tables=f"{DATA}/tables.json",
        selections="results/selections/{searched}.jsonl",
        executions="results/executions/search/{searched}.jsonl",
    output:
        "results/metrics/end_to_end/{searched}.json",
    log:
        "logs/evaluate/end_to_end/{searched}.log",
    params:
        settings=lambda wildcards: artefacts.selection_settings(wildcards.searched),
        levels=list(FORM.levels),
        comparison=FORM.comparison,
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.execution", "metrics.intervals"),


rule spend_on_choosing:
    """What a planner needs that chooses among judged candidates: calls and tokens of both models, by question."""
    input:
        candidates="results/candidates/{pool}.jsonl",
        run="results/candidates/{pool}.run.json",
        scores="results/scores/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
        judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
    output:
        "results/spent/{choosing}/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.jsonl",
    log:
        "logs/spend/{choosing}/{discriminator}/{context}/{pool}.b{budget}.{scoring}.{mode}.log",
    conda:
        HARDWARE_CPU
    params:
        scoring=lambda wildcards: wildcards.scoring,
        code=code_digest("stages.search.spending", "core.parquet"),
    script:
        "../scripts/spend.py"


use rule spend_on_choosing as spend_without_model with:
    input:
        candidates="results/candidates/{pool}.jsonl",
        run="results/candidates/{pool}.run.json",
    output:
        "results/spent/{choosing}/{costless}/{pool}.{mode}.jsonl",
    log:
        "logs/spend/{choosing}/{costless}/{pool}.{mode}.log",
    params:
        scoring="",
        code=code_digest("stages.search.spending", "core.parquet"),


use rule spend_on_choosing as spend_on_greedy with:
    input:
        candidates="results/candidates/{pool}.jsonl",
        run="results/candidates/{pool}.run.json",
    output:
        "results/spent/greedy/{pool}.jsonl",
    log:
        "logs/spend/greedy/{pool}.log",
    params:
        scoring="",
        code=code_digest("stages.search.spending", "core.parquet"),


rule evaluate_planned:
    """What a planner reaches and needs, and what it gains on re-ranking for its extra tokens, with intervals."""
    input:
        metrics="results/metrics/end_to_end/{selected}.json",
        costs="results/spent/{selected}.jsonl",
        reference=reference_of("metrics/end_to_end/{}.json"),
        reference_costs=reference_of("spent/{}.jsonl"),
    output:
        "results/metrics/planned/{selected}.json",
    log:
        "logs/evaluate/planned/{selected}.log",
    conda:
        HARDWARE_CPU
    params:
        seed=SEED,
        resamples=config["resamples"],
        code=code_digest("metrics.planners"),
    script:
        "../scripts/evaluate_planned.py"
