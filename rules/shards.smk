# Model jobs split over several: snakemake --set-scatter shards=N. One shard, the default, needs no rule of this file.
scattergather:
    shards=1,


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

    for KIND, PATTERN, RUN in (
        ("candidates", of_samples("candidates"), of_samples("candidates_run")),
        ("judgments", PATTERNS["judgments"], PATTERNS["judgments_run"]),
        ("forced", PATTERNS["forced"], PATTERNS["forced_run"]),
    ):

        rule:
            name:
                f"merge_{KIND}"
            input:
                order=(PATTERNS["candidates"] if KIND != "candidates" else path("questions", Variant(DATASET))),
                shards=all_shards(PATTERN),
                runs=all_shards(RUN),
            output:
                merged=PATTERN,
                run=RUN,
            log:
                log_of(RUN),
            conda:
                CPU_ENV
            params:
                kind=KIND,
                times=(lambda wildcards: len(forced_budgets(wildcards))) if KIND == "forced" else 1,
                code=code_digest("stages.shards"),
            script:
                "../scripts/merge.py"

        describe(
            f"merge_{KIND}",
            f"One file of {KIND} from a job's shards, as one job would have written it.",
        )
