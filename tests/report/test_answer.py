"""The answer and its forest plot, of runs made up so that each verdict is known."""

from __future__ import annotations

from typing import Any

import pytest
from metric_files import Metric, experiment, merge, place
from sqljudge.core.variants import NONE
from sqljudge.report.answer import BETTER, UNDECIDED, WORSE, answer_grid
from sqljudge.report.cells import Results, build_table
from sqljudge.report.figures import draw_figure
from sqljudge.report.figures.forest import rungs
from sqljudge.report.specs import SPECS
from sqljudge.report.text import FORMATS
from sqljudge.report.words import About

BASE: dict[str, Any] = {"context": "no_schema", "budget": 512, "scoring": "soft", "mode": "check", "planner": "rerank"}
POOL = {"generator": "gen", "decoding": "sample"}
GIVEN = experiment(
    **{key: value for key, value in {**BASE, **POOL}.items() if key != "planner"},
    discriminators=["thinker", "small", "large"],
    baselines=["majority", "oracle"],
)
ABOUT = {"thinker": About("1.5B", True), "small": About("7B", False), "large": About("", False)}


def run(name: str, hits: list[bool | None]) -> dict[str, Metric]:
    rows = [{"question_id": i, "hardness": "easy", "exec": hit, "exact": False} for i, hit in enumerate(hits)]
    free = {"mode": "check", "planner": "rerank", "context": NONE}
    settings = {**POOL, **(BASE if name in ABOUT else free), "discriminator": name}
    return place("end_to_end", {"settings": settings, "metrics": {}, "per_question": rows})


def right(count: int, n: int = 40) -> list[bool | None]:
    return [place < count for place in range(n)]


def results(**hits: list[bool | None]) -> Results:
    return Results(merge(*(run(*each) for each in hits.items())), {}, {"thinker": "Thinker-1.5B"}, ["oracle"], ABOUT)


def answer(**hits: list[bool | None]) -> list[tuple[str, str, int, str]]:
    rows = answer_grid(GIVEN, results(**hits), "spider").records
    return [(row["other"], row["kind"], row["deciding"], row["verdict"]) for row in rows]


def test_the_best_of_each_kind_and_what_it_says() -> None:
    found = answer(thinker=right(30), small=right(10), large=right(8), majority=right(35), oracle=right(40))
    assert found == [
        ("small (7B)", "does not reason", 20, BETTER),
        ("majority", "free baseline", 5, UNDECIDED),
    ]
    assert answer(thinker=right(5), small=right(30), majority=right(5))[0][3] == WORSE


def test_questions_that_nobody_could_decide_are_left_out() -> None:
    hits: list[bool | None] = [None, *right(9, 39)]
    grid = answer_grid(GIVEN, results(thinker=hits, small=right(10)), "spider")
    (row,) = grid.records
    assert (row["questions"], row["reasoning_ex"], row["other_ex"]) == (
        39,
        pytest.approx(900 / 39),
        pytest.approx(900 / 39),
    )


def test_the_sentence_gives_the_numbers_and_no_more_than_the_data() -> None:
    said = answer_grid(GIVEN, results(thinker=right(12), small=right(10), majority=right(11)), "spider").lead
    assert said.startswith(
        "Of gen's candidates for 40 questions of spider (executability check), the best discriminator"
    )
    assert "Thinker-1.5B, picks a right one for 30.0 % of the questions" in said, "the size is in its name"
    assert "small (7B), for 25.0 % (+5.0 points [" in said
    assert said.count(UNDECIDED) == 2
    assert "is better" not in said


def test_where_nobody_is_right_the_sentence_says_so() -> None:
    said = answer_grid(GIVEN, results(thinker=right(0), small=right(0), majority=right(0)), "spider").lead
    assert said.endswith("No choice of anyone was right, so this run cannot tell them apart.")


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_with_nothing_to_compare_says_so(form: str) -> None:
    for found in (results(), results(thinker=right(3)), results(small=right(3), majority=right(2))):
        text = answer_grid(GIVEN, found, "spider").render(form)
        assert form == "csv" or "does not compare a discriminator that reasons with anything" in text


def test_the_forest_compares_all_with_the_first_that_reasons_and_shows_their_sizes() -> None:
    found = results(thinker=right(30), small=right(10), large=right(30), majority=right(35), oracle=right(40))
    reference, lines = rungs(GIVEN, found)
    assert reference is not None and reference.name == "thinker"
    assert [(each.label, each.size, round(100 * (each.test.difference or 0))) for each in lines] == [
        ("small", "7B", 50),
        ("large", "–", 0),
        ("majority", "–", -12),
    ]
    texts = [text.get_text() for text in draw_figure("forest", GIVEN, found).axes[0].get_yticklabels()]
    assert texts == ["small   7B", "large   –", "majority   –"]
    assert (
        draw_figure("forest", GIVEN, results()).axes[0].texts[0].get_text() == "no discriminator that reasons was run"
    )


def test_tables_say_how_large_a_model_is_and_whether_it_reasons() -> None:
    table = build_table(SPECS["table3"], GIVEN, results())
    assert table.about == ("Size", "Reasons")
    said = {row.labels[0]: row.about for row in table.rows}
    assert said == {
        "Thinker-1.5B": ("1.5B", "yes"),
        "small": ("7B", "no"),
        "large": ("–", "no"),
        "majority": ("–", "–"),
        "oracle": ("–", "–"),
    }
