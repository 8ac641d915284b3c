# Model jobs split over several: snakemake --set-scatter shards=N. One shard, the default, needs no rule of this file.
scattergather:
    shards=1,


def shard_of(pattern):
    """The file that one shard makes in the place of a job's file."""
    stem, dot, ending = pattern.rpartition(".run.json" if pattern.endswith(".run.json") else ".")
    return f"{stem}.{{scatteritem}}{dot}{ending}".replace("results/", "results/shards/", 1)


def all_shards(pattern):
    """The files of all shards that are merged into a job's file."""
    doubled = shard_of(pattern).replace("{", "{{").replace("}", "}}")
    return gather.shards(doubled.replace("{{scatteritem}}", "{scatteritem}"))


if len(gather.shards("{scatteritem}")) > 1:

    ruleorder: merge_candidates > generate
    ruleorder: merge_judgments > judge
    ruleorder: merge_forced > force

    localrules:
        merge_candidates,
        merge_judgments,
        merge_forced,

    use rule generate as generate_shard with:
        output:
            candidates=temp(shard_of(of_samples("candidates"))),
            run=temp(shard_of(of_samples("candidates_run"))),
        log:
            log_of(shard_of(of_samples("candidates"))),
        benchmark:
            benchmark_of(shard_of(of_samples("candidates")))

    use rule judge as judge_shard with:
        output:
            judgments=temp(shard_of(PATTERNS["judgments"])),
            run=temp(shard_of(PATTERNS["judgments_run"])),
        log:
            log_of(shard_of(PATTERNS["judgments"])),
        benchmark:
            benchmark_of(shard_of(PATTERNS["judgments"]))

    use rule force as force_shard with:
        output:
            forced=temp(shard_of(PATTERNS["forced"])),
            run=temp(shard_of(PATTERNS["forced_run"])),
        log:
            log_of(shard_of(PATTERNS["forced"])),
        benchmark:
            benchmark_of(shard_of(PATTERNS["forced"]))

    rule merge_candidates:
        """One file of candidates from a job's shards, as one job would have written it."""
        input:
            questions=path("questions", Variant(DATASET)),
            shards=all_shards(of_samples("candidates")),
            runs=all_shards(of_samples("candidates_run")),
        output:
            candidates=of_samples("candidates"),
            run=of_samples("candidates_run"),
        log:
            log_of(of_samples("candidates_run")),
        conda:
            CPU_ENV
        params:
            code=code_digest("stages.shards"),
        script:
            "../scripts/merge_candidates.py"

    rule merge_judgments:
        """One file of judgments from a job's shards, as one job would have written it."""
        input:
            candidates=PATTERNS["candidates"],
            shards=all_shards(PATTERNS["judgments"]),
            runs=all_shards(PATTERNS["judgments_run"]),
        output:
            judgments=PATTERNS["judgments"],
            run=PATTERNS["judgments_run"],
        log:
            log_of(PATTERNS["judgments_run"]),
        conda:
            CPU_ENV
        params:
            code=code_digest("stages.shards"),
        script:
            "../scripts/merge_judgments.py"

    rule merge_forced:
        """One file of forced verdicts from a job's shards, as one job would have written it."""
        input:
            candidates=PATTERNS["candidates"],
            shards=all_shards(PATTERNS["forced"]),
            runs=all_shards(PATTERNS["forced_run"]),
        output:
            forced=PATTERNS["forced"],
            run=PATTERNS["forced_run"],
        log:
            log_of(PATTERNS["forced_run"]),
        conda:
            CPU_ENV
        params:
            budgets=forced_budgets,
            code=code_digest("stages.shards"),
        script:
            "../scripts/merge_forced.py"
