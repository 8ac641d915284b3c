"""Costs: what was spent, and what asking for each variant on its own would spend."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sqljudge.core.files import read_json, write_json
from sqljudge.core.parquet import write_judgments
from sqljudge.core.provenance import made_line, sidecar
from sqljudge.core.records import Execution, Judgment, write_jsonl
from sqljudge.core.variants import Experiment, Variant, baseline_variant, path
from sqljudge.report.costs import (
    cost_alone,
    cost_unshared,
    costs_grid,
    costs_summary,
    job_name,
    training_run,
    write_costs,
)
from sqljudge.report.text import FORMATS

JOB = Variant("pool", "thinker", "no_schema")
JUDGMENTS = [
    Judgment(0, "A", response="x" * 10, token_ids=tuple(range(10)), prompt_tokens=100),
    Judgment(0, "B", response="x" * 3, token_ids=tuple(range(3)), prompt_tokens=50),
]
EXECUTABLE = {"pool": {(0, "A"): False, (0, "B"): True}}
RUN = {
    "requests": 9,
    "distinct": 2,
    "from_journal": 1,
    "prompt_tokens": 150,
    "new_tokens": 13,
    "seconds": 2.0,
    "peak_memory_mib": 12.5,
    "engine": {"device": "cpu"},
}
TABLE5 = Experiment(
    discriminators=("thinker",),
    contexts=("no_schema",),
    budgets=(5,),
    scorings=("soft", "hard"),
    modes=("naive", "check"),
)


def test_a_budget_cuts_what_is_written() -> None:
    assert cost_alone(JUDGMENTS, budget=5, executable=None) == 150 + 8
    assert cost_alone(JUDGMENTS, budget=99, executable=None) == 150 + 13


def test_the_check_does_not_ask_about_what_does_not_run() -> None:
    assert cost_alone(JUDGMENTS, budget=5, executable=EXECUTABLE["pool"]) == 50 + 3


def test_variants_are_counted_one_by_one() -> None:
    assert cost_unshared(TABLE5, {JOB: JUDGMENTS}, EXECUTABLE) == 2 * (150 + 50) + 2 * (8 + 3)
    table8 = Experiment(
        discriminators=("thinker",),
        contexts=("no_schema", "schema"),
        budgets=(2, 5),
        scorings=("soft",),
        modes=("naive",),
        left_out=(("thinker", "schema"),),
    )
    assert cost_unshared(table8, {JOB: JUDGMENTS}, EXECUTABLE) == 300 + 4 + 8


def test_what_judges_nothing_costs_nothing() -> None:
    assert cost_unshared(Experiment(generators=("writer",), decodings=("greedy",)), {}, {}) == 0
    stopped = Experiment(discriminators=("thinker",), contexts=("no_schema",), modes=("naive",), checkpoints=(0, 5))
    assert cost_unshared(stopped, {}, {}) == 0


def test_a_job_is_named_by_the_file_in_which_it_recorded_itself() -> None:
    searched = Variant("writer.sample", "thinker", "no_schema", 5, "soft", "check", "tree_search")
    free = baseline_variant("oracle-0.8", "writer.sample", "check", "tree_search")
    names = {
        ("candidates_run", Variant("writer.sample")): ("generate", "writer.sample"),
        ("judgments_run", JOB): ("judge", "thinker / no_schema / pool"),
        ("forced_run", JOB): ("force", "thinker / no_schema / pool"),
        ("search_generator_run", searched): (
            "search",
            "tree_search / thinker / no_schema / writer.sample.b5.soft.check.generator",
        ),
        ("search_discriminator_run", searched): (
            "search",
            "tree_search / thinker / no_schema / writer.sample.b5.soft.check.discriminator",
        ),
        ("search_generator_run", free): ("search", "tree_search / oracle-0.8 / writer.sample.check.generator"),
    }
    assert {key: job_name(path(*key)) for key in names} == names


def test_the_grid_says_how_much_sharing_saved() -> None:
    grid = costs_grid([("judge", "thinker", RUN)], {"table5": 422, "table8": 312})
    assert grid.rows[0][5:9] == ["150", "13", "2.0", "81.5"]
    assert "163 tokens" in grid.notes[1]
    assert f"{734 / 163:.1f} times" in grid.notes[1]
    for form in FORMATS:
        assert "thinker" in grid.render(form)


def test_tokens_of_two_models_are_shown_where_they_share_the_work() -> None:
    alone = costs_grid([("judge", "thinker", {**RUN, "large_tokens": 0, "routed_tokens": 0})], {})
    assert "Large model read" not in alone.render("md")
    routed = {**RUN, "large_tokens": 871, "routed_tokens": 6}
    page = costs_grid([("judge", "thinker", RUN), ("judge", "both", routed)], {}).render("md")
    header, _, first, second = [line for line in page.splitlines() if line.startswith("|")][:4]
    columns = [cell.strip() for cell in header.split("|")]
    where = columns.index("Large model read")
    assert columns[where + 1] == "Large model gave"
    cells = [[cell.strip() for cell in line.split("|")][where : where + 2] for line in (first, second)]
    assert cells == [["none", "none"], ["871", "6"]]
    assert "pending tokens included" in page


@pytest.mark.parametrize("large", [0, 1, 871])
def test_sums_count_what_both_of_two_models_read(large: int) -> None:
    run = {**RUN, "large_tokens": large, "routed_tokens": min(large, 6)}
    runs = [("judge", "both", run), ("judge", "thinker", RUN)]
    grid = costs_grid(runs, {})
    assert grid.data["tokens_per_second"][0] == round((163 + large) / 2, 1)
    assert f"Judgments took {2 * 163 + large:,} tokens" in grid.notes[1]
    said = costs_summary(runs, {})
    assert (f"300 tokens read (and {large:,} by the large of two models), 26 written" in said) == bool(large)
    found = sidecar(inputs=(), settings={}, code="", seed=1, configuration={}, runs=[run, RUN])
    assert found["tokens"] == 2 * 163 + large


@pytest.mark.parametrize(("routed", "budget", "large"), [((), 5, 0), ((2, 4), 3, 12), ((2, 4), 9, 14), ((4,), 3, 0)])
def test_asking_alone_costs_what_both_models_read(routed: tuple[int, ...], budget: int, large: int) -> None:
    judgment = Judgment(0, "a;", token_ids=(1,) * 6, prompt_tokens=10, routed=routed)
    assert cost_alone([judgment], budget=budget, executable=None) == 10 + min(6, budget) + large


def test_the_caption_says_what_was_spent_and_saved() -> None:
    runs = [("judge", "thinker", RUN), ("generate", "writer", {**RUN, "engine": {"device": "a_GPU"}})]
    found = costs_summary(runs, {"table5": 422, "table8": 312})
    assert found.startswith(
        "In this run 2 model jobs on cpu, a\\_GPU asked 18 requests (4 distinct, 2 of these from the journal): "
        "300 tokens read, 26 written, 4 seconds. Judgments took 163 tokens."
    )
    assert found.endswith("would take 734 tokens, 4.5 times as many.")
    assert costs_summary([], {}).startswith("In this run 0 model jobs on nothing")


def test_a_job_without_a_clock_is_marked() -> None:
    grid = costs_grid([("generate", "writer", {**RUN, "seconds": 0.0})], {})
    assert grid.rows[0][8] == "not timed"
    assert grid.data["tokens_per_second"][0] is None
    assert grid.render("csv").splitlines()[1] == "generate,writer,9,2,1,150,13,0.0,,12.5,cpu"


def test_the_page_is_made_from_the_files_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs, judgments, executions = path("judgments_run", JOB), path("judgments", JOB), path("executions", JOB)
    write_json(runs, RUN)
    write_judgments(judgments, JUDGMENTS)
    ran = [Execution(0, "A", "error", "", (), 0, 0, 0.0, None), Execution(0, "B", "ok", "", (), 0, 0, 0.0, True)]
    write_jsonl(executions, ran)
    axes = {"discriminators": ["thinker"], "contexts": ["no_schema"], "budgets": [5], "modes": ["naive", "check"]}
    experiments = {
        "table5": {**axes, "scorings": ["soft", "hard"], "left_out": [["other", "no_schema"]]},
        "table7": {"generators": ["writer"], "decodings": ["greedy"]},
    }
    places = {form: f"costs.{form}" for form in FORMATS}
    write_costs(
        [runs],
        [judgments],
        [executions],
        **places,
        sidecar="costs.provenance.json",
        findings="costs.rst",
        experiments=experiments,
        subject="dataset shop; seed 1",
        configuration={"digest": "d1", "options": "--configfile a.yaml"},
        seed=42,
        code="c0de",
    )
    shared = {"table5": 422}
    grid = costs_grid([("judge", "thinker / no_schema / pool", RUN)], shared)
    grid = dataclasses.replace(grid, origin=made_line("dataset shop; seed 1"))
    assert {form: Path(place).read_text(encoding="utf-8") for form, place in places.items()} == {
        form: grid.render(form) for form in FORMATS
    }
    assert "By table: table5 422." in Path("costs.md").read_text(encoding="utf-8")
    assert "would take 422 tokens, 2.6 times as many." in Path("costs.rst").read_text(encoding="utf-8")
    made = read_json("costs.provenance.json")
    assert (made["settings"], made["seed"], made["code"], made["tokens"]) == (experiments, 42, "c0de", 163)
    assert set(made["inputs"]) == {runs, judgments, executions}


TRAINING = {
    "training": "hapo-seed1",
    "tokens": {"prompted": 100, "generated": 500, "trained": 400},
    "seconds": 4.0,
    "peak_memory_mib": 900.5,
    "device": "cpu",
}


def test_a_training_has_a_row_with_what_it_was_trained_on() -> None:
    grid = costs_grid([training_run(TRAINING), ("judge", "thinker / pool", RUN)], {})
    headers = [column.header for column in grid.columns]
    assert "Tokens trained on" in headers
    one, other = (dict(zip(headers, row, strict=True)) for row in grid.rows)
    assert (one["Stage"], one["Job"], one["Tokens in"], one["Tokens out"], one["Tokens trained on"]) == (
        "train",
        "hapo-seed1",
        "100",
        "500",
        "400",
    )
    assert (one["Requests"], one["Tokens/s"], one["Peak memory (MiB)"]) == ("none", "250.0", "900.5")
    assert other["Tokens trained on"] == "none"
    said = costs_summary([training_run(TRAINING), ("judge", "thinker / pool", RUN)], {})
    assert "In this run 1 model jobs on cpu asked 9 requests" in said
    assert "1 training drew 500 tokens, trained on 400, and took 4 seconds." in said
    assert "Tokens trained on" not in [column.header for column in costs_grid([("judge", "t", RUN)], {}).columns]
