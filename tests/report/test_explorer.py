"""The explorer's data: what is said of each choice, how a response is cut into pieces, and how texts are written."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.core.files import write_json
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import Candidate, CandidateSet, Execution, Judgment, Question, Score, Selection, write_jsonl
from sqljudge.core.variants import Variant, baseline_variant, greedy_variant, only, path
from sqljudge.metrics.intrinsic import question_rows
from sqljudge.report.explorer import explorer_inputs, write_explorer
from sqljudge.report.explorer.read import Run, Verdict, gold_results, index_run, read_run
from sqljudge.report.explorer.show import (
    TAGS,
    Page,
    bits,
    entries,
    outcome,
    question_pages,
    shown_response,
    shown_settings,
    summary,
)
from sqljudge.report.explorer.site import as_script, write_site
from sqljudge.sql.sandbox import QueryResult
from sqljudge.stages.score import Rules

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = [
    "</script><script>window.__pwned = 1</script>",
    '<img src=x onerror="window.__pwned = 1">',
    "line\u2028break\u2029here",
    "half \ud83d pair",
    "'); window.__pwned = 1; ('",
    "<!--<script>",
    "\x00\x1b&amp;",
]


# --- outcomes -------------------------------------------------------------------------------------------------------


def score(*, failure: bool = False, asked: bool = True) -> Score:
    return Score(0, "A", 0.0, None if failure or not asked else True, failure, asked)


@pytest.mark.parametrize(
    ("chosen", "first", "tags"),
    [
        (True, True, ["right"]),
        (False, False, ["wrong"]),
        (True, False, ["right", "rescued"]),
        (False, True, ["wrong", "broken"]),
        (None, True, []),
        (True, None, ["right"]),
    ],
)
def test_a_choice_is_compared_with_what_no_discriminator_would_take(
    chosen: bool | None, first: bool | None, tags: list[str]
) -> None:
    assert outcome(chosen, first, [score()]) == tags


def test_no_verdict_at_all_is_told_from_some_missing() -> None:
    assert outcome(True, True, [score(failure=True), score()]) == ["right", "some_no_verdict"]
    assert outcome(True, True, [score(failure=True)] * 2) == ["right", "no_verdict", "some_no_verdict"]
    assert outcome(True, True, [score(failure=True), score(asked=False)])[1] == "no_verdict", "the other was not asked"
    assert outcome(False, False, [score(asked=False)]) == ["wrong"], "nothing was asked, so nothing is missing"
    assert outcome(False, False, []) == ["wrong"]


def test_tags_become_bits_in_their_order() -> None:
    assert [bits([tag]) for tag in TAGS] == [1, 2, 4, 8, 16, 32]
    assert bits(["right", "rescued"]) == 5


# --- responses ------------------------------------------------------------------------------------------------------


def judgment(response: str, *, ends: list[int] | None = None, finish: str = "stop", budget: int = 99) -> Judgment:
    """A response of one token a character, unless told otherwise, each with the probability 1/2."""
    ends = ends if ends is not None else list(range(1, len(response) + 1))
    log = (-0.6931471805599453,) * len(ends)
    return Judgment(1, "A", None, response, tuple(range(len(ends))), log, tuple(ends), finish, budget)


def text(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece.get("text", "") for piece in pieces)


def test_the_verdict_is_one_piece_with_its_token_and_probability() -> None:
    words = ["Fine.", "\n", '{"correct":', " tr", "ue", "}"]
    ends = [sum(map(len, words[: at + 1])) for at in range(len(words))]
    shown = shown_response(judgment("".join(words), ends=ends), [6])
    assert [piece for piece in shown["answer"] if "mark" in piece] == [{"text": "true", "mark": 0}]
    assert shown["verdicts"] == [{"value": True, "probability": pytest.approx(0.5), "token": 4, "token_text": " tr"}]
    assert shown["readings"] == [[6, 0]]


def test_each_budget_is_cut_where_its_last_token_ends() -> None:
    shown = shown_response(judgment("abcdef", ends=[1, 3, 6], finish="length", budget=3), [1, 2, 3])
    assert [piece.get("text", piece.get("cut")) for piece in shown["answer"]] == ["a", [1], "bc", [2], "def", [3]]


def test_a_budget_that_the_response_does_not_fill_cuts_nothing() -> None:
    shown = shown_response(judgment("abc", ends=[1, 2, 3]), [3, 64])
    assert shown["answer"] == [{"text": "abc"}]


def test_budgets_that_cut_at_one_place_share_the_mark() -> None:
    shown = shown_response(judgment("ab", ends=[1, 1, 2]), [1, 2])
    assert shown["answer"] == [{"text": "a"}, {"cut": [1, 2]}, {"text": "b"}]


def test_budgets_may_read_different_verdicts() -> None:
    early = '{"correct": false}'
    both = early + ' No. {"correct": true}'
    shown = shown_response(judgment(both), [5, len(early), len(both)])
    assert shown["readings"] == [[5, None], [len(early), 0], [len(both), 1]]
    assert [verdict["value"] for verdict in shown["verdicts"]] == [False, True]
    marked = [(piece["text"], piece["mark"]) for piece in shown["answer"] if "mark" in piece]
    assert marked == [("false", 0), ("true", 1)]


def test_a_cut_inside_a_later_verdict_keeps_both_halves_marked() -> None:
    whole = '{"correct": true}'
    shown = shown_response(judgment(whole), [14, len(whole)])
    kinds = [piece.get("text", piece.get("cut")) for piece in shown["answer"]]
    assert kinds == ['{"correct": ', "tr", [14], "ue", "}"]
    assert [piece.get("mark") for piece in shown["answer"]] == [None, 0, None, 0, None]


def test_a_verdict_is_marked_where_the_score_reads_it() -> None:
    said = 'Asked for {"correct": true} or {"correct": false}. '
    rules = Rules(template='Say {"correct": true} or {"correct": false}.')
    shown = shown_response(judgment(said + '{"correct": true}'), [len(said), 99], rules)
    assert [verdict["value"] for verdict in shown["verdicts"]] == [True]
    assert shown["readings"] == [[len(said), None], [99, 0]]
    assert [piece["text"] for piece in [*shown["thought"], *shown["answer"]] if "mark" in piece] == ["true"]


def test_the_thought_ends_with_its_closing_mark() -> None:
    shown = shown_response(judgment('Hm.</think>So {"correct": true}'), [50])
    assert shown["closed"] is True
    assert text(shown["thought"]) == "Hm.</think>"
    assert text(shown["answer"]) == 'So {"correct": true}'


def test_a_thought_that_is_never_closed_ends_before_the_verdicts_line() -> None:
    shown = shown_response(judgment('Hm.\nIt is {"correct": true}\nso there.'), [50])
    assert shown["closed"] is False
    assert text(shown["thought"]) == "Hm.\n"
    assert text(shown["answer"]) == 'It is {"correct": true}\nso there.'


def test_without_a_verdict_the_last_line_is_left_out_of_the_fold() -> None:
    shown = shown_response(judgment("One.\nTwo.\n\n"), [50])
    assert text(shown["thought"]) == "One.\n"
    assert text(shown["answer"]) == "Two.\n\n"


def test_an_empty_response_is_shown_as_nothing() -> None:
    shown = shown_response(judgment(""), [5])
    assert shown["thought"] == shown["answer"] == []
    assert shown["readings"] == [[5, None]]


def test_a_response_that_was_cut_below_the_budget_is_refused() -> None:
    with pytest.raises(DataError, match="cut at 3 tokens"):
        shown_response(judgment("abc", finish="length", budget=3), [3, 9])


PARTS = st.sampled_from(["a", "\n", "😀", '{"correct": true}', '{"correct": false', "}", "</think>", "<b>"])


@given(st.lists(PARTS, max_size=8).map("".join), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_pieces_give_the_response_again(response: str, budgets: list[int]) -> None:
    shown = shown_response(judgment(response), budgets)
    assert text(shown["thought"]) + text(shown["answer"]) == response
    assert all(piece.get("text", "x") for piece in shown["thought"] + shown["answer"])


# --- questions ------------------------------------------------------------------------------------------------------

QUESTION = Question(7, "shop", "How many?", "SELECT 1", "-- Table t: a", "easy")
GREEDY = greedy_variant("writer.greedy")
SAMPLED = Variant("writer.sample", "judge", "plain", 50, "soft", "naive", "rerank")
POOLED = Variant("pool", "judge", "plain", 50, "soft", "check", "rerank")
WEIGHED = dataclasses.replace(SAMPLED, planner="vote")
FREE = baseline_variant("oracle-0.9", "writer.sample", "naive", "rerank")
JOB, POOL_JOB = only("judgments", SAMPLED), only("judgments", POOLED)
GOLD = QueryResult("ok", "", ("n", "b"), ((1, b"\xff"),), 1, 3, 0.1)


def ran(sql: str, correct: bool | None) -> Execution:
    return Execution(7, sql, "ok", "", ((1,),), 1, 5, 0.25, correct)


def records(**changes: Any) -> dict[str, Any]:
    """A run of one question: greedy takes A (wrong), re-ranking B (right); the pool is labelled."""
    said = '{"correct": true}'
    made: dict[str, Any] = {
        "questions": {"shop-set": [QUESTION], "pool": [QUESTION]},
        "candidates": {
            Variant("pool"): [CandidateSet(7, (Candidate("A", 3, 0), Candidate("B", 1, 1)))],
            Variant("writer.greedy"): [CandidateSet(7, (Candidate("A"),))],
            Variant("writer.sample"): [CandidateSet(7, (Candidate("B"), Candidate("C")))],
        },
        "executions": {
            Variant("pool"): [ran("A", False), ran("B", True)],
            Variant("writer.greedy"): [ran("A", False)],
            Variant("writer.sample"): [
                ran("B", True),
                dataclasses.replace(ran("C", False), outcome="error", message="no t"),
            ],
        },
        "judgments": {
            JOB: [judgment(said), dataclasses.replace(judgment("?"), sql="B")],
            POOL_JOB: [Judgment(7, "A", p_yes=0.5)],
        },
        "scores": {
            only("scores", POOLED): [
                Score(7, "A", -1.0, None, failure=False, asked=False),
                Score(7, "B", -0.5, None, failure=True),
            ],
            only("scores", SAMPLED): [
                Score(7, "B", 0.9, True, failure=False),
                Score(7, "C", 0.2, False, failure=False),
            ],
        },
        "selections": {GREEDY: [Selection(7, "A", None, "first")], SAMPLED: [Selection(7, "B", 0.9, "highest")]},
        "end_to_end": {GREEDY: [Verdict(7, False, False)], SAMPLED: [Verdict(7, True, False)]},
    }
    return {**made, **changes}


def small_run(**changes: Any) -> Run:
    return index_run(**records(**changes))


def page_of(run: Run) -> Page:
    golds = {(name, q.id): GOLD for name, some in run.questions.items() for q in some}
    (page,) = question_pages(run, golds)
    return page


def test_a_question_that_dataset_and_pool_share_is_one_entry() -> None:
    other = dataclasses.replace(QUESTION, question="Another with the same id?")
    assert [(e.key, e.sources) for e in entries({"d": [QUESTION], "pool": [QUESTION]})] == [("d-7", ("d", "pool"))]
    assert [e.key for e in entries({"d": [QUESTION], "pool": [other]})] == ["d-7", "pool-7"]


def test_a_users_pool_brings_its_own_questions_and_candidates() -> None:
    other = dataclasses.replace(QUESTION, question="Another with the same id?")
    run = small_run(questions={"shop-set": [QUESTION], "pool": [other]})
    golds = {("shop-set", 7): GOLD, ("pool", 7): GOLD}
    first, second = question_pages(run, golds)
    assert [each["sql"] for each in first.data["candidates"]] == ["A", "B", "C"]
    assert {pool for each in first.data["candidates"] for pool, *_ in each["pools"]} == {
        "writer.greedy",
        "writer.sample",
    }
    assert [each["pools"] for each in second.data["candidates"]] == [[["pool", 3, 0, None]], [["pool", 1, 1, None]]]


def test_candidates_of_all_pools_are_listed_once() -> None:
    shown = page_of(small_run())
    assert [each["sql"] for each in shown.data["candidates"]] == ["A", "B", "C"]
    assert shown.data["candidates"][1]["pools"] == [["pool", 1, 1, None], ["writer.sample", 1, None, None]]
    assert [each["right"] for each in shown.data["candidates"]] == [False, True, False]
    assert shown.line["messages"] == ["no t"]


def test_a_label_goes_before_the_execution_and_both_are_given() -> None:
    labelled = {**records()["candidates"], Variant("pool"): [CandidateSet(7, (Candidate("A", 1, 1),))]}
    first = page_of(small_run(candidates=labelled)).data["candidates"][0]
    assert (first["right"], first["executed_right"]) == (True, False)


def test_choices_say_what_re_ranking_changed() -> None:
    choices = dict(page_of(small_run()).data["choices"])
    greedy, pooled, sampled = (choices[at] for at in range(3))
    assert (greedy["candidate"], greedy["tags"]) == (0, ["wrong"])
    assert (sampled["candidate"], sampled["tags"], sampled["exact"]) == (1, ["right", "rescued"], False)
    assert pooled["candidate"] == 1, "no planner works on the pool: its highest score is shown"
    assert pooled["tags"] == ["right", "rescued", "no_verdict", "some_no_verdict"]


ROWS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([-1.0, -0.5, 0.2, 0.9])), max_size=4)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_on_the_labelled_pool_as_many_choices_are_right_as_hit1_counts(pool: list[list[tuple[int, float]]]) -> None:
    """Names of candidates fall while their places rise, so that the smallest SQL is not the one listed first."""
    names = "ZYXW"
    groups = [
        CandidateSet(n, tuple(Candidate(names[at], 1, label) for at, (label, _) in enumerate(rows)))
        for n, rows in enumerate(pool)
    ]
    scores = [
        Score(n, names[at], value, None, value == -0.5, asked=value != -1.0)
        for n, rows in enumerate(pool)
        for at, (_, value) in enumerate(rows)
    ]
    questions = [dataclasses.replace(QUESTION, id=n) for n in range(len(pool))]
    kinds = ("executions", "judgments", "selections", "end_to_end")
    scored = {only("scores", POOLED): scores}
    made = {"questions": {"pool": questions}, "candidates": {Variant("pool"): groups}, "scores": scored}
    run = index_run(**made, **{kind: {} for kind in kinds})  # type: ignore[arg-type]
    pages = question_pages(run, {("pool", q.id): GOLD for q in questions})
    rows = question_rows(groups, scores)
    for page, row in zip(pages, rows, strict=True):
        tags = [choice["tags"] for _, choice in page.data["choices"]]
        assert sum("right" in each for each in tags) == row["hit1"]
        assert sum("no_verdict" in each for each in tags) == row["no_verdict"]


def test_without_a_greedy_query_the_first_candidate_is_what_counts() -> None:
    alone = small_run(
        selections={SAMPLED: records()["selections"][SAMPLED]}, end_to_end={SAMPLED: [Verdict(7, True, True)]}
    )
    assert dict(page_of(alone).data["choices"])[1]["tags"] == ["right"], "B was the generator's first sample"


def test_what_was_evaluated_goes_before_the_execution() -> None:
    undecided = {GREEDY: [Verdict(7, False, False)], SAMPLED: [Verdict(7, None, False)]}
    assert dict(page_of(small_run(end_to_end=undecided)).data["choices"])[2]["right"] is None


def test_scores_say_what_the_model_said() -> None:
    scores = dict(page_of(small_run()).data["scores"])
    assert scores == {1: [[0, -1.0, "unasked"], [1, -0.5, "none"]], 2: [[1, 0.9, "yes"], [2, 0.2, "no"]]}


def all_planners() -> dict[str, Any]:
    """The same run, with the majority of results beside re-ranking and a discriminator without a model."""
    made = records()
    silent = [Score(7, "B", -0.5, None, failure=True), Score(7, "C", -0.5, None, failure=True)]
    free = [Score(7, "B", 0.0, None, failure=False), Score(7, "C", 1.0, None, failure=False)]
    chosen = {WEIGHED: [Selection(7, "C", 0.2, "group")], FREE: [Selection(7, "C", 1.0, "highest")]}
    return records(
        scores={**made["scores"], only("scores", SAMPLED): silent, only("scores", FREE): free},
        selections={**made["selections"], **chosen},
        end_to_end={**made["end_to_end"], WEIGHED: [Verdict(7, False, False)], FREE: [Verdict(7, False, False)]},
    )


def test_two_planners_on_the_same_scores_are_two_choices() -> None:
    run = index_run(**all_planners())
    settings = [(each["discriminator"], each["planner"]) for each in summary(run, {})["settings"]]
    judge, free = "judge", "oracle-0.9"
    assert settings == [("", "greedy"), (judge, "rerank"), (judge, "rerank"), (judge, "vote"), (free, "rerank")]
    choices = dict(page_of(run).data["choices"])
    assert [choices[at]["candidate"] for at in range(5)] == [0, 1, 1, 2, 2]
    assert choices[3]["tags"] == ["wrong", "no_verdict", "some_no_verdict"], "its scores are those that it weighed"


def test_a_query_that_a_planner_wrote_is_shown_where_it_is_no_candidate() -> None:
    made, searched = records(), dataclasses.replace(SAMPLED, planner="correction")
    found = small_run(
        selections={**made["selections"], searched: [Selection(7, "NEW", 0.9, "a positive verdict")]},
        end_to_end={**made["end_to_end"], searched: [Verdict(7, True, False)]},
    )
    place = next(at for at, each in enumerate(summary(found, {})["settings"]) if each["planner"] == "correction")
    choices = dict(page_of(found).data["choices"])
    assert (choices[place]["candidate"], choices[place]["sql"], choices[place]["right"]) == (None, "NEW", True)
    assert {choice["sql"] for at, choice in choices.items() if at != place} == {""}


def test_a_discriminator_without_a_model_has_scores_and_no_verdicts() -> None:
    shown = page_of(index_run(**all_planners()))
    assert dict(shown.data["scores"])[4] == [[1, 0.0, ""], [2, 1.0, ""]]
    assert dict(shown.data["choices"])[4]["tags"] == ["wrong"]
    assert "oracle-0.9" not in {each["discriminator"] for each in shown.responses}


def test_a_request_that_failed_is_no_missing_verdict() -> None:
    failed = [Score(7, "B", 0.0, None, failure=False, answered=False)]
    run = small_run(scores={**records()["scores"], only("scores", SAMPLED): failed})
    assert dict(page_of(run).data["scores"])[2] == [[1, 0.0, "unanswered"]]


def test_the_index_holds_each_choices_tags() -> None:
    line = page_of(small_run()).line
    assert line["tags"] == [[0, bits(["wrong"])], [1, bits(["right", "rescued", *TAGS[4:]])], [2, 5]]


def test_only_what_was_written_is_a_response() -> None:
    judged = {JOB: [dataclasses.replace(judgment("Yes."), question_id=7, sql="C")], POOL_JOB: []}
    (response,) = page_of(small_run(judgments=judged)).responses
    assert (response["candidate"], response["pool"], text(response["answer"])) == (2, "writer.sample", "Yes.")
    assert page_of(small_run(judgments={JOB: [], POOL_JOB: [Judgment(7, "A", p_yes=0.5)]})).responses == []


def test_the_gold_has_its_columns_and_rows_as_json_can_hold_them() -> None:
    gold = page_of(small_run()).data["gold"]
    assert (gold["columns"], gold["rows"]) == (["n", "b"], [[1, "x'ff'"]])


def test_the_summary_tells_planners_and_reasoners_from_the_rest() -> None:
    settings = summary(small_run(), {"judge": "The judge"})["settings"]
    found = [(each["discriminator"], each["pool"], each["planned"], each["reasons"]) for each in settings]
    assert found == [
        ("", "writer.greedy", True, False),
        ("judge", "pool", False, False),
        ("judge", "writer.sample", True, True),
    ]


def test_the_summary_says_what_settings_are_called() -> None:
    found = summary(small_run(), {"judge": "The judge"})
    assert found["names"] == {"judge": "The judge"}
    some = {"context": "few_shot", "scoring": "forced", "mode": "check"}
    assert [found["words"][kind][value] for kind, value in some.items()] == [
        "Demonstrations",
        "forced scores",
        "executability check",
    ]


def test_the_summary_gives_the_levels_in_their_order() -> None:
    assert summary(small_run(), {})["levels"] == ["easy", "medium", "hard", "extra"]
    assert summary(small_run(), {}, ["simple", "moderate"])["levels"] == ["simple", "moderate"]


def test_a_page_shows_no_setting_that_a_choice_does_not_have() -> None:
    greedy, free = shown_settings(GREEDY), shown_settings(FREE)
    assert greedy == {
        "discriminator": "",
        "context": "",
        "pool": "writer.greedy",
        "budget": 0,
        "scoring": "",
        "mode": "",
        "planner": "greedy",
    }
    assert free == {
        "discriminator": "oracle-0.9",
        "context": "",
        "pool": "writer.sample",
        "budget": 0,
        "scoring": "",
        "mode": "naive",
        "planner": "rerank",
    }
    assert {name: value for name, value in SAMPLED.settings().items() if name in free} == {
        name: value for name, value in shown_settings(SAMPLED).items() if name != "pool"
    }


# --- files ----------------------------------------------------------------------------------------------------------


def test_every_file_that_tables_are_made_of_is_named_once() -> None:
    forced = dataclasses.replace(only("scores", POOLED), scoring="forced")
    searched = dataclasses.replace(SAMPLED, planner="tree_search")
    cells = [
        ("intrinsic", only("scores", POOLED)),
        ("calibration", only("scores", POOLED)),
        ("contrast", dataclasses.replace(forced, mode="naive", base="plain")),
        ("adaptive", Variant("pool", "judge", "plain", mode="naive", checkpoints=(0, 50))),
        ("reasoning", Variant("pool", "judge", "plain", 50)),
        ("intrinsic", forced),
        ("end_to_end", SAMPLED),
        ("end_to_end", WEIGHED),
        ("end_to_end", FREE),
        ("end_to_end", GREEDY),
        ("planner", GREEDY),
        ("planner", SAMPLED),
        ("planner", searched),
    ]
    files = explorer_inputs(iter(cells), "d", [JOB, POOL_JOB, JOB])
    pools = ["pool", "writer.greedy", "writer.sample"]
    assert files == {
        "questions": ["results/questions/d.jsonl", "results/questions/pool.jsonl"],
        "candidates": [f"results/candidates/{pool}.jsonl" for pool in pools],
        "executions": [f"results/executions/{pool}.jsonl" for pool in pools],
        "judgments": [path("judgments", POOL_JOB), path("judgments", JOB)],
        "scores": [path("scores", each) for each in (forced, POOLED, SAMPLED, FREE)],
        "selections": [path("selections", each) for each in (GREEDY, SAMPLED, FREE, searched, WEIGHED)],
        "end_to_end": [path("end_to_end", each) for each in (GREEDY, SAMPLED, FREE, searched, WEIGHED)],
    }


def test_only_what_the_tables_use_is_named() -> None:
    files = explorer_inputs([("end_to_end", GREEDY)], "d", [])
    assert files["questions"] == ["results/questions/d.jsonl"]
    assert files["candidates"] == ["results/candidates/writer.greedy.jsonl"]
    assert files["scores"] == files["judgments"] == []
    files = explorer_inputs([("intrinsic", POOLED)], "d", [POOL_JOB])
    assert files["questions"] == ["results/questions/pool.jsonl"]
    assert files["selections"] == files["end_to_end"] == []


def write_run(made: dict[str, Any]) -> dict[str, list[str]]:
    """Write a run's records where the workflow does, below the working directory; returns the files, by kind."""
    files: dict[str, list[str]] = {kind: [] for kind in made}
    for kind, found in made.items():
        for key, some in found.items():
            place = path(kind, Variant(key) if isinstance(key, str) else key)
            files[kind].append(place)
            if kind == "judgments":
                write_judgments(place, some)
            elif kind == "end_to_end":
                rows = [{"question_id": each.question_id, "exec": each.execution, "exact": each.exact} for each in some]
                write_json(place, {"per_question": rows})
            else:
                write_jsonl(place, some)
    return files


def test_what_is_read_is_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = all_planners()
    found, expected = read_run(write_run(made)), index_run(**made)
    for name in ("questions", "candidates", "executions", "scores", "selections", "end_to_end"):
        assert getattr(found, name) == getattr(expected, name), name
    assert [each.response for each in found.judgments[JOB][1]] == ['{"correct": true}', "?"]
    assert set(found.judgments) == {JOB, POOL_JOB}


def test_the_explorer_is_made_from_the_files_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    (tmp_path / "databases/shop").mkdir(parents=True)
    sqlite3.connect(tmp_path / "databases/shop/shop.sqlite").close()
    page = "results/explorer/index.html"
    Path("prompt.txt").write_text("Judge ${sql}\n", encoding="utf-8")
    write_explorer(
        **write_run(all_planners()),
        databases="databases",
        page=page,
        assets="results/explorer/assets",
        data="results/explorer/data",
        display={"judge": "The judge"},
        levels=["easy"],
        limits={"rows": 5},
        prompts=[("judge", "plain", "prompt.txt", "chat")],
        verdicts="any",
        subject="dataset shop; seed 1",
    )
    assert caplog.messages == [f"1 questions; open {page}"]
    index = Path("results/explorer/data/index.js").read_text(encoding="utf-8")
    assert '"names":{"judge":"The judge"}' in index
    assert '"about":"Dataset shop; seed 1; made ' in index
    assert '"format":"chat"' in index
    assert '"rows":[[1]]' in Path("results/explorer/data/questions/shop-set-7.js").read_text(encoding="utf-8")
    assert Path(page).is_file()


def test_gold_queries_run_with_their_columns(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    connection = sqlite3.connect(tmp_path / "shop/shop.sqlite")
    connection.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1), (1), (3);")
    connection.close()
    question = dataclasses.replace(QUESTION, gold_sql="SELECT DISTINCT a AS n FROM t WHERE a < = 2")
    result = gold_results({"d": [question]}, tmp_path)["d", 7]
    assert (result.outcome, result.columns, result.rows) == ("ok", ("n",), ((1,),))
    with pytest.raises(DataError, match="no such database"):
        gold_results({"d": [dataclasses.replace(QUESTION, db_id="none")]}, tmp_path)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_leaves_its_place_in_a_script(hostile: str) -> None:
    script = as_script("question", "k", {"text": hostile, hostile: [hostile]})
    assert script.isascii()
    assert not set(script) & set("<>&\u2028\u2029")
    assert script.startswith('explorer.register("question","k",')
    assert script.endswith(");\n")
    given_back = json.loads(script.removeprefix('explorer.register("question","k",').removesuffix(");\n"))
    assert given_back == {"text": hostile, hostile: [hostile]}


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_script("question", "k", float("nan"))


def test_the_folder_is_whole_and_holds_nothing_old(tmp_path: Path) -> None:
    stale = tmp_path / "data/questions/gone-1.js"
    stale.parent.mkdir(parents=True)
    stale.touch()
    count = write_site(tmp_path, summary(small_run(), {}), [page_of(small_run())])
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert count == 1
    assert found == {
        "index.html",
        *(f"assets/{name}.js" for name in ("explorer", "loading", "question", "responses", "words")),
        "assets/explorer.css",
        "data/index.js",
        "data/questions/shop-set-7.js",
        "data/responses/shop-set-7.js",
    }


def test_the_page_names_only_what_lies_beside_it() -> None:
    templates = ROOT / "workflow/sqljudge/report/explorer/templates"
    whole = "".join(path.read_text(encoding="utf-8") for path in templates.iterdir())
    for address in ("http:", "https:", "//cdn", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("):
        assert address not in whole
    assert "Content-Security-Policy" in (templates / "index.html").read_text(encoding="utf-8")
