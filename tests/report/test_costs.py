"""Costs: what was spent, and what asking for each variant on its own would spend."""

from __future__ import annotations

from sqljudge.core.artefacts import Judged
from sqljudge.core.records import Judgment
from sqljudge.report.costs import Tokens, costs_found, costs_grid, separately, unshared
from sqljudge.report.tables import FORMATS, render

JOB = Judged("thinker", "no_schema", "pool")
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


def test_a_budget_cuts_what_is_written() -> None:
    assert separately(JUDGMENTS, budget=5, executable=None) == Tokens(150, 8)
    assert separately(JUDGMENTS, budget=99, executable=None) == Tokens(150, 13)


def test_the_check_does_not_ask_about_what_does_not_run() -> None:
    assert separately(JUDGMENTS, budget=5, executable=EXECUTABLE["pool"]) == Tokens(50, 3)


def test_variants_are_counted_one_by_one() -> None:
    table5 = {"discriminator": "thinker", "context": "no_schema", "budget": 5}
    table5 |= {"scorings": ["soft", "hard"], "modes": ["naive", "check"]}
    assert unshared(table5, {JOB: JUDGMENTS}, EXECUTABLE) == Tokens(2 * (150 + 50), 2 * (8 + 3))
    table8 = {"discriminator": "thinker", "context": "no_schema", "budgets": [2, 5], "scoring": "soft", "mode": "naive"}
    assert unshared(table8, {JOB: JUDGMENTS}, EXECUTABLE) == Tokens(300, 4 + 8)
    assert unshared({"generators": ["writer"], "decoding": "greedy"}, {}, {}) == Tokens()


def test_the_grid_says_how_much_sharing_saved() -> None:
    grid = costs_grid([("discriminate", "thinker", RUN)], {"table5": Tokens(400, 22), "table8": Tokens(300, 12)})
    assert grid.rows[0][5:9] == ("150", "13", "2.0", "81.5")
    assert "163 tokens" in grid.notes[1]
    assert f"{734 / 163:.1f} times" in grid.notes[1]
    for form in FORMATS:
        assert "thinker" in render(grid, form)


def test_the_caption_says_what_was_spent_and_saved() -> None:
    runs = [("discriminate", "thinker", RUN), ("generate", "writer", {**RUN, "engine": {"device": "a_GPU"}})]
    found = costs_found(runs, {"table5": Tokens(400, 22), "table8": Tokens(300, 12)})
    assert found.startswith(
        "In this run 2 model jobs on cpu, a\\_GPU asked 18 requests (4 distinct, 2 of these from the journal): "
        "300 tokens read, 26 written, 4 seconds. Judgments took 163 tokens."
    )
    assert found.endswith("would take 734 tokens, 4.5 times as many.")
    assert costs_found([], {}).startswith("In this run 0 model jobs on nothing")


def test_a_job_without_a_clock_is_marked() -> None:
    grid = costs_grid([("generate", "writer", {**RUN, "seconds": 0.0})], {})
    assert grid.rows[0][8] == "not timed"
    assert grid.data[1][8] is None
