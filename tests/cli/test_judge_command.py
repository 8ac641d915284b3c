"""`python -m sqljudge judge`: one's own questions, candidates and databases; what is wrong is one line."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqljudge
from clock import HANGS
from completions_server import Server
from processes import interruptible
from sqljudge.cli.judge import CHOICES, JudgedQuestion, judge
from sqljudge.cli.judge_command import main
from sqljudge.core.errors import ConfigError
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.stages.baselines import BASELINES
from sqljudge.stages.judge import METHODS

ROOT = Path(__file__).parents[2]
HEADINGS = "name\tsource\trevision\tbackend\tdtype\tquantization\n"
RIGHT = 'SELECT "Full Name" FROM "Pet Owner" WHERE age > 30'
WRONG = 'SELECT "Full Name" FROM "Pet Owner"'
BROKEN = "SELECT name FROM owners"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database that has odd names and two questions, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("owners.db") as db:
        db.execute('CREATE TABLE "Pet Owner" (id INTEGER PRIMARY KEY, "Full Name" TEXT, age INTEGER)')
        db.executemany('INSERT INTO "Pet Owner" VALUES (?, ?, ?)', [(1, "Ann", 25), (2, "Bo", 41), (3, "Cy", 52)])
    db.close()
    lines(
        "q.jsonl",
        {"id": "old", "question": "Who is over 30?", "candidates": [BROKEN, WRONG, RIGHT, RIGHT + ";"]},
        {"question": "How many?", "candidates": ["select count(*) from owners"], "db": "owners", "more": [1]},
    )
    return tmp_path


def lines(name: str, *rows: Any) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def script(*rules: dict[str, Any]) -> str:
    """The name of a scripted model; its table is the one that the command reads."""
    Path("script.json").write_text(json.dumps(rules), encoding="utf-8")
    Path("config").mkdir(exist_ok=True)
    Path("config/models.tsv").write_text(f"{HEADINGS}pen\tscript.json\t-\tscripted\tfloat32\tnone\n", encoding="utf-8")
    return "pen"


def run(*arguments: str) -> int:
    return main(["--db", "owners.db", "--questions", "q.jsonl", *arguments])


def outcomes(one: JudgedQuestion) -> list[tuple[str, float, bool | None, bool]]:
    return [(each.outcome, round(each.score, 2), each.verdict, each.chosen) for each in one.candidates]


def test_a_reasoning_model_judges_what_executes(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("owners.db").read_bytes()
    model = script(
        {"match": "age > 30", "response": 'It fits. {"correct": true}'},
        {"match": "select", "response": "no idea"},
        {"match": "SELECT", "response": '{"correct": false}'},
    )
    assert run("--model", model, "--jsonl", "out/judged.jsonl") == 0
    shown = capsys.readouterr()
    old, many = [json.loads(line) for line in Path("out/judged.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (old["id"], old["db"], old["choice"]) == ("old", "owners", RIGHT)
    assert [each["sql"] for each in old["candidates"]] == [BROKEN, WRONG, RIGHT, RIGHT + ";"]
    assert [each["outcome"] for each in old["candidates"]] == ["error", "ok", "ok", "ok"]
    assert [each["verdict"] for each in old["candidates"]] == [None, False, True, True]
    assert [round(each["score"], 1) for each in old["candidates"]] == [-1.0, 0.1, 0.9, 0.9]
    assert [each["chosen"] for each in old["candidates"]] == [False, False, True, False], "of equal ones the first"
    assert old["candidates"][2]["rows"] == [["Bo"], ["Cy"]]
    assert old["candidates"][2]["response"] == 'It fits. {"correct": true}'
    assert (many["id"], many["choice"], many["reason"]) == (2, None, "no candidate executes")
    for text in ("error: no such table: owners", "written: out/judged.jsonl", "chosen: none (no candidate executes)"):
        assert text in shown.out
    (line,) = (line for line in shown.out.splitlines() if line.startswith("* "))
    assert line.split() == ["*", "0.90", "correct", "2", "rows:", "Bo", *RIGHT.split()]
    assert Path("owners.db").read_bytes() == before
    known = {"config", "out", "owners.db", "q.jsonl", "results", "script.json"}
    assert {path.name for path in shop.iterdir()} == known


def test_the_journal_answers_a_second_time(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = judge("q.jsonl", "owners.db", model=script({"match": "", "response": '{"correct": true}'}))
    monkeypatch.delattr(ScriptedBackend, "_rule")  # whoever is asked now has no answer
    assert judge("q.jsonl", "owners.db", model="pen") == known
    with pytest.raises(AttributeError):
        judge("q.jsonl", "owners.db", model="pen", journal="")


def test_yes_no_and_forced_verdicts(shop: Path) -> None:
    model = script(
        {"match": "age > 30", "probabilities": {"Yes": 0.8, "No": 0.1, "true": 0.6, "false": 0.2}},
        {"match": "", "response": "Hm.", "probabilities": {"Yes": 0.3, "No": 0.1, "true": 0.1, "false": 0.3}},
    )
    old, _ = judge("q.jsonl", "owners.db", model=model, method="yes_no")
    assert outcomes(old)[1:3] == [("ok", 0.3, False, False), ("ok", 0.8, True, True)]
    old, _ = judge("q.jsonl", "owners.db", model=model, method="forced", budget=4)
    assert outcomes(old)[1:3] == [("ok", 0.25, False, False), ("ok", 0.75, True, True)]
    assert old.candidates[1].response == "Hm."


@pytest.mark.parametrize("method", [name for name in CHOICES if name in BASELINES])
def test_baselines_ask_no_model(shop: Path, method: str) -> None:
    candidates = [{"sql": sql, "mean_logprob": -1.0} for sql in (BROKEN, WRONG, RIGHT, RIGHT)]
    (one,) = judge([{"question": "Who?", "candidates": candidates}], ["owners.db"], method=method)
    assert one.candidates[0].score == -1
    assert {each.verdict for each in one.candidates} == {None}
    assert one.choice in {"majority": [RIGHT], "executable": [WRONG], "first": [WRONG]}.get(method, [WRONG, RIGHT])
    assert not Path("results").exists()


def test_every_method_without_gold_can_be_named() -> None:
    assert set(CHOICES) == {*METHODS, "forced", "random", "first", "executable", "shorter", "majority", "likelihood"}
    assert sqljudge.judge is judge


def test_a_table_of_cells_says_what_lines_say(shop: Path) -> None:
    lines(
        "q.jsonl",
        {"id": "a", "db": "owners", "question": 'Who, "Bo"?', "candidates": [RIGHT, WRONG]},
        {"id": "b", "db": "owners", "question": "How many?", "candidates": ["SELECT\n 1, 2"]},
    )
    with Path("q.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["candidate", "question", "id", "db", "note"])
        for row in ([RIGHT, 'Who, "Bo"?', "a"], ["SELECT\n 1, 2", "How many?", "b"], [WRONG, 'Who, "Bo"?', "a"]):
            writer.writerow([*row, "owners", ""])
    assert judge("q.csv", "owners.db", method="majority") == judge("q.jsonl", "owners.db", method="majority")


def test_questions_of_several_databases(shop: Path) -> None:
    Path("tea.sql").write_text("CREATE TABLE t (a); INSERT INTO t VALUES (7);", encoding="utf-8")
    rows = [{"question": "x", "db": name, "candidates": ["SELECT a FROM t"]} for name in ("owners", "tea")]
    one, two = judge(rows, ["owners.db", "tea.sql"], method="executable")
    assert (one.choice, two.choice, two.candidates[0].rows) == (None, "SELECT a FROM t", ((7,),))
    assert not Path("tea.sqlite").exists()


def test_a_prompt_may_show_the_schema(shop: Path) -> None:
    Path("prompt.txt").write_text("${schema} ${question} ${sql}\n=== answer ===\n", encoding="utf-8")
    model = script({"match": "-- Table `pet owner`: id, `full name`, age", "probabilities": {"Yes": 0.7, "No": 0.3}})
    old, _ = judge("q.jsonl", "owners.db", model=model, method="yes_no", prompt="prompt.txt")
    assert old.candidates[1].score == 0.7


def test_a_model_behind_a_server(shop: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", f"{server.url}#echo") == 0
    assert "*      0.75  correct    2 rows: Bo" in capsys.readouterr().out
    assert len(server.asked) == 2, "of what executes, and of equal candidates once"


def test_an_interrupted_run_says_so_and_writes_nothing(shop: Path) -> None:
    Path("owners.sql").write_text("CREATE TABLE t (a); INSERT INTO t VALUES (1);", encoding="utf-8")
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    lines("q.jsonl", {"question": "x", "candidates": [slow]})
    command = [sys.executable, "-m", "sqljudge", "judge", "--db", "owners.sql", "--questions", "q.jsonl"]
    running = subprocess.Popen(
        [*command, "--method", "majority", "--jsonl", "out.jsonl"],
        env={"PYTHONPATH": str(ROOT / "workflow"), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    while running.poll() is None and not (children.exists() and children.read_text()):
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=HANGS)
    assert (running.returncode, out) == (130, "")
    assert err.strip().splitlines()[-1] == (
        "interrupted; what the model has answered is in results/journal; the same command begins there"
    )
    assert not Path("out.jsonl").exists()


QUESTION = {"question": "x", "candidates": ["SELECT 1"]}
BAD: dict[str, tuple[list[Any] | str, list[str], str]] = {
    "no such database": ([QUESTION], ["--db", "none.db"], "none.db: no such database"),
    "folder": ([QUESTION], ["--db", "."], ".: is a folder"),
    "no SQLite": ([QUESTION], ["--db", "q.jsonl"], "q.jsonl: file is not a database"),
    "empty database": ([QUESTION], ["--db", "void.db"], "void.db: holds no table"),
    "two of a name": ([QUESTION], ["--db", "owners.db", "./owners.db"], "same name"),
    "unknown database": ([{**QUESTION, "db": "tea"}], [], "q.jsonl, line 1: 'db' is 'tea'"),
    "which database": ([QUESTION], ["--db", "owners.db", "tea.sql"], "q.jsonl, line 1: 'db' is missing"),
    "no questions": ("", [], "q.jsonl: holds no question"),
    "no question file": ([QUESTION], ["--questions", "none.jsonl"], "none.jsonl: cannot be read"),
    "no JSON": ("question,candidate\n", [], "q.jsonl, line 1: not JSON"),
    "no object": ([[1]], [], "q.jsonl, line 1: not an object"),
    "near field": ([{"question": "x", "candidate": ["SELECT 1"]}], [], "'candidates' is missing; is it 'candidate'?"),
    "no candidates": ([QUESTION, {**QUESTION, "candidates": []}], [], "line 2: the question has no candidates"),
    "no list": ([{**QUESTION, "candidates": "SELECT 1"}], [], "'candidates' must be a list"),
    "no text": ([{**QUESTION, "candidates": [1]}], [], "line 1, candidate 1: must be SQL text"),
    "no question text": ([{**QUESTION, "question": " "}], [], "'question' must be text"),
    "same ids": ([{**QUESTION, "id": "a"}, QUESTION, {**QUESTION, "id": "a"}], [], "the id 'a' is also that of line 1"),
    "id that is a number": ([QUESTION, {**QUESTION, "id": 1}], [], "the id 1 is also that of line 1"),
    "odd id": ([{**QUESTION, "id": [1]}], [], "'id' must be text or a whole number"),
    "no likelihood": ([QUESTION], ["--method", "likelihood"], "line 1: a candidate has no 'mean_logprob'"),
    "likelihood above 1": (
        [{**QUESTION, "candidates": [{"sql": "SELECT 1", "mean_logprob": 0.3}]}],
        [],
        "'mean_logprob' is 0.3",
    ),
    "column": ("question;candidate\nx;SELECT 1\n", ["--questions", "q.csv"], "the column 'question' is missing"),
    "commas": ("question,candidate\nx,SELECT 1, 2\n", ["--questions", "q.csv"], "q.csv, line 2: more cells than"),
    "no candidate cell": ("question,candidate\nx,\n", ["--questions", "q.csv"], "q.csv, line 2: the question has no"),
    "quotes": ('question,candidate\nx,"SELECT 1\n', ["--questions", "q.csv"], "not CSV"),
    "same ids in cells": (
        "id,question,candidate\na,x,SELECT 1\na,y,SELECT 1\n",
        ["--questions", "q.csv"],
        "line 3: the id 'a' is also that of another question (line 2)",
    ),
    "no model": ([QUESTION], ["--method", "yes_no"], "asks a model; name one"),
    "model too many": ([QUESTION], ["--model", "pen"], "asks no model; take out the model"),
    "near model": ([QUESTION], ["--method", "yes_no", "--model", "pan"], "did you mean 'pen'?"),
    "no folder": ([QUESTION], ["--method", "yes_no", "--model", "./none"], "./none does not exist"),
    "no GGUF file": ([QUESTION], ["--method", "yes_no", "--model", "none.gguf"], "none.gguf does not exist"),
    "no weights": ([QUESTION], ["--method", "yes_no", "--model", "config"], "config holds no weights"),
    "no model's name": ([QUESTION], ["--method", "yes_no", "--model", "http://a/v1"], "the model's name is missing"),
    "no forced verdicts": ([QUESTION], ["--method", "forced", "--model", "http://a/v1#m"], "none can be forced"),
    "no chat": (
        [QUESTION],
        ["--method", "yes_no", "--model", "http://a/v1#m", "--prompt-format", "chat"],
        "'chat' cannot be rendered",
    ),
    "budget": ([QUESTION], ["--method", "reasoning", "--model", "pen", "--budget", "0"], "budget: 0 is too small"),
    "no prompt": ([QUESTION], ["--method", "yes_no", "--model", "pen", "--prompt", "none.txt"], "none.txt"),
    "target is the questions": ([QUESTION], ["--jsonl", "q.jsonl"], "holds the questions"),
    "target is a folder": ([QUESTION], ["--jsonl", "config"], "config: is a folder"),
    "nothing executes": ([{**QUESTION, "candidates": ["SELECT a", "b"]}], [], "no candidate of any question executes"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_wrong_is_one_line(shop: Path, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, arguments, said = BAD[bad]
    script()
    Path("void.db").touch()
    Path("tea.sql").write_text("CREATE TABLE t (a)", encoding="utf-8")
    text = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
    Path("q.csv" if "q.csv" in arguments else "q.jsonl").write_text(text, encoding="utf-8")
    before = {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()}
    methods = [] if "--method" in arguments else ["--method", "executable"]
    assert run(*methods, *arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line, line
    assert {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()} == before


def test_a_method_that_looks_at_the_gold_query_is_refused(shop: Path) -> None:
    with pytest.raises(ConfigError, match="looks at the gold query"):
        judge("q.jsonl", "owners.db", method="oracle")


@pytest.mark.model
def test_the_command_of_the_readme_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if line.startswith("python -m sqljudge judge"))
    words = command.replace("resources/", f"{ROOT}/resources/").split("#")[0].split()[1:]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "workflow"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert done.returncode == 0, done.stderr
    judged = [json.loads(line) for line in (tmp_path / "judged.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [len(one["candidates"]) for one in judged] == [3, 3, 3]
    asked = [each for one in judged for each in one["candidates"] if each["outcome"] == "ok"]
    assert len(asked) == 8 and all(0 < each["score"] < 1 for each in asked)
