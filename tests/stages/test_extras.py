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
from sqljudge.stages.examples import Example, examples
from sqljudge.stages.extras import KINDS, load_extras, tokens
from sqljudge.stages.extras.demonstrations import ranking, read_demonstration
from sqljudge.stages.extras.result import result_text
from sqljudge.stages.prompts import fill, read_template

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


# --- training examples ------------------------------------------------------------------------------------------------


def training(folder: Path, *rows: Any) -> str:
    path = folder / "train.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return str(path)


def row(question: str, query: str, db_id: str = "zoo") -> dict[str, str]:
    return {"db_id": db_id, "question": question, "query": query}


def labelled(question: str, sql: str, top: list[str], labels: list[int], db_id: str = "zoo") -> dict[str, Any]:
    named = {"db_id": db_id, "schema": "", "question": question, "sql": sql}
    return {**named, "top_n": top, "top_n_label": labels}


def test_the_wrong_query_is_another_questions_of_the_same_database(tmp_path: Path) -> None:
    path = training(
        tmp_path,
        row("q1", "select  a from t"),
        row("q2", "SELECT a FROM t;"),  # the same query
        row("q3", "SELECT b FROM t"),
        row("q4", "SELECT c FROM t", "other"),  # alone on its database
    )
    right, wrong = "SELECT a FROM t;", "SELECT b FROM t;"
    found = examples(path, [])
    assert found[:2] == [Example("zoo", "q1", right, wrong), Example("zoo", "q2", right, wrong)]
    assert found[2:] == [Example("zoo", "q3", wrong, right)]


def test_a_labelled_pool_gives_its_own_wrong_candidates(tmp_path: Path) -> None:
    path = training(
        tmp_path,
        labelled("q1", "SELECT g", ["SELECT w", "SELECT r", "SELECT v"], [0, 1, 0]),
        labelled("q2", "SELECT h", ["SELECT x"], [0]),
        labelled("q3", "SELECT k", [], []),
    )
    assert examples(path, []) == [
        Example("zoo", "q1", "SELECT r;", "SELECT w;"),
        Example("zoo", "q2", "SELECT h;", "SELECT x;"),
        Example("zoo", "q3", "SELECT k;", examples(path, [])[2].wrong),
    ]
    assert examples(path, [])[2].wrong in ("SELECT r;", "SELECT h;")


def test_an_evaluated_question_is_never_an_example(tmp_path: Path) -> None:
    path = training(
        tmp_path,
        row("how many BIG cats\tare there?", "SELECT 1", "elsewhere"),
        row("Count the cats.", "select COUNT(*)  from cat"),
        row("Count the cats there.", "select COUNT(*)  from cat", "elsewhere"),
        row("Name the cats.", "SELECT name FROM cat"),
        row("Age?", "SELECT age FROM cat"),
        row("Age elsewhere?", "SELECT age FROM cat", "elsewhere"),
        labelled("Feed?", "SELECT feed", ["SELECT count(*) FROM cat", "SELECT food"], [0, 0]),
        labelled("Cats?", "SELECT count(*) FROM cat", ["SELECT 1"], [1]),
    )
    found = examples(path, [ASKED])
    assert [(e.db_id, e.question) for e in found] == [
        ("elsewhere", "Count the cats there."),
        ("zoo", "Name the cats."),
        ("zoo", "Age?"),
        ("elsewhere", "Age elsewhere?"),
        ("zoo", "Feed?"),
    ]
    assert found[-1].wrong == "SELECT food;"
    shown = [(e.db_id, sql) for e in found for sql in (e.right, e.wrong)]
    assert ("zoo", "SELECT count(*) FROM cat;") not in shown


def test_a_repeated_example_counts_once(tmp_path: Path) -> None:
    path = training(tmp_path, row("q1", "SELECT a"), row("Q1 ", "select a"), row("q2", "SELECT b"))
    assert [e.question for e in examples(path, [])] == ["q1", "q2"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "not a list of training questions, or an empty one"),
        (["x"], "entry 0: needs the text fields db_id, question and query"),
        ([row("q", "SELECT 1"), {"db_id": "zoo", "question": "q"}], "entry 1: needs the text fields"),
        ([row("q", " ")], "entry 0: needs the text fields"),
        ([labelled("q", "SELECT 1", ["SELECT 2"], [2])], "entry 0: label 2 is neither 0 nor 1"),
        ([row("how many big cats are there?", "SELECT 1")], "none of its 1 examples is left"),
        ([row("q", "SELECT 1")], "none of its 1 examples is left"),
    ],
)
def test_a_file_that_gives_no_examples(tmp_path: Path, rows: list[Any], said: str) -> None:
    path = training(tmp_path, *rows)
    with pytest.raises(DataError) as error:
        examples(path, [ASKED])
    assert said in str(error.value)
    assert path in str(error.value)


def test_a_training_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        examples(str(tmp_path / "none.json"), [])


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


def demonstrated(folder: Path, number: int, *rows: dict[str, Any]) -> Any:
    prompt = folder / "demonstration.txt"
    prompt.write_text("Q: ${question}\nSQL: ${sql}\n=== answer ===\nA: ${answer}\n", encoding="utf-8")
    files = {"training": training(folder, *rows), "demonstration": str(prompt)}
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


def test_estimates_count_what_is_shown() -> None:
    assert tokens({}) == 0
    assert tokens({"result": {}, "demonstrations": {"number": 6}}) > tokens({"demonstrations": {"number": 6}}) > 100


def test_the_shipped_few_shot_prompt_reads_as_one_text() -> None:
    """Demonstrations have the form of the question that follows them."""
    template = read_template(ROOT / "config/prompts/yes_no_few_shot.txt", required=(), further=KINDS)
    files = {
        "training": str(ROOT / "resources/mini_spider/train.json"),
        "demonstration": str(ROOT / "config/prompts/demonstration.txt"),
    }
    shown = load_extras({"demonstrations": {"number": 2}}, files, [ASKED])
    text = fill(template, ASKED, sql="SELECT 1;", prompt_format="raw", chat=lambda *_: Prompt(""), extras=shown).text
    blocks = text.split("\n\n")
    assert len(blocks) == 4
    forms = [[line.split(":")[0] for line in block.splitlines()] for block in blocks[1:]]
    assert forms == [["Utterance", "SQL", "Answer"]] * 3
    assert [block.rpartition("Answer:")[2] for block in blocks[1:]] == [" No", " Yes", ""]
