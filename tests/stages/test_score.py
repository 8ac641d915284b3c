"""Verdicts are read by position, token by token, at every budget; scores follow the paper's rule."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import (
    FAILURE_SCORE,
    NOT_EXECUTABLE_SCORE,
    Candidate,
    CandidateSet,
    Execution,
    ForcedVerdict,
    Judgment,
    Outcome,
    Score,
    read_jsonl,
    write_jsonl,
)
from sqljudge.stages.score import (
    Reading,
    Rules,
    mode_of,
    read_executable,
    read_verdict,
    score_forced_pool,
    score_judgments,
    score_pool,
    text_within,
)

SQL = "SELECT 1 ;"


def judgment(*tokens: str, sql: str = SQL, question_id: int = 0, finish: str = "stop", budget: int = 0) -> Judgment:
    """A response made of these tokens; token i has probability 1 / (i + 2)."""
    ends, text = [], ""
    for token in tokens:
        text += token
        ends.append(len(text))
    logprobs = tuple(-math.log(index + 2) for index in range(len(tokens)))
    ids = tuple(range(len(tokens)))
    return Judgment(question_id, sql, None, text, ids, logprobs, tuple(ends), finish, budget or len(tokens))


def read(text: str) -> bool | None:
    return read_verdict(judgment(*text), len(text) or 1).value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"correct": true}', True),
        ('{"correct": false}', False),
        ('{"correct": True}', True),
        ('{"correct": "False"}', False),
        ("{'correct': TRUE}", True),
        ('{"correct": true,}', True),
        ('Hm.</think>\n```json\n{\n  "correct": false,\n  "why": "x"\n}\n```', False),
        ('{"correct": true} Wait, no. {"correct": false} Done.', False),
        ('{"correct": true} {"answer": false}', True),
        ('{"correct": true} {"correct": null}', True),
        ('{"correct": true} {"correct": "yes"}', True),
        ('{"correct": 1}', None),
        ('{"correct": 0.9}', None),
        ('{"correct": null}', None),
        ('{"correct": "yes"}', None),
        ('{"correct": "not true"}', None),
        ('{"correct": ""}', None),
        ('{"correct": [true]}', None),
        ('{"correct": true, "correct": false}', False),
        ('{"correct": true, "correct": null}', None),
        ('{"answer": {"correct": true}}', True),
        ('{"correct": false, "detail": {"correct": true}}', False),
        ('{"correct": {"correct": true}}', True),
        ('[{"correct": true}, {"correct": false}]', False),
        ('{"note": "a } in text", "correct": true}', True),
        ('{"note": "say {\'correct\': true}"}', None),
        ('{SELECT: {"correct": true}', True),
        ('{"correct": true', None),
        ('{"correct": true, "why": "it', None),
        ('{"correct": true/false}', None),
        ('{"correct": <true or false>}', None),
        ("{correct: true}", None),
        ('{"Correct": true}', None),
        ('{"incorrect": true}', None),
        ('{"why": "correct", "it": true}', None),
        ('{"correct": true // sure\n}', None),
        ('{"why": "one\ntwo", "correct": true}', None),
        ("{'why': 'it isn't', 'correct': true}", None),
        ("The query is correct: true.", None),
        ("", None),
    ],
)
def test_which_verdict_is_read(text: str, value: bool | None) -> None:
    assert read(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"correct": true}', True),
        ('{"correct": True}', True),
        ('{"correct": "False"}', False),
        ('{"correct": "true",}', True),
        ('{"correct": true, }', True),
        ('```json\n{\n  "why": [1, 2],\n  "correct": false\n}\n```', False),
        ('{"correct": true} Wait, no. {"correct": false} Done.', False),
        ('{"correct": true} {"correct": null}', True),
        ('{"correct": true} {"correct": TRUE}', True),
        ('[{"correct": true}, {"correct": false}]', False),
        ("{'correct': true}", None),
        ('{"correct": TRUE}', None),
        ('{"correct": "FALSE"}', None),
        ('{"correct": "tRUE"}', None),
        ('{"answer": {"correct": true}}', None),
        ('{"correct": false, "detail": {"correct": true}}', None),
        ('{"correct": true, "detail": {}}', None),
        ('{"correct": true, "why": "a } in text"}', None),
        ('{"why": "a { in text", "correct": true}', True),
        ('{the set of {"correct": true}', None),
        ('{the set of {"correct": true} so {"correct": false}', False),
        ('{"correct": true', None),
        ('{"correct": 1}', None),
        ("", None),
    ],
)
def test_which_verdict_the_papers_program_reads(text: str, value: bool | None) -> None:
    reading = read_verdict(judgment(*text), len(text) or 1, Rules("paper"))
    assert reading.value is value
    if reading.span is not None:
        assert text[slice(*reading.span)].lower() == str(value).lower()


def test_an_unknown_way_of_reading() -> None:
    with pytest.raises(ConfigError, match="verdicts 'all': not known; choose one of any, paper"):
        read_verdict(judgment("x"), 1, Rules("all"))


@pytest.mark.parametrize(
    ("tokens", "index"),
    [
        (['{"correct":', " true", "}"], 1),
        (['{"correct":', " ", "true", "}"], 2),
        (['{"correct": "', "true", '"}'], 1),
        (['{"correct": ', '"true', '"}'], 1),
        (['{"correct', '": true}'], 1),
        (['{"correct": true}'], 0),
        (['{"correct": ', "tr", "ue}"], 1),
        (['{"correct": t', "rue}"], 0),
        (['{"correct": ', "", "", "true", "", "}"], 3),
        (["é", "", '{"correct": ', "false", "}"], 3),
        (['{"correct": ', "true", "} no, ", '{"correct": ', "false", "} and so"], 4),
    ],
)
def test_which_token_the_verdict_is_of(tokens: list[str], index: int) -> None:
    asked = judgment(*tokens)
    reading = read_verdict(asked, len(tokens))
    assert reading.token == index
    assert reading.probability == pytest.approx(1 / (index + 2))
    assert reading.span is not None
    assert asked.response[slice(*reading.span)].lower() in ("true", "false")


# The responses below are built from parts of which it is known what each one says and where.
SAYS_NOTHING = [
    "Okay, so", " the query's {join} is", " {", "}", '"', "'", "\n", " é½", "```json\n", "\n```", "</think>",
    '{"correct": null}', '{"correct": 1}', '{"correct": "maybe"}', '{"ok": true}', '{"correct": true ', "true",
    '["', "{'",
]  # fmt: skip
SAYS = ['{"correct": %s}', "{'correct':%s}", '{ "why": "a {b}", "correct" : %s , }', '{"correct":\n%s,"n":[1,{"a":2}]}']
WORDS = [("true", True), ("false", False), ("True", True), ("False", False)]


@st.composite
def responses(draw: st.DrawFn) -> tuple[Judgment, list[tuple[int, int, bool]]]:
    """A judgment under a random tokenisation, and (end, verdict's first character, verdict) of each verdict in it."""
    text, verdicts = "", []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            text += draw(st.sampled_from(SAYS_NOTHING)) + " . "
            continue
        word, value = draw(st.sampled_from(WORDS))
        quote = draw(st.sampled_from(["", '"', "'"]))
        part = draw(st.sampled_from(SAYS))
        start = len(text) + part.index("%s") + len(quote)
        text += part % f"{quote}{word}{quote}"
        verdicts.append((len(text), start, value))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=30)))
    ends = [*cuts, len(text)]
    tokens = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return judgment(*tokens), verdicts


@settings(deadline=None)
@given(responses())
def test_at_every_budget_the_last_whole_verdict_is_read_from_its_own_token(
    case: tuple[Judgment, list[tuple[int, int, bool]]],
) -> None:
    asked, verdicts = case
    starts = [0, *asked.token_ends]
    for budget in range(1, len(asked.token_ends) + 2):
        text = text_within(asked, budget)
        reading = read_verdict(asked, budget)
        whole = [verdict for verdict in verdicts if verdict[0] <= len(text)]
        if not whole:
            assert reading == Reading()
            continue
        _, start, value = whole[-1]
        token = next(i for i, end in enumerate(asked.token_ends) if starts[i] <= start < end)
        assert (reading.value, reading.token) == (value, token)
        assert reading.span == (start, start + (4 if value else 5))
        assert reading.probability == pytest.approx(1 / (token + 2))
        assert token < budget


@settings(deadline=None)
@given(responses(), st.integers(1, 40))
def test_a_cut_of_a_long_response_reads_as_the_short_response_does(
    case: tuple[Judgment, list[tuple[int, int, bool]]], budget: int
) -> None:
    asked, _ = case
    ends = asked.token_ends[:budget]
    short = replace(
        asked,
        response=asked.response[: ends[-1]],
        token_ids=asked.token_ids[:budget],
        token_ends=ends,
        logprobs=asked.logprobs[:budget],
        finish_reason="length",
        budget=budget,
    )
    assert read_verdict(short, budget) == read_verdict(asked, budget)


def test_certain_and_impossible_tokens() -> None:
    asked = replace(judgment('{"correct": true}'), logprobs=(1e-9,))
    assert read_verdict(asked, 1).probability == 1.0
    assert read_verdict(replace(asked, logprobs=(-math.inf,)), 1).probability == 0.0
    with pytest.raises(DataError, match="not a number"):
        read_verdict(replace(asked, logprobs=(math.nan,)), 1)
    for wrong in (math.inf, 0.5):
        with pytest.raises(DataError, match="not a number of at most 0"):
            read_verdict(replace(asked, logprobs=(wrong,)), 1)


def test_tokens_that_do_not_cover_the_response() -> None:
    whole = judgment('{"correct":', " true}")
    for broken in (replace(whole, logprobs=(0.0,)), replace(whole, response=whole.response + "!")):
        with pytest.raises(DataError, match="do not cover"):
            read_verdict(broken, 2)


def test_a_judgment_cut_short_is_refused_and_a_finished_one_is_not() -> None:
    cut = judgment('{"correct":', " true}", finish="length", budget=2)
    assert read_verdict(cut, 2).value is True
    with pytest.raises(DataError, match=r"cut at 2 tokens, 3 asked for; run the discriminator again"):
        read_verdict(cut, 3)
    assert read_verdict(replace(cut, finish_reason="stop"), 3).value is True


def yes(probability: float, sql: str = SQL) -> Judgment:
    return Judgment(0, sql, p_yes=probability)


POOL = [CandidateSet(0, (Candidate("B"), Candidate("A"))), CandidateSet(7, (Candidate("A"),))]
JUDGED = [
    judgment('{"correct": ', "true", "}", question_id=7, sql="A"),
    judgment('{"correct": ', "false", "}", sql="A"),
    judgment("No", " idea", sql="B"),
]


def test_scores_stand_in_the_order_of_the_candidates() -> None:
    scores = score_judgments(POOL, JUDGED, budget=9, scoring="soft", mode="naive", executable=None)
    assert [(s.question_id, s.sql, s.verdict, s.failure, s.asked) for s in scores] == [
        (0, "B", None, True, True),
        (0, "A", False, False, True),
        (7, "A", True, False, True),
    ]
    assert [s.score for s in scores] == pytest.approx([FAILURE_SCORE, 2 / 3, 1 / 3])
    hard = score_judgments(POOL, JUDGED, budget=9, scoring="hard", mode="naive", executable=None)
    assert [s.score for s in hard] == [FAILURE_SCORE, 0.0, 1.0]
    early = score_judgments(POOL, JUDGED, budget=2, scoring="hard", mode="naive", executable=None)
    assert all(s.failure for s in early)


def test_the_check_keeps_what_does_not_run_from_the_model() -> None:
    runs = {(0, "B"): False, (0, "A"): True, (7, "A"): True}
    scores = score_judgments(POOL, JUDGED[:2], budget=9, scoring="soft", mode="check", executable=runs)
    assert (scores[0].score, scores[0].verdict, scores[0].failure, scores[0].asked) == (
        NOT_EXECUTABLE_SCORE,
        None,
        False,
        False,
    )
    assert [s.asked for s in scores] == [False, True, True]


def test_yes_no_judgments_are_not_read_as_text() -> None:
    pool = [CandidateSet(0, tuple(Candidate(str(p)) for p in (0.2, 0.5, 0.8)))]
    judged = [replace(yes(p, str(p)), response='{"correct": true}') for p in (0.2, 0.5, 0.8)]
    soft = score_judgments(pool, judged, budget=1, scoring="soft", mode="naive", executable=None)
    hard = score_judgments(pool, judged, budget=1, scoring="hard", mode="naive", executable=None)
    assert [s.score for s in soft] == [0.2, 0.5, 0.8]
    assert [s.score for s in hard] == [0.0, 0.0, 1.0]
    assert [s.verdict for s in soft] == [False, False, True]
    assert not any(s.failure for s in soft)
    for wrong in (math.nan, math.inf, 1.5, -0.1, True, "0.5"):
        with pytest.raises(DataError, match="not a number"):
            read_verdict(yes(wrong), 1)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"question 0, .*: p_yes is .*; it must be"):
            score_judgments(pool, [*judged, yes(wrong)], budget=1, scoring="soft", mode="naive", executable=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"judgments": JUDGED[:2]}, DataError, "question 0: no judgment of candidate 'B'"),
        ({"judgments": [*JUDGED, replace(JUDGED[0], response="x", token_ends=(1,))]}, DataError, "two judgments"),
        ({"scoring": "softest"}, ConfigError, "scoring 'softest': not known; choose one of soft, hard"),
        ({"mode": "checked"}, ConfigError, "mode 'checked': not known; choose one of naive, check"),
        ({"mode": "check"}, ConfigError, "needs the candidates' executions"),
        ({"mode": "check", "executable": {}}, DataError, "question 0: no execution of candidate 'B'"),
        ({"budget": 0}, ConfigError, "at least 1 token"),
    ],
)
def test_bad_input_is_named(changes: dict[str, object], error: type[Exception], message: str) -> None:
    asked: dict[str, object] = {
        "judgments": JUDGED, "budget": 9, "scoring": "soft", "mode": "naive", "executable": None, **changes,
    }  # fmt: skip
    with pytest.raises(error, match=message):
        score_judgments(POOL, **asked)  # type: ignore[arg-type]


def ran(question_id: int, sql: str, outcome: Outcome) -> Execution:
    return Execution(question_id, sql, outcome, "", (), 0, 0, 0.0, None)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The files of a pool, in which one candidate does not execute."""
    names = ("candidates", "judgments", "prompt", "forced", "executions", "scores")
    paths = {name: str(tmp_path / name) for name in names}
    Path(paths["prompt"]).write_text("Judge ${sql}\n=== answer ===\n", encoding="utf-8")
    write_jsonl(paths["candidates"], POOL)
    write_judgments(paths["judgments"], JUDGED)
    verdicts = [ForcedVerdict(7, "A", budget, budget, budget / 10) for budget in (2, 8)]
    verdicts += [ForcedVerdict(0, sql, budget, budget, 0.75) for sql in "AB" for budget in (2, 8)]
    write_jsonl(paths["forced"], verdicts)
    write_jsonl(paths["executions"], [ran(0, "A", "ok"), ran(0, "B", "timeout"), ran(7, "A", "ok")])
    return paths


RUNS = {(0, "A"): True, (0, "B"): False, (7, "A"): True}


def test_a_pools_scores_are_written(files: dict[str, str]) -> None:
    paths = {name: files[name] for name in ("candidates", "judgments", "prompt", "scores")}
    kept = read_judgments(files["judgments"])
    for mode, executions in (("naive", []), ("check", [files["executions"]])):
        score_pool(**paths, executions=executions, budget=9, scoring="soft", mode=mode, verdicts="any")
        expected = score_judgments(POOL, kept, budget=9, scoring="soft", mode=mode, executable=RUNS)
        assert read_jsonl(files["scores"], Score) == expected
    Path(files["prompt"]).write_text('such as {"correct": true} or {"correct": false}.\n=== answer ===\n')
    said = 'It was said: {"correct": true} or {"correct": false}. So'
    answers = [replace(one, response=said, token_ids=(1,), token_ends=(len(said),), logprobs=(0.0,)) for one in JUDGED]
    write_judgments(files["judgments"], answers)
    score_pool(**paths, executions=[], budget=9, scoring="soft", mode="naive", verdicts="any")
    assert all(score.failure for score in read_jsonl(files["scores"], Score)), "the prompt's own objects are no verdict"
    write_judgments(
        files["judgments"], [judgment("{'correct': true}", sql=one.sql, question_id=one.question_id) for one in JUDGED]
    )
    for verdicts, failures in (("any", 0), ("paper", 3)):
        score_pool(**paths, executions=[], budget=1, scoring="soft", mode="naive", verdicts=verdicts)
        assert sum(score.failure for score in read_jsonl(files["scores"], Score)) == failures
    with pytest.raises(ConfigError, match="needs the candidates' executions"):
        score_pool(**paths, executions=[], budget=9, scoring="soft", mode="check", verdicts="any")


def test_a_pools_forced_scores_are_those_at_one_budget(files: dict[str, str]) -> None:
    paths = {name: files[name] for name in ("candidates", "forced", "scores")}
    score_forced_pool(**paths, executions=[files["executions"]], budget=8, mode="check")
    found = read_jsonl(files["scores"], Score)
    assert [(score.score, score.asked, score.tokens) for score in found] == [
        (-1, False, 0),
        (0.75, True, 8),
        (0.8, True, 8),
    ]
    score_forced_pool(**paths, executions=[], budget=2, mode="naive")
    assert [score.score for score in read_jsonl(files["scores"], Score)] == [0.75, 0.75, 0.2]
    with pytest.raises(DataError, match="question 0: no forced verdict of candidate 'B'"):
        score_forced_pool(**paths, executions=[], budget=3, mode="naive")


def test_which_candidates_execute_is_read_from_files(files: dict[str, str]) -> None:
    assert read_executable([]) is None
    assert read_executable([files["executions"]]) == RUNS
    with pytest.raises(ConfigError, match="mode 'checks': not known; choose one of naive, check"):
        mode_of("checks")
