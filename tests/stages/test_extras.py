"""What prompts show beyond the question: results in words, and demonstrations that are never evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.records import Execution, Outcome, Question, write_jsonl
from sqljudge.models.engines.base import Prompt
from sqljudge.stages.examples import Example
from sqljudge.stages.extras import EXTRAS, extra_tokens, load_extras, ranking, read_demonstration, result_text
from sqljudge.stages.judge import METHODS
from sqljudge.stages.prompts import Extras, Framing, fill, read_template

ASKED = Question(3, "zoo", "How many  big cats are there?", "SELECT count(*) FROM cat", "", "easy")


def ran(outcome: Outcome = "ok", message: str = "", rows: Any = (), columns: Any = (), count: int | None = None) -> str:
    total = len(rows) if count is None else count
    return result_text(Execution(3, "q;", outcome, message, rows, total, 7, 0.5, False, columns))


# --- results ----------------------------------------------------------------------------------------------------------


def test_all_rows_of_a_short_result_stand_in_it() -> None:
    rows = (("Ana", None), ("Bo", 1.5))
    assert ran(rows=rows, columns=("name", "age")) == "2 rows:\nname | age\nAna | NULL\nBo | 1.5"
    assert ran(rows=((7,),), columns=("count(*)",)) == "1 row:\ncount(*)\n7"


def test_of_a_long_result_the_first_five_rows_do() -> None:
    lines = ran(rows=tuple((n,) for n in range(5)), columns=("n",), count=1234).splitlines()
    assert lines[0] == "1,234 rows, the first 5:"
    assert lines[1:] == ["n", "0", "1", "2", "3", "4"]
    assert len(ran(rows=tuple((n,) for n in range(9))).splitlines()) == 1 + 5


def test_long_cells_and_wide_rows_are_cut() -> None:
    text = ran(rows=(("x" * 99, "two\nlines  here"),), columns=("a" * 99, "b"))
    assert text.splitlines()[1:] == [f"{'a' * 59}… | b", f"{'x' * 59}… | two lines here"]
    wide = ran(rows=(tuple(range(14)),), columns=tuple(f"c{n}" for n in range(14)))
    assert wide.splitlines()[1].endswith("c9 | … (4 more)")
    assert wide.splitlines()[2].endswith("9 | … (4 more)")


@pytest.mark.parametrize(
    ("outcome", "message", "said"),
    [
        ("ok", "", "It runs and gives no rows."),
        ("error", "no such column: x", "It does not run: no such column: x"),
        ("refused", "not allowed: PRAGMA", "It does not run: not allowed: PRAGMA"),
        ("error", "m" * 300, f"It does not run: {'m' * 199}…"),
        ("timeout", "more than 100 steps", "It was stopped, since it takes too long."),
        ("row_limit", "more than 9 rows", "It was stopped, since it gives too many rows."),
        ("memory", "out of memory", "It was stopped, since it needs too much memory."),
    ],
)
def test_what_gave_no_rows_says_why(outcome: Outcome, message: str, said: str) -> None:
    assert ran(outcome, message) == said


def test_what_a_comparison_with_the_gold_query_said_is_never_shown() -> None:
    """An execution's message may tell that its result could not be compared: that is of the gold query, too."""
    assert ran("ok", "results not compared: too large", rows=((1,),)) == "1 row:\n1"
    assert ran("ok", "results not compared: too large") == "It runs and gives no rows."


def test_the_result_of_a_pair_is_the_candidates_own(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    write_jsonl(
        path, [Execution(3, "a;", "ok", "", ((1,),), 1, 0, 0, True), Execution(4, "a;", "ok", "", (), 0, 0, 0, True)]
    )
    shown = load_extras({"result": {}}, {"executions": str(path)}, [ASKED])
    assert shown(ASKED, "a;") == {"result": "1 row:\n1"}
    with pytest.raises(DataError, match="question 3: no execution of 'b;'; re-run the rule execute"):
        shown(ASKED, "b;")


# --- demonstrations ---------------------------------------------------------------------------------------------------

SOME = [
    Example("zoo", question, f"SELECT {number};", f"SELECT -{number};")
    for number, question in enumerate(["Name the dogs.", "How many cats?", "Count the cats.", "How many dogs?", "Why?"])
]


def test_the_most_similar_come_first_and_ties_in_file_order() -> None:
    nearest = ranking(SOME)
    assert nearest("HOW MANY cats are black?", 3)[0].question == "How many cats?"
    assert [e.question for e in nearest("Count!", 1)] == ["Count the cats."]
    assert nearest("zebra", 2) == nearest("?!", 2) == SOME[:2], "nothing in common: the first of the file"
    assert nearest("cats", 99)[:2] == [SOME[1], SOME[2]]
    assert len(nearest("cats", 99)) == len(SOME)
    many = [Example("zoo", f"Why {number % 2}?", f"SELECT {number};", "") for number in range(90)]
    assert ranking(many)("1", 45) == many[1::2], "many equally similar ones, too"


def row(question: str, query: str, db_id: str = "zoo") -> dict[str, str]:
    return {"db_id": db_id, "question": question, "query": query}


def demonstrated(folder: Path, number: int, *rows: dict[str, Any]) -> Extras:
    files = {name: str(folder / name) for name in ("training", "demonstration")}
    Path(files["training"]).write_text(json.dumps(rows), encoding="utf-8")
    template = "Q: ${question}\nSQL: ${sql}\n=== answer ===\nA: ${answer}\n"
    Path(files["demonstration"]).write_text(template, encoding="utf-8")
    return load_extras({"demonstrations": {"number": number}}, files, [ASKED])


def test_demonstrations_are_balanced_and_the_most_similar_is_last(tmp_path: Path) -> None:
    rows = [row("How many cats?", "SELECT 1"), row("Name the dogs.", "SELECT 2"), row("Why?", "SELECT 1", "x")]
    rows += [row("How many big cats?", "SELECT 3", "x")]
    shown = demonstrated(tmp_path, 4, *rows)(ASKED, "a;")
    assert list(shown) == ["demonstrations"]
    assert shown["demonstrations"] == (
        "Q: How many cats?\nSQL: SELECT 2;\nA: No\n\nQ: How many cats?\nSQL: SELECT 1;\nA: Yes\n\n"
        "Q: How many big cats?\nSQL: SELECT 1;\nA: No\n\nQ: How many big cats?\nSQL: SELECT 3;\nA: Yes"
    )
    assert demonstrated(tmp_path, 4, *rows)(ASKED, "b;") == shown, "whatever the candidate"
    few = demonstrated(tmp_path, 2, *rows)(ASKED, "a;")["demonstrations"]
    assert shown["demonstrations"].endswith(f"\n\n{few}")
    assert (few.count("A: Yes"), few.count("A: No")) == (1, 1)


def test_fewer_examples_than_asked_for_are_all_shown(tmp_path: Path) -> None:
    shown = demonstrated(tmp_path, 8, row("One?", "SELECT 1"), row("Two?", "SELECT 2"))(ASKED, "a;")["demonstrations"]
    assert (shown.count("A: Yes"), shown.count("A: No")) == (2, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${question} ${sql}\n=== answer ===\nA", "the field ${answer} is missing"),
        ("${question} ${sql} ${result}\n=== answer ===\n${answer}", "unknown field ${result}"),
        ("${schema} ${question} ${sql}\n=== answer ===\n${answer}", "a training file tells no schema"),
    ],
)
def test_a_malformed_demonstration(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "demonstration.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_demonstration(str(path))
    assert said in str(error.value)


# --- all together -----------------------------------------------------------------------------------------------------


def test_each_extra_is_meant_for_methods_that_there_are() -> None:
    assert all(extra.methods and set(extra.methods) <= set(METHODS) for extra in EXTRAS.values())


def test_a_context_shows_several_extras(tmp_path: Path) -> None:
    shown = demonstrated(tmp_path, 2, row("One?", "SELECT 1"), row("Two?", "SELECT 2"))(ASKED, "a;")
    write_jsonl(tmp_path / "executions", [Execution(3, "a;", "ok", "", (), 0, 0, 0, True)])
    files = {name: str(tmp_path / name) for name in ("training", "demonstration", "executions")}
    both = load_extras({"result": {}, "demonstrations": {"number": 2}}, files, [ASKED])(ASKED, "a;")
    assert both == {"result": "It runs and gives no rows.", **shown}
    assert load_extras({}, files, [ASKED])(ASKED, "a;") == {}


def test_estimates_count_what_is_shown() -> None:
    assert extra_tokens({}) == 0
    assert (
        extra_tokens({"result": {}, "demonstrations": {"number": 6}})
        > extra_tokens({"demonstrations": {"number": 6}})
        > 100
    )


def test_the_shipped_few_shot_prompt_reads_as_one_text() -> None:
    """Demonstrations have the form of the question that follows them."""
    template = read_template(ROOT / "config/prompts/yes_no_few_shot.txt", required=(), further=EXTRAS)
    files = {
        "training": str(ROOT / "resources/mini_spider/train.json"),
        "demonstration": str(ROOT / "config/prompts/demonstration.txt"),
    }
    shown = load_extras({"demonstrations": {"number": 2}}, files, [ASKED])
    text = fill(template, ASKED, sql="SELECT 1;", framing=Framing("raw"), chat=lambda *_: Prompt(""), extras=shown).text
    blocks = text.split("\n\n")
    assert len(blocks) == 4
    forms = [[line.split(":")[0] for line in block.splitlines()] for block in blocks[1:]]
    assert forms == [["Utterance", "SQL", "Answer"]] * 3
    assert [block.rpartition("Answer:")[2] for block in blocks[1:]] == [" No", " Yes", ""]
