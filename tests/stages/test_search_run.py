"""What a search asks of models: the right prompts, each request once, every call booked, failures passed on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import ConfigError
from sqljudge.core.files import read_json
from sqljudge.core.records import (
    UNANSWERED,
    CandidateSet,
    Cost,
    Execution,
    Question,
    Selection,
    read_jsonl,
    write_jsonl,
)
from sqljudge.models import journal
from sqljudge.models.engines.base import ChoiceRequest, Failure, GenerationRequest, Prompt
from sqljudge.models.engines.scripted import ScriptedBackend
from sqljudge.models.session import Session, no_report
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.stages.generate import Decoding, generate_candidates
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.stages.search.correction import Correction
from sqljudge.stages.search.cost import Ledger
from sqljudge.stages.search.driver import Outcome, Step
from sqljudge.stages.search.run import (
    STRATEGIES,
    Reader,
    Writer,
    baseline_values,
    model_proposals,
    model_values,
    search_pool,
    search_questions,
    settings_of,
)

PLAIN, CORRECT = PromptTemplate("Ask ${question}", "SELECT"), PromptTemplate("Fix ${sql} for ${question}", "SELECT")
QUESTIONS = [Question(i, "d", f"q{i}", "SELECT 1", "", "easy") for i in range(3)]
BY_ID = {question.id: question for question in QUESTIONS}
RULES = (
    {"match": "Fix SELECT a; for q", "response": " b;"},
    {"match": "Fix SELECT s;", "response": [" x;", " y;", " z;"]},
    {"match": r"Ask q\d+</user>SELECT a$", "response": " FROM t;"},
    {"match": "Ask q", "response": [" a;", " a FROM u;"]},
    {"match": r'\{"correct":$', "probabilities": {"true": 0.2, "false": 0.6}},
    {"match": "Judge SELECT b;", "response": ' {"correct": true}', "probabilities": {"Yes": 0.75}},
    {"match": "Judge", "response": ' {"correct": false}', "probabilities": {"Yes": 0.25}},
)


@pytest.fixture
def session(scripted: Callable[..., ScriptedBackend]) -> Session:
    return Session(scripted(*RULES), None, "job", tolerated=0.9)


def writer(session: Session, strategy: str = "correction") -> Writer:
    prompt = STRATEGIES[strategy].prompt
    return Writer(
        session, lambda start: prompt(PLAIN, CORRECT, start), Framing("chat"), "statement", Decoding(2, 0.5, 40), seed=3
    )


def reader(session: Session, method: str = "yes_no", scoring: str = "soft", budget: int = 30) -> Reader:
    closing = PromptTemplate("</think>", '{"correct":')
    return Reader(
        session, method, PromptTemplate("Judge ${sql} for ${question}", ""), closing, Framing("raw"), budget, scoring
    )


def ran(sets: Sequence[CandidateSet]) -> list[Execution]:
    """What executes has no `FROM`; what is right has a `b`."""
    return [
        Execution(each.question_id, one.sql, "error" if "FROM" in one.sql else "ok", "", (), 0, 0, 0.0, "b" in one.sql)
        for each in sets
        for one in each.candidates
    ]


def test_what_the_generator_is_asked() -> None:
    plain, correct = PromptTemplate("Q ${question}", "SELECT"), PromptTemplate("fix ${sql}", "SELECT")
    first, later = (STRATEGIES["correction"].prompt(plain, correct, start) for start in ("", "a;"))
    assert (first.template, first.sql, first.opening) == (plain, "", "SELECT")
    assert (later.template, later.sql, later.opening) == (correct, "a;", "SELECT")
    root, inner = (STRATEGIES["tree_search"].prompt(plain, None, start) for start in ("", "SELECT '$'"))
    assert (root.template, root.opening) == (plain, "SELECT")
    assert (inner.template, inner.opening) == (PromptTemplate("Q ${question}", "SELECT '$$'"), "SELECT '$'")


def test_a_planners_numbers() -> None:
    entry = {"strategy": "correction", "label": "L", "prompt": "p.txt", "rounds": 3}
    assert settings_of(entry) == Correction(rounds=3)
    assert settings_of(entry).most(4) == 4 + 3 * 5
    assert settings_of({"strategy": "tree_search", "completions": 2}).most(4) == 100


def test_a_step_is_answered_from_what_it_starts_from(session: Session) -> None:
    ledger = Ledger(BY_ID)
    found = model_proposals(writer(session), BY_ID, ledger)([(0, Step("", 2)), (1, Step("SELECT a;", 3, 2))])
    assert found == [["SELECT a;", "SELECT a FROM u;"], ["SELECT b;"] * 3]
    (later,) = model_proposals(writer(session), BY_ID, ledger)([(2, Step("SELECT s;", 2, 1))])
    assert later == ["SELECT y;", "SELECT z;"], "samples are counted on"
    (tree,) = model_proposals(writer(session, "tree_search"), BY_ID, ledger)([(2, Step("SELECT a", 1))])
    assert tree == ["SELECT a FROM t;"]
    costs = ledger.costs([CandidateSet(i, ()) for i in range(3)])
    assert [cost.generator_calls for cost in costs] == [2, 3, 3]
    assert costs[0].generator_read == 2 * len("<user>Ask q0</user>SELECT")
    assert (costs[0].generator_written, costs[2].generator_written) == (
        len(" a;") + len(" a FROM u;"),
        len(" y;") + len(" z;") + len(" FROM t;"),
    )


def test_the_question_alone_is_asked_as_the_generate_stage_asks_it(session: Session, tmp_path: Path) -> None:
    """So a search's first samples come from the journal, and are those that are re-ranked."""
    session.journal = tmp_path
    sets = generate_candidates(
        session,
        QUESTIONS,
        template=PLAIN,
        framing=Framing("chat"),
        extraction="statement",
        decoding=Decoding(2, 0.5, 40),
        seed=3,
    )
    before = session.usage.distinct
    found = model_proposals(writer(session), BY_ID, Ledger(BY_ID))([(each.id, Step("", 2)) for each in QUESTIONS])
    assert session.usage.from_journal == session.usage.distinct - before == 6
    assert found == [[candidate.sql for candidate in each.candidates] for each in sets]


def test_scores_are_those_of_re_ranking_and_the_check_keeps_what_does_not_execute(session: Session) -> None:
    pairs = [(0, "SELECT b;"), (1, "SELECT a FROM u;")]
    for mode, expected, calls in (("naive", [0.75, 0.25], [1, 1]), ("check", [0.75, -1.0], [1, 0])):
        ledger = Ledger(BY_ID)
        assert model_values(reader(session), BY_ID, ledger, mode=mode, execute=ran)(pairs) == expected
        costs = ledger.costs([CandidateSet(i, ()) for i in (0, 1)])
        assert [cost.discriminator_calls for cost in costs] == calls
        assert costs[0].discriminator_read == len("Judge SELECT b; for q0")


@pytest.mark.parametrize(("scoring", "score", "calls"), [("soft", 0.9, 1), ("hard", 1.0, 1), ("forced", 0.25, 2)])
def test_a_reasoning_discriminator_is_read_by_any_scoring(
    session: Session, scoring: str, score: float, calls: int
) -> None:
    ledger = Ledger(BY_ID)
    value = model_values(reader(session, "reasoning", scoring), BY_ID, ledger, mode="naive", execute=ran)
    assert value([(0, "SELECT b;")]) == [pytest.approx(score)]
    (cost,) = ledger.costs([CandidateSet(0, ())])
    assert (cost.discriminator_calls, cost.discriminator_written) == (calls, len(' {"correct": true}'))


def test_an_unknown_scoring_or_mode_is_refused(session: Session) -> None:
    with pytest.raises(ConfigError, match="scoring 'loud' is unknown; known: soft, hard, forced"):
        model_values(reader(session, scoring="loud"), BY_ID, Ledger(BY_ID), mode="naive", execute=ran)
    with pytest.raises(ConfigError, match="mode 'checked': not known; choose one of naive, check"):
        model_values(reader(session), BY_ID, Ledger(BY_ID), mode="checked", execute=ran)


@pytest.mark.parametrize(
    ("method", "p", "mode", "scores"),
    [("oracle", 1, "naive", [1.0, 0.0]), ("oracle", 0, "check", [0.0, -1.0]), ("executable", 1, "naive", [1.0, 0.0])],
)
def test_a_baseline_values_new_queries(method: str, p: float, mode: str, scores: list[float]) -> None:
    value = baseline_values(method, p=p, mode=mode, seed=1, execute=ran)
    assert value([(0, "SELECT b;"), (1, "SELECT a FROM u;")]) == scores


class Flaky(ScriptedBackend):
    """Gives no completion about the second question, and no score about the third."""

    def choose(self, requests: Sequence[ChoiceRequest]) -> Any:
        for i, answer in super().choose(requests):
            yield i, Failure("lost") if "Judge SELECT b; for q2" in requests[i].prompt.text else answer

    def generate(self, requests: Sequence[GenerationRequest], heartbeat: Any = None) -> Any:
        for i, answer in super().generate(requests):
            yield i, Failure("lost") if "Fix SELECT a; for q1" in requests[i].prompt.text else answer


PLANNERS: dict[str, dict[str, Any]] = {
    "correction": {"strategy": "correction", "label": "Fix", "prompt": "p", "rounds": 3, "completions": 2},
    "tree_search": {"strategy": "tree_search", "label": "Tree", "expansions": 4, "completions": 2},
}


def planned(
    session: Session, strategy: str, method: str = "yes_no", scoring: str = "soft"
) -> tuple[list[Outcome], list[Cost]]:
    """What came of a search, and its costs."""
    asked = reader(session, method, scoring)
    outcomes, ledger = search_questions(
        QUESTIONS,
        writer(session, strategy),
        lambda known, ledger: model_values(asked, known, ledger, mode="check", execute=ran),
        planner=PLANNERS[strategy],
    )
    return outcomes, ledger.costs([outcome.candidates() for outcome in outcomes])


def test_a_failed_request_leaves_its_question_out_and_no_other(scripted: Callable[..., ScriptedBackend]) -> None:
    backend = scripted(*RULES)
    outcomes, _ = planned(Session(Flaky(backend.spec, backend.rules), None, "job", tolerated=0.9), "correction")
    selections = [outcome.selection() for outcome in outcomes]
    assert [each.sql for each in selections] == ["SELECT b;", ";", ";"]
    assert [each.reason == UNANSWERED for each in selections] == [False, True, True]
    assert [outcome.candidates().unanswered for outcome in outcomes] == [False, True, True]


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_costs_are_those_of_the_planner_alone_also_from_the_journal(
    session: Session, tmp_path: Path, strategy: str
) -> None:
    session.journal = tmp_path
    outcomes, costs = planned(session, strategy)
    spent = replace(session.usage)
    again = planned(Session(session.backend, tmp_path, "job"), strategy)
    assert again == (outcomes, costs)
    total = [sum(getattr(cost, name) for cost in costs) for name in ("generator_read", "discriminator_read")]
    assert sum(total) == spent.prompt_tokens
    assert spent.from_journal == 0
    assert [cost.queries for cost in costs] == [len(outcome.candidates().candidates) for outcome in outcomes]


def test_a_part_of_the_journal_gives_the_same_search(session: Session, tmp_path: Path) -> None:
    session.journal = tmp_path
    whole = planned(session, "correction")
    (file,) = tmp_path.glob("*.jsonl")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    resumed = Session(session.backend, tmp_path, "job")
    assert planned(resumed, "correction") == whole
    assert 0 < resumed.usage.from_journal < resumed.usage.distinct


@pytest.mark.parametrize(("method", "scoring"), [("yes_no", "soft"), ("reasoning", "soft"), ("reasoning", "forced")])
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_round_does_not_read_the_journal_anew(
    session: Session, tmp_path: Path, strategy: str, method: str, scoring: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other jobs were answered is read once, whatever the number of rounds; own answers where they are wanted."""
    asked = [GenerationRequest(Prompt(f"Ask q{i} of another job"), 40) for i in range(300)]
    Session(session.backend, tmp_path, "another").complete(asked)
    held = sum(file.stat().st_size for file in tmp_path.iterdir())
    lines: list[bytes] = []
    entry = journal._entry
    monkeypatch.setattr(journal, "_entry", lambda line: (lines.append(line), entry(line))[1])
    rounds = []
    refresh = journal.JournalReader.refresh
    monkeypatch.setattr(journal.JournalReader, "refresh", lambda reader: (rounds.append(reader), refresh(reader))[1])
    session.journal = tmp_path
    planned(session, strategy, method, scoring)
    assert len(rounds) >= 4
    own = (tmp_path / "job.jsonl").stat().st_size
    assert held < sum(map(len, lines)) < held + 6 * own < 2 * held


def test_a_search_leaves_its_files(scripted: Callable[..., ScriptedBackend], tmp_path: Path) -> None:
    """With a model that judges, and with a baseline in its place, which is asked nothing."""
    backend = scripted(
        {"match": "^Fix SELECT 1; for one of d", "response": " 2;"},
        {"match": "^Ask", "response": [" 1;", " x;"]},
        {"match": "^Judge SELECT 2;", "probabilities": {"Yes": 0.75}},
        {"match": "^Judge SELECT 1;", "probabilities": {"Yes": 0.25}},
    )
    (tmp_path / "d").mkdir()
    with sqlite3.connect(tmp_path / "d" / "d.sqlite") as connection:
        connection.execute("CREATE TABLE one AS SELECT 1 AS a")
    prompts = {"generator": "Ask ${question}${schema}", "planner": "Fix ${sql} for ${question}${schema}"}
    prompts |= {"discriminator": "Judge ${sql} for ${question}", "closing": "</think>"}
    for name, text in prompts.items():
        (tmp_path / name).write_text(f"{text}\n=== answer ===\n{'{' if name == 'closing' else 'SELECT'}\n")
    write_jsonl(tmp_path / "questions", [Question(4, "d", "one", "SELECT 2", " of d", "easy")])
    row = asdict(backend.spec)
    names = ("selections", "costs", "tried", "trace", "generator_run", "discriminator_run")
    made = {name: str(tmp_path / f"{name}.out") for name in names}

    def searched(discriminator: dict[str, Any], *judges: str) -> list[Cost]:
        search_pool(
            questions=str(tmp_path / "questions"),
            candidates="not there",
            generator_prompt=str(tmp_path / "generator"),
            planner_prompt=[str(tmp_path / "planner")],
            discriminator_prompt=[str(tmp_path / judge) for judge in judges],
            closing=str(tmp_path / "closing"),
            databases=str(tmp_path),
            generator_weights=[],
            discriminator_weights=[],
            **made,
            planner=PLANNERS["correction"],
            models={"generator": row, **dict.fromkeys(judges, row)},
            generator={"framing": {"prompt_format": "raw"}, "extraction": "statement"},
            discriminator=discriminator,
            decoding={"samples": 2, "temperature": 0.5, "max_new_tokens": 9},
            budget=1,
            scoring="soft",
            verdicts="any",
            mode="check",
            quoted_names=False,
            comparison=TEST_SUITE,
            limits={},
            seed=1,
            label="fix.job",
            gpu=0,
            workers=1,
            journal=str(tmp_path / "journal"),
            failures_tolerated=0.0,
        )
        (selection,) = read_jsonl(made["selections"], Selection)
        assert (selection.question_id, selection.sql) == (4, "SELECT 2;")
        assert selection.reason == "best of 3 queries; positive verdict"
        (tried,) = read_jsonl(made["tried"], CandidateSet)
        assert [(one.sql, one.count) for one in tried.candidates] == [
            ("SELECT 1;", 1),
            ("SELECT x;", 1),
            ("SELECT 2;", 2),
        ]
        trace = read_json(made["trace"])
        assert (trace["question_id"], trace["steps"], len(trace["tried"])) == (4, 2, 3)
        assert read_json(made["generator_run"])["requests"] == 4
        return read_jsonl(made["costs"], Cost)

    (cost,) = searched({"method": "yes_no", "framing": {"prompt_format": "raw"}}, "discriminator")
    assert (cost.generator_calls, cost.discriminator_calls, cost.queries) == (4, 2, 3), (
        "not about what does not execute"
    )
    assert read_json(made["discriminator_run"])["requests"] == 2
    folder = tmp_path / "journal" / backend.spec.name
    assert sorted(path.name for path in folder.iterdir()) == ["fix.job.discriminator.jsonl", "fix.job.generator.jsonl"]
    (cost,) = searched({"method": "oracle", "p": 1.0})
    assert (cost.generator_calls, cost.discriminator_calls, cost.discriminator_read) == (4, 0, 0)
    assert read_json(made["generator_run"])["from_journal"] == 4
    assert read_json(made["discriminator_run"]) == no_report("oracle")
