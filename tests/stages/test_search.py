"""Planners that ask while they plan: when they stop, what they choose, and how many questions they ask at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pytest
from sqljudge.core.records import EMPTY_SQL, UNANSWERED, Candidate
from sqljudge.stages.search.correction import Correction, correction
from sqljudge.stages.search.driver import Outcome, Plan, Step, best_of, search
from sqljudge.stages.search.tree import Node, Tree, child, tree

Answers = Mapping[str, Sequence[str] | None]


class Scripted:
    """Answers steps by what they start from, and scores queries from a table; counts the queues."""

    def __init__(self, answers: Answers, scores: Mapping[str, float | None]) -> None:
        self.answers = answers
        self.scores = scores
        self.steps: list[list[tuple[int, Step]]] = []
        self.valued: list[list[tuple[int, str]]] = []

    def propose(self, asked: Sequence[tuple[int, Step]]) -> list[list[str] | None]:
        self.steps.append(list(asked))
        return [self._proposed(step) for _, step in asked]

    def _proposed(self, step: Step) -> list[str] | None:
        known = self.answers.get(step.start, ())
        return None if known is None else [known[(step.first + i) % len(known)] for i in range(step.samples) if known]

    def value(self, pairs: Sequence[tuple[int, str]]) -> list[float | None]:
        self.valued.append(list(pairs))
        return [self.scores[sql] for _, sql in pairs]

    def run(self, plan: Callable[[], Plan], ids: Sequence[int] = (7,)) -> list[Outcome]:
        return search(ids, plan, self.propose, self.value)


def correcting(samples: int = 2, **settings: int) -> Callable[[], Plan]:
    return partial(correction, Correction(**{"completions": 2, **settings}), samples)


def growing(**settings: int) -> Callable[[], Plan]:
    return partial(tree, Tree(**{"completions": 2, **settings}), 0)


# --- correction -----------------------------------------------------------------------------------------------------


def test_a_positive_verdict_ends_correction_at_once() -> None:
    made = Scripted({"": ["a;", "b;"]}, {"a;": 0.4, "b;": 0.51})
    (found,) = made.run(correcting())
    assert (found.sql, found.score, found.stop, found.steps) == ("b;", 0.51, "positive verdict", 1)
    assert len(made.steps) == 1


def test_the_best_query_is_the_buggy_one_until_a_verdict_is_positive() -> None:
    made = Scripted({"": ["a;", "b;"], "b;": ["c;", "a;"], "c;": ["d;"]}, {"a;": 0.1, "b;": 0.2, "c;": 0.3, "d;": 0.9})
    (found,) = made.run(correcting())
    assert [asked[0][1].start for asked in made.steps] == ["", "b;", "c;"]
    assert (found.sql, found.stop, found.steps) == ("d;", "positive verdict", 3)
    assert [(each.step, each.start, each.sql, each.count) for each in found.tried] == [
        *((0, "", "a;", 1), (0, "", "b;", 1)),
        *((1, "b;", "c;", 1), (1, "b;", "a;", 1)),
        (2, "c;", "d;", 2),
    ]


def test_a_score_of_one_half_is_not_positive() -> None:
    made = Scripted({"": ["a;"], "a;": ["a;"]}, {"a;": 0.5})
    (found,) = made.run(correcting(rounds=1))
    assert (found.stop, found.steps) == ("1 rounds", 2)


def test_two_rounds_without_gain_end_it_and_a_gain_in_between_counts_anew() -> None:
    answers = {"": ["a;"], "a;": ["a;", "a;", "b;"], "b;": ["a;"]}
    made = Scripted(answers, {"a;": 0.1, "b;": 0.2})
    (found,) = made.run(correcting(completions=2))
    # round 1 no gain, round 2 (samples 2 and 3: "b;") gain, rounds 3 and 4 none
    assert [asked[0][1].start for asked in made.steps] == ["", "a;", "a;", "b;", "b;"]
    assert (found.sql, found.stop) == ("b;", "2 rounds without gain")


def test_five_rounds_end_it() -> None:
    chain = {"": ["q0;"], **{f"q{i};": [f"q{i + 1};"] for i in range(9)}}
    made = Scripted(chain, {f"q{i};": i / 100 for i in range(10)})
    (found,) = made.run(correcting())
    assert (found.sql, found.stop, found.steps) == ("q5;", "5 rounds", 6)


def test_every_round_has_sample_indices_of_its_own() -> None:
    made = Scripted({"": ["a;"], "a;": ["a;"]}, {"a;": 0.1})
    made.run(correcting(samples=3, patience=3, completions=4))
    assert [(step.first, step.samples) for asked in made.steps for _, step in asked] == [(0, 3), (0, 4), (4, 4), (8, 4)]


def test_ties_go_to_the_smallest_query() -> None:
    made = Scripted({"": ["b;", "a;"], "a;": ["b;"]}, {"a;": 0.3, "b;": 0.3})
    assert made.run(correcting())[0].sql == "a;"
    assert best_of([("b;", 0.3), ("c;", 0.4), ("a;", 0.4)]) == ("a;", 0.4)


# --- tree search ----------------------------------------------------------------------------------------------------

NAME = "SELECT name FROM t;"
AGE = "SELECT age FROM t;"
OLD = "SELECT age FROM t WHERE old;"


def test_a_completion_is_cut_after_its_next_clause() -> None:
    assert child(OLD, 0) == Node("SELECT age", 1, False)
    assert child(OLD, 1) == Node("SELECT age FROM t", 2, False)
    assert child(OLD, 2) == Node(OLD, 3, True)
    assert child(AGE, 1) == Node(AGE, 2, True)


def test_the_most_valuable_step_is_expanded_and_a_whole_query_ends_it() -> None:
    answers = {"": [NAME, AGE], "SELECT age": [OLD, AGE], "SELECT age FROM t": [OLD]}
    made = Scripted(answers, {NAME: 0.2, AGE: 0.4, OLD: 0.9})
    (found,) = made.run(growing())
    assert [asked[0][1].start for asked in made.steps] == ["", "SELECT age", "SELECT age FROM t"]
    assert (found.sql, found.score, found.steps, found.stop) == (OLD, 0.9, 3, "the best step is a whole query")


def test_a_steps_value_is_the_mean_of_all_completions_through_it() -> None:
    """Of three roll-outs through `age` one is good: the mean stays below that of the only one through `name`."""
    answers = {"": [AGE, AGE, OLD, NAME], "SELECT name": [NAME]}
    made = Scripted(answers, {NAME: 0.4, AGE: 0.1, OLD: 0.9})
    (found,) = made.run(growing(completions=4))
    assert [asked[0][1].start for asked in made.steps] == ["", "SELECT name"]
    assert found.sql == OLD, "the best query that was seen, wherever the search stopped"


def test_expansions_are_limited() -> None:
    answers = {"": [OLD], "SELECT age": [OLD], "SELECT age FROM t": [OLD]}
    for limit in (1, 2):
        made = Scripted(answers, {OLD: 0.9})
        (found,) = made.run(growing(expansions=limit))
        assert (len(made.steps), found.steps, found.stop) == (limit, limit, f"{limit} expansions")
    (found,) = Scripted(answers, {OLD: 0.9}).run(growing(expansions=3))
    assert found.stop == "the best step is a whole query"


def test_of_equal_steps_a_whole_query_comes_first_if_its_verdict_is_positive() -> None:
    answers = {"": ["SELECT 1;", OLD], "SELECT age": [OLD], "SELECT age FROM t": [OLD]}
    for score, steps in ((0.6, 1), (0.5, 3)):
        (found,) = Scripted(answers, {"SELECT 1;": score, OLD: score}).run(growing())
        assert found.steps == steps, score


def test_of_equal_steps_the_one_with_more_clauses_comes_first_then_the_smallest() -> None:
    longer, other = "SELECT z FROM t LIMIT 1;", "SELECT c FROM t;"
    answers = {"": ["SELECT d FROM t;", other], "SELECT c": [longer], "SELECT z FROM t": [longer]}
    made = Scripted(answers, dict.fromkeys(("SELECT d FROM t;", other, longer), 0.4))
    made.run(growing(expansions=3))
    assert [asked[0][1].start for asked in made.steps] == ["", "SELECT c", "SELECT z FROM t"]


def test_the_same_clauses_are_one_step_and_never_expanded_twice() -> None:
    longer = "SELECT age FROM t WHERE old LIMIT 1;"
    answers = {"": [OLD], "SELECT age": [OLD, longer], "SELECT age FROM t": [longer]}
    made = Scripted(answers, {OLD: 0.1, longer: 0.3})
    made.run(growing(expansions=9))
    starts = [asked[0][1].start for asked in made.steps]
    assert len(starts) == len(set(starts))


def test_a_query_is_scored_once_a_question() -> None:
    made = Scripted({"": [OLD], "SELECT age": [OLD], "SELECT age FROM t": [OLD]}, {OLD: 0.1})
    made.run(growing(), ids=(1, 2))
    assert made.valued == [[(1, OLD), (2, OLD)]]


# --- both -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [correcting(), growing()], ids=["correction", "tree"])
def test_the_number_of_queues_does_not_depend_on_the_number_of_questions(plan: Callable[[], Plan]) -> None:
    answers = {"": [NAME, AGE], "SELECT age": [OLD, AGE], "SELECT age FROM t": [OLD], AGE: [OLD], OLD: [OLD]}
    queues = []
    for ids in ((1,), tuple(range(50))):
        made = Scripted(answers, {NAME: 0.1, AGE: 0.2, OLD: 0.45})
        outcomes = made.run(plan, ids)
        assert [each.question_id for each in outcomes] == list(ids)
        assert {(each.sql, each.stop) for each in outcomes} == {(OLD, outcomes[0].stop)}
        queues.append((len(made.steps), len(made.valued)))
    assert queues[0] == queues[1]


def test_questions_stop_on_their_own() -> None:
    scores = {(1, "a;"): 0.9, (2, "a;"): 0.1, (2, "b;"): 0.8}
    asked: list[list[int]] = []

    def propose(steps: Sequence[tuple[int, Step]]) -> list[list[str]]:
        asked.append([question for question, _ in steps])
        return [["b;"] if step.start else ["a;"] for _, step in steps]

    outcomes = search([1, 2], correcting(1), propose, lambda pairs: [scores[pair] for pair in pairs])
    assert asked == [[1, 2], [2]]
    assert [each.sql for each in outcomes] == ["a;", "b;"]


@pytest.mark.parametrize(
    ("answers", "scores"),
    [({"": None}, {}), ({"": ["a;", "b;"]}, {"a;": 0.9, "b;": None}), ({"": ["a;"], "a;": None}, {"a;": 0.1})],
    ids=["no completion", "no score", "later"],
)
def test_a_failed_request_leaves_its_question_out(answers: Answers, scores: Mapping[str, float | None]) -> None:
    (found,) = Scripted(answers, scores).run(correcting())
    assert (found.sql, found.score, found.stop) == (EMPTY_SQL, None, UNANSWERED)
    assert (found.selection().reason, found.selection().sql) == (UNANSWERED, EMPTY_SQL)
    assert (found.candidates().candidates, found.candidates().unanswered) == ((), True)


@pytest.mark.parametrize(
    ("plan", "stop"), [(correcting(), "no queries"), (growing(), "nothing left to expand")], ids=["correction", "tree"]
)
def test_without_any_query_nothing_is_chosen(plan: Callable[[], Plan], stop: str) -> None:
    (found,) = Scripted({}, {}).run(plan)
    assert (found.sql, found.score, found.stop, found.selection().reason) == (EMPTY_SQL, None, stop, stop)


def test_what_was_tried_is_a_set_of_candidates() -> None:
    made = Scripted({"": ["a;", "a;"], "a;": ["b;", "a;"]}, {"a;": 0.1, "b;": 0.9})
    (found,) = made.run(correcting())
    assert found.candidates().candidates == (Candidate("a;", 3), Candidate("b;", 1))
    assert found.selection().reason == "best of 2 queries; positive verdict"
