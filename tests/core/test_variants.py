"""A variant and the name of a file are two forms of one thing, and the pattern of a name is written once."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.variants import (
    CONSTRAINTS,
    GREEDY,
    NONE,
    PATTERNS,
    POOL,
    RERANK,
    VOTE,
    Experiment,
    Variant,
    baseline_variant,
    fields_of,
    greedy_variant,
    only,
    parse,
    path,
    reference,
    variant_of,
)

TRICKY = (".b7", ".b1-2", ".soft", ".naive", ".json", ".jsonl", ".run", ".tried", ".generator", "-of-", "..", "_")
PART = st.sampled_from(TRICKY) | st.text("aB09._-", min_size=1, max_size=5)
NAMES = st.lists(PART, min_size=1, max_size=4).map("".join)
FIELDS: dict[str, st.SearchStrategy[object]] = {
    **dict.fromkeys(("pool", "discriminator", "context", "planner", "base"), NAMES),
    "budget": st.integers(0, 99_999),
    "scoring": st.sampled_from(CONSTRAINTS["scoring"].split("|")),
    "mode": st.sampled_from(CONSTRAINTS["mode"].split("|")),
    "checkpoints": st.sets(st.integers(0, 9_999), min_size=1, max_size=4).map(lambda some: tuple(sorted(some))),
}
FULL = Variant("gpt-3.5.sample", "thinker", "no_schema", 256, "soft", "naive", VOTE, "bare", (0, 64, 256))


@st.composite
def files(draw: st.DrawFn) -> tuple[str, Variant]:
    """A kind of file and a variant that has the fields of that kind alone."""
    kind = draw(st.sampled_from(sorted(PATTERNS)))
    return kind, Variant(**{name: draw(FIELDS[name]) for name in fields_of(kind)})  # type: ignore[arg-type]


@given(files())
def test_a_files_name_says_its_kind_and_variant(file: tuple[str, Variant]) -> None:
    """In whatever folder the workflow runs."""
    assert parse(path(*file)) == parse(f"/some/run 2/results/{path(*file)}") == file


@given(files())
def test_a_name_depends_on_the_fields_of_its_kind_alone(file: tuple[str, Variant]) -> None:
    kind, variant = file
    kept = {name: getattr(variant, name) for name in fields_of(kind)}
    assert only(kind, replace(FULL, **kept)) == variant
    assert path(kind, replace(FULL, **kept)) == path(kind, variant)


def test_a_job_of_snakemake_has_the_variant_of_its_file() -> None:
    """Its wildcards are those of the pattern, as text; others, such as that of a shard, are no field."""
    wildcards = {"discriminator": "d", "context": "c", "pool": "g.s", "budget": "7", "scoring": "hard", "mode": "check"}
    variant = Variant("g.s", "d", "c", 7, "hard", "check")
    assert variant_of({**wildcards, "scatteritem": "1-of-3"}) == variant
    assert path("scores", variant) == PATTERNS["scores"].format_map(wildcards)
    assert variant_of({"checkpoints": "0-64"}) == Variant(checkpoints=(0, 64))


def test_the_names_of_some_files() -> None:
    scored = "thinker/no_schema/gpt-3.5.sample.b256.soft.naive"
    assert path("candidates", FULL) == "results/candidates/gpt-3.5.sample.jsonl"
    assert path("judgments", FULL) == "results/judgments/thinker/no_schema/gpt-3.5.sample.parquet"
    assert path("scores", FULL) == f"results/scores/{scored}.jsonl"
    assert path("end_to_end", FULL) == f"results/metrics/end_to_end/vote/{scored}.json"
    assert path("contrast", FULL) == f"results/metrics/contrast/bare/{scored}.json"
    assert path("adaptive", FULL) == "results/metrics/adaptive/thinker/no_schema/gpt-3.5.sample.b0-64-256.naive.json"
    assert (
        path("planner", greedy_variant("g.one")) == "results/metrics/planner/greedy/none/none/g.one.b0.soft.naive.json"
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "results/tables/table1.html",
        "results/candidates/.jsonl",
        "results/candidates/deeper/pool.jsonl",
        "candidates/pool.jsonl",
        "other-results/candidates/pool.jsonl",
        "results/candidates/pool.json",
        "results/candidates/pool.jsonl.tmp",
        "results/shards/candidates/pool.1-of-3.jsonl",
        "results/judgments/thinker/pool.parquet",
        "results/scores/thinker/no_schema/pool.b256.loud.naive.jsonl",
        "results/scores/thinker/no_schema/pool.b256.soft.jsonl",
        "results/scores/thinker/no_schema/pool.b.soft.naive.jsonl",
        "results/scores/thinker/no_schema/pool.b-1.soft.naive.jsonl",
        "results/metrics/adaptive/thinker/no_schema/pool.b0-.naive.json",
    ],
)
def test_no_other_name_is_one_of_a_file(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(name)}: no file of the workflow has such a name$"):
        parse(name)


def test_a_sampled_pool_names_its_generator_and_decoding() -> None:
    assert (FULL.generator, FULL.decoding) == ("gpt-3.5", "sample")
    check = Variant("writer.check")
    assert (check.generator, check.decoding) == ("writer", "check"), "a decoding of that name is no mode"
    assert (Variant(POOL).generator, Variant(POOL).decoding) == ("", "")


def test_settings_are_the_fields_that_are_set() -> None:
    assert FULL.settings() == {
        "generator": "gpt-3.5",
        "decoding": "sample",
        "discriminator": "thinker",
        "context": "no_schema",
        "budget": 256,
        "scoring": "soft",
        "mode": "naive",
        "planner": "vote",
        "base": "bare",
        "checkpoints": (0, 64, 256),
    }
    assert Variant(POOL, "d", "c", budget=64).settings() == {
        "pool": "pool",
        "discriminator": "d",
        "context": "c",
        "budget": 64,
    }
    assert Variant(POOL, "d", "c").settings() == {"pool": "pool", "discriminator": "d", "context": "c"}
    assert baseline_variant("oracle", "g.s", "check", RERANK).settings() == {
        "generator": "g",
        "decoding": "s",
        "discriminator": "oracle",
        "context": NONE,
        "budget": 0,
        "scoring": "soft",
        "mode": "check",
        "planner": "rerank",
    }


EXPERIMENT = Experiment(
    discriminators=("a", "b"),
    contexts=("bare", "shown"),
    budgets=(16, 64),
    scorings=("soft",),
    modes=("naive", "check"),
)


def test_an_experiment_is_all_its_values_together() -> None:
    found = list(EXPERIMENT.variants())
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 1 * 2
    assert found[:3] == [
        Variant(POOL, "a", "bare", 16, "soft", "naive"),
        Variant(POOL, "a", "bare", 16, "soft", "check"),
        Variant(POOL, "a", "bare", 64, "soft", "naive"),
    ]


def test_pairs_that_are_left_out_are_no_variants() -> None:
    left_out = replace(EXPERIMENT, left_out=(("b", "shown"), ("c", "bare"))).variants()
    asked = [("a", "bare"), ("a", "shown"), ("b", "bare")]
    assert list(left_out) == [each for each in EXPERIMENT.variants() if (each.discriminator, each.context) in asked]
    assert not list(
        replace(EXPERIMENT, discriminators=("b",), contexts=("shown",), left_out=(("b", "shown"),)).variants()
    )


def test_what_an_experiment_does_not_name_has_its_default() -> None:
    sampled = Experiment(generators=("g", "h"), decodings=("s",), discriminators=("a",), contexts=("c",))
    assert (sampled.pool, EXPERIMENT.pool) == ("g.s", POOL)
    assert list(sampled.variants()) == [Variant("g.s", "a", "c")]
    assert (EXPERIMENT.values("budget"), EXPERIMENT.values("generator"), EXPERIMENT.values("weather")) == (
        (16, 64),
        (),
        (),
    )


def test_a_planner_is_compared_with_re_ranking_by_the_same_discriminator() -> None:
    fixed, checked = replace(FULL, planner="fix"), baseline_variant("oracle", "g.sample", "check", "fix")
    assert reference(fixed) == replace(FULL, planner=RERANK)
    assert reference(checked) == replace(checked, planner=RERANK)
    assert reference(FULL) == replace(FULL, planner=RERANK), "a vote is another planner"
    assert reference(replace(FULL, planner=RERANK)) is None
    assert reference(greedy_variant("g.greedy")) is None
    assert greedy_variant("g.greedy").planner == GREEDY


HOME = ROOT / "workflow/sqljudge/core/variants.py"
SOURCES = [
    file
    for folder in ("rules", "scripts", "workflow/sqljudge")
    for file in (ROOT / folder).rglob("*")
    if file.suffix in (".py", ".smk", ".js", ".html") and file != HOME
]


def test_no_other_file_spells_the_name_of_a_file() -> None:
    folders = "|".join(sorted({pattern.split("/")[1] for pattern in PATTERNS.values()}))
    spelled = re.compile(rf"results/(?:{folders})/|results/.*\.b(?:\{{|\d)")
    assert spelled.search(HOME.read_text(encoding="utf-8"))
    assert len(SOURCES) > 50
    found = {
        f"{file.relative_to(ROOT)}:{number}"
        for file in SOURCES
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if spelled.search(line)
    }
    assert found == set()
