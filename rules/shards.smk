# Model jobs split over several: snakemake --set-scatter shards=N. One shard, the default, needs no rule of this file.
scattergather:
    shards=1,


if len(gather.shards("{scatteritem}")) > 1:

    ruleorder: join_candidates > generate
    ruleorder: join_judgments > discriminate
    ruleorder: join_forced > force_verdicts

    localrules:
        join_candidates,
        join_judgments,
        join_forced,

    use rule generate as generate_shard with:
        output:
            candidates=temp("results/shards/candidates/{generator}.{decoding}.{scatteritem}.jsonl"),
            run=temp("results/shards/candidates/{generator}.{decoding}.{scatteritem}.run.json"),
        log:
            "logs/generate/{generator}.{decoding}.{scatteritem}.log",
        benchmark:
            "benchmarks/results/generate/{generator}.{decoding}.{scatteritem}.tsv"

    use rule discriminate as discriminate_shard with:
        output:
            judgments=temp(
                "results/shards/judgments/{discriminator}/{context}/{pool}.{scatteritem}.parquet"
            ),
            run=temp(
                "results/shards/judgments/{discriminator}/{context}/{pool}.{scatteritem}.run.json"
            ),
        log:
            "logs/discriminate/{discriminator}/{context}/{pool}.{scatteritem}.log",
        benchmark:
            "benchmarks/results/discriminate/{discriminator}/{context}/{pool}.{scatteritem}.tsv"

    use rule force_verdicts as force_shard with:
        output:
            forced=temp(
                "results/shards/forced/{discriminator}/{context}/{pool}.{scatteritem}.jsonl"
            ),
            run=temp(
                "results/shards/forced/{discriminator}/{context}/{pool}.{scatteritem}.run.json"
            ),
        log:
            "logs/force/{discriminator}/{context}/{pool}.{scatteritem}.log",
        benchmark:
            "benchmarks/results/force/{discriminator}/{context}/{pool}.{scatteritem}.tsv"

    rule join_candidates:
        """One file of candidates from a job's shards, as one job would have written it."""
        input:
            questions=f"results/questions/{DATASET}.jsonl",
            candidates=gather.shards(
                "results/shards/candidates/{{generator}}.{{decoding}}.{scatteritem}.jsonl"
            ),
            runs=gather.shards(
                "results/shards/candidates/{{generator}}.{{decoding}}.{scatteritem}.run.json"
            ),
        output:
            candidates="results/candidates/{generator}.{decoding}.jsonl",
            run="results/candidates/{generator}.{decoding}.run.json",
        log:
            "logs/generate/{generator}.{decoding}.join.log",
        conda:
            HARDWARE_CPU
        params:
            code=code_digest("stages.shards"),
        script:
            "../scripts/join_candidates.py"

    rule join_judgments:
        """One file of judgments from a job's shards, as one job would have written it."""
        input:
            candidates="results/candidates/{pool}.jsonl",
            judgments=gather.shards(
                "results/shards/judgments/{{discriminator}}/{{context}}/{{pool}}.{scatteritem}.parquet"
            ),
            runs=gather.shards(
                "results/shards/judgments/{{discriminator}}/{{context}}/{{pool}}.{scatteritem}.run.json"
            ),
        output:
            judgments="results/judgments/{discriminator}/{context}/{pool}.parquet",
            run="results/judgments/{discriminator}/{context}/{pool}.run.json",
        log:
            "logs/discriminate/{discriminator}/{context}/{pool}.join.log",
        conda:
            HARDWARE_CPU
        params:
            code=code_digest("stages.shards", "core.parquet"),
        script:
            "../scripts/join_judgments.py"

    rule join_forced:
        """One file of forced verdicts from a job's shards, as one job would have written it."""
        input:
            candidates="results/candidates/{pool}.jsonl",
            forced=gather.shards(
                "results/shards/forced/{{discriminator}}/{{context}}/{{pool}}.{scatteritem}.jsonl"
            ),
            runs=gather.shards(
                "results/shards/forced/{{discriminator}}/{{context}}/{{pool}}.{scatteritem}.run.json"
            ),
        output:
            forced="results/forced/{discriminator}/{context}/{pool}.jsonl",
            run="results/forced/{discriminator}/{context}/{pool}.run.json",
        log:
            "logs/force/{discriminator}/{context}/{pool}.join.log",
        conda:
            HARDWARE_CPU
        params:
            each=lambda wildcards: len(forced_budgets(wildcards)),
            code=code_digest("stages.shards"),
        script:
            "../scripts/join_forced.py"
