"""An adaptive budget stops where a verdict is settled; its policy comes from databases that it is not scored on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import Candidate, CandidateSet, Execution, ForcedVerdict, Question, Score, write_jsonl
from sqljudge.metrics.adaptive import Policy, adaptive_metrics, policies, stopped, write_adaptive

BUDGETS = (0, 10, 20, 30)
NEVER = 1.0


def thought(*probabilities: float | None, question_id: int = 0, sql: str = "a;") -> list[ForcedVerdict]:
    return [
        ForcedVerdict(question_id, sql, budget, budget, p, 0.9)
        for budget, p in zip(BUDGETS, probabilities, strict=False)
    ]


@pytest.mark.parametrize(
    ("policy", "budget"),
    [
        (Policy(0.5, 4), 0),
        (Policy(0.55, 9), 0),
        (Policy(0.6, 9), 10),
        (Policy(0.75, 9), 20),
        (Policy(0.8, 9), 30),
        (Policy(NEVER, 1), 0),
        (Policy(NEVER, 2), 20),
        (Policy(NEVER, 3), 30),
        (Policy(NEVER, 4), 30),
    ],
)
def test_a_thought_stops_where_its_verdict_is_settled(policy: Policy, budget: int) -> None:
    assert stopped(thought(0.6, 0.3, 0.2, 0.45), policy).budget == budget


def test_half_is_a_verdict_of_false_and_a_failure_ends_all() -> None:
    assert stopped(thought(0.5, 0.4, 0.9), Policy(NEVER, 2)).budget == 10
    assert stopped(thought(0.6, None, 0.9), Policy(NEVER, 2)).budget == 10


def test_policies_are_tried_from_the_most_cautious_on() -> None:
    assert policies([0.7, 1], 2) == [Policy(c, k) for c in (1, 0.7) for k in (3, 2, 1)]
    assert policies([0.7], 2) == policies([0.7, 1], 2)
    assert stopped(thought(1.0, 1.0, 1.0), policies([0.5], 3)[0]).budget == 20, "the first stops no thought"


def pool(seed: int, questions: int = 12, databases: int = 3) -> tuple[list[CandidateSet], list[ForcedVerdict], Any]:
    """Candidates whose verdicts grow better and surer with each checkpoint."""
    draw = random.Random(seed)
    sets, found = [], []
    for number in range(questions):
        labels = [draw.random() < 0.5 for _ in range(3)]
        sets.append(CandidateSet(number, tuple(Candidate(f"q{i}", label=int(label)) for i, label in enumerate(labels))))
        for i, label in enumerate(labels):
            steps = [draw.gauss((0.3 if label else -0.3) * step, 0.4) for step in range(len(BUDGETS))]
            shares = [min(0.99, max(0.01, 0.5 + step)) for step in steps]
            found += thought(*shares, question_id=number, sql=f"q{i}")
    return sets, found, {number: f"d{number % databases}" for number in range(questions)}


def own(sets: list[CandidateSet]) -> list[Score]:
    keys = [(group.question_id, each.sql) for group in sets for each in group.candidates]
    return [Score(*key, 0.5, True, failure=False, tokens=40) for key in keys]


def measured(sets: list[CandidateSet], verdicts: list[ForcedVerdict], databases: Any, **how: Any) -> dict[str, Any]:
    settings = {"confidences": [0.6, 0.8, 0.95], "mode": "naive", "executable": None, "seed": 1, "resamples": 200}
    return adaptive_metrics(sets, verdicts, own(sets), databases, **{**settings, **how})


def by_hand(sets: list[CandidateSet], chosen: dict[tuple[int, str], ForcedVerdict], questions: set[int]) -> Any:
    """Tokens and PwAcc on some questions, by separate code."""
    won = pairs = tokens = asked = 0
    for group in (group for group in sets if group.question_id in questions):
        for one in group.candidates:
            asked += 1
            tokens += chosen[group.question_id, one.sql].tokens
            for other in group.candidates:
                if one.label and not other.label:
                    first, second = (chosen[group.question_id, each.sql].probability or 0 for each in (one, other))
                    pairs, won = pairs + 1, won + (first > second)
    return tokens / asked, won / pairs


@pytest.mark.parametrize("seed", range(5))
def test_each_database_has_the_policy_that_saves_most_on_the_others(seed: int) -> None:
    sets, verdicts, databases = pool(seed)
    result = measured(sets, verdicts, databases)
    thoughts: dict[tuple[int, str], list[ForcedVerdict]] = {}
    for verdict in verdicts:
        thoughts.setdefault((verdict.question_id, verdict.sql), []).append(verdict)
    full = {key: each[-1] for key, each in thoughts.items()}
    mixed = {}
    for name in ("d0", "d1", "d2"):
        rest = {number for number, database in databases.items() if database != name}
        wanted = by_hand(sets, full, rest)[1]
        options = []
        for confidence in (1, 0.95, 0.8, 0.6):
            for patience in (5, 4, 3, 2, 1):
                policy = Policy(confidence, patience)
                tokens, accuracy = by_hand(sets, {k: stopped(t, policy) for k, t in thoughts.items()}, rest)
                if accuracy >= wanted - 1e-9:
                    options.append((round(tokens, 9), -round(accuracy, 9), len(options), policy))
        best = min(options)[-1]
        assert result["folds"][name] == {"confidence": best.confidence, "patience": best.patience}
        mixed |= {k: stopped(t, best) for k, t in thoughts.items() if databases[k[0]] == name}
    everything = set(databases)
    (tokens, accuracy), whole = by_hand(sets, mixed, everything), by_hand(sets, full, everything)
    adaptive = result["metrics"]["adaptive"]
    assert (adaptive["tokens"]["value"], adaptive["pwacc"]["value"]) == pytest.approx((tokens, accuracy))
    assert (result["metrics"]["full"]["tokens"]["value"], result["metrics"]["full"]["pwacc"]["value"]) == whole
    assert adaptive["saved"]["value"] == pytest.approx(1 - tokens / whole[0])
    assert adaptive["difference"]["value"] == pytest.approx(accuracy - whole[1])
    assert adaptive["difference"]["low"] <= adaptive["difference"]["value"] <= adaptive["difference"]["high"]
    assert result["metrics"]["own"]["tokens"]["value"] == 40
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_what_is_fitted_does_not_see_the_database_that_it_is_used_on() -> None:
    sets, verdicts, databases = pool(1)
    turned = [
        ForcedVerdict(v.question_id, v.sql, v.budget, v.tokens, 1 - (v.probability or 0), v.mass)
        if databases[v.question_id] == "d0"
        else v
        for v in verdicts
    ]
    one, other = (measured(sets, each, databases)["folds"] for each in (verdicts, turned))
    assert one["d0"] == other["d0"]


def test_a_single_database_has_nothing_to_fit_on() -> None:
    sets, verdicts, _ = pool(1, databases=1)
    result = measured(sets, verdicts, dict.fromkeys(range(12), "d"))
    assert result["folds"] == {}
    assert {part["value"] for part in result["metrics"]["adaptive"].values()} == {None}
    assert result["metrics"]["full"]["tokens"]["value"] == 30


def test_a_question_whose_request_failed_is_left_out_whatever_the_policy() -> None:
    sets, verdicts, databases = pool(2)
    failed = [ForcedVerdict(3, "q0", 30) if (v.question_id, v.sql, v.budget) == (3, "q0", 30) else v for v in verdicts]
    result = measured(sets, failed, databases)
    assert (result["questions"], result["left_out"]) == (11, 1)
    kept = [group for group in sets if group.question_id != 3]
    assert result["metrics"] == measured(kept, [v for v in verdicts if v.question_id != 3], databases)["metrics"]


def test_a_candidate_that_does_not_execute_costs_nothing() -> None:
    sets, verdicts, databases = pool(3)
    runs = {(group.question_id, each.sql): each.sql != "q0" for group in sets for each in group.candidates}
    result = measured(sets, verdicts, databases, mode="check", executable=runs)
    assert result["metrics"]["full"]["tokens"]["value"] == 30, "a mean over candidates that the model was asked about"
    assert sum(row["asked"] for row in result["per_question"]) == 24


def test_what_is_missing_is_said() -> None:
    sets, verdicts, databases = pool(4)
    with pytest.raises(DataError, match="question 0: 3 forced verdicts of candidate 'q0' at 4 checkpoints"):
        measured(sets, verdicts[1:], databases)
    with pytest.raises(DataError, match="question 5: its database is not known"):
        measured(sets, verdicts, {key: name for key, name in databases.items() if key != 5})
    with pytest.raises(DataError, match="no forced verdict of candidate 'q0'"):
        measured(sets, [v for v in verdicts if (v.question_id, v.sql) != (0, "q0")], databases)


def test_no_questions_at_all() -> None:
    result = measured([], [], {})
    assert result["questions"] == 0
    assert {part["value"] for group in result["metrics"].values() for part in group.values()} == {None}


@pytest.mark.parametrize("mode", ["naive", "check"])
def test_what_is_saved_is_written_with_its_settings(tmp_path: Path, mode: str) -> None:
    """At the checkpoints of the settings alone; executions are read where the mode needs them."""
    sets, verdicts, databases = pool(3)
    keys = [(group.question_id, each.sql) for group in sets for each in group.candidates]
    runs = [Execution(*key, "ok" if key[1] != "q0" else "error", "", (), 0, 0, 0.0, None) for key in keys]
    questions = [Question(number, name, "?", "SELECT 1", "", "easy") for number, name in databases.items()]
    names = ("questions", "candidates", "forced", "scores", "executions")
    for name, some in zip(names, (questions, sets, verdicts, own(sets), runs), strict=True):
        write_jsonl(tmp_path / name, some)
    settings = {"discriminator": "d", "mode": mode, "checkpoints": (10, 30)}
    write_adaptive(
        **{name: str(tmp_path / name) for name in names[:4]},
        executions=[str(tmp_path / "executions")] if mode == "check" else [],
        metrics=str(tmp_path / "metrics"),
        settings=settings,
        confidences=[0.6, 0.8, 0.95],
        seed=1,
        resamples=200,
    )
    kept = [verdict for verdict in verdicts if verdict.budget in (10, 30)]
    executable = {key: key[1] != "q0" for key in keys} if mode == "check" else None
    expected = measured(sets, kept, databases, mode=mode, executable=executable)
    assert read_json(tmp_path / "metrics") == {"settings": {**settings, "checkpoints": [10, 30]}, **expected}
    assert expected["checkpoints"] == [10, 30]
