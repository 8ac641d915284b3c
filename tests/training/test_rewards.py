"""Rewards: each formula against values by hand, and each trap of the published programs as a right behaviour."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqljudge.core.errors import ConfigError
from sqljudge.training import rewards
from sqljudge.training.rewards import Hapo, Laser, OpenRs, Response, Stateful, Think2SqlReward
from sqljudge.training.sat import literals

TAGGED = "<think>\nwhy\n</think>\n<answer>SELECT 1</answer>"


def response(length: int, right: bool | None, prompt: str = "q", **more: object) -> Response:
    return replace(Response(prompt, "", tuple(range(length)), right=right), **more)  # type: ignore[arg-type]


# --- Think2SQL --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        (TAGGED, True),
        (TAGGED.upper(), True),
        (f"  {TAGGED}\n", True),
        ("<think></think><answer></answer>", True),
        (f"Sure. {TAGGED}", False),
        (f"{TAGGED} Done.", False),
        ("<think>why</think> SELECT 1", False),
        ("<answer>SELECT 1</answer><think>why</think>", False),
    ],
)
def test_a_text_has_think_and_answer_tags_and_nothing_else(text: str, formed: bool) -> None:
    assert rewards.has_answer_tags(text) is formed


def test_a_thought_that_the_prompt_opened_counts_as_opened() -> None:
    """The chat template of R1's distillates ends in `<think>`, so no completion of theirs ever holds it."""
    completion = TAGGED.removeprefix("<think>\n")
    assert not rewards.has_answer_tags(completion)
    assert rewards.has_answer_tags(completion, opened=True)
    assert not rewards.has_answer_tags("why", opened=True)


GOLD = [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize(
    ("gold", "rows", "quality"),
    [
        (GOLD, GOLD, 1.0),
        (GOLD, [(1, "a")], round((1 + 0.333 + 0.333) / 3, 3)),  # precision 2/2, recall 2/6, rows 1/3
        (GOLD, [(1,), (2,), (9,)], round((0.667 + 0.333 + 1) / 3, 3)),
        (GOLD, [("x", "y")], round((0 + 0 + 0.333) / 3, 3)),
        ([], [], 1.0),
        ([], [(1,)], 0.0),
        (GOLD, [], 0.0),
        ([(1,)], [(1,), (1,)], round((1 + 1 + 0.5) / 3, 3)),  # cells are a set, rows are counted
        ([(1,)], [("1",)], round((0 + 0 + 1) / 3, 3)),
        (GOLD, None, 0.0),
        (None, GOLD, 0.0),
    ],
)
def test_quality_of_a_result(gold: object, rows: object, quality: float) -> None:
    assert rewards.table_quality(gold, rows) == quality  # type: ignore[arg-type]


def test_execution_match_of_the_training_reward_is_of_sets_of_rows() -> None:
    assert rewards.rows_match([(1,), (2,)], [(2,), (1,), (1,)])
    assert not rewards.rows_match([(1, 2)], [(2, 1)])
    assert not rewards.rows_match(None, None)


@pytest.mark.parametrize(
    ("rows", "formatted", "sparse", "dense", "gated"),
    [
        (GOLD, True, 1.0, 1.0, 1.0),
        (GOLD, False, 0.85, 0.95, 1.0),
        ([(1, "a")], True, 0.15, 0.95 * 0.555 + 0.05, 0.555),
        ([(1, "a")], False, 0.0, 0.95 * 0.555, 0.0),
        ([("x", "y"), *[("x", "y")] * 99], True, 0.15, 0.95 * 0.01 + 0.05, 0.1),
        (None, True, 0.15, 0.05, 0.0),
        (None, False, 0.0, 0.0, 0.0),
    ],
)
def test_the_three_execution_rewards(rows: object, formatted: bool, sparse: float, dense: float, gated: float) -> None:
    """The gate of the third is the format: without it a partial result earns nothing, a whole one everything."""
    found = [rewards.EXECUTION[kind](GOLD, rows, formatted=formatted) for kind in ("sparse", "dense", "gated")]
    assert found == pytest.approx([sparse, dense, gated])


def test_a_question_whose_gold_query_fails_has_no_reward() -> None:
    """Zero for all would be a group that teaches nothing, and counts."""
    answers = [response(3, None, gold=None, rows=GOLD), response(3, None, gold=GOLD, rows=GOLD, text=TAGGED)]
    assert Think2SqlReward("sparse")(answers) == [None, 1.0]


# --- LASER ------------------------------------------------------------------------------------------------------------


def test_laser_rewards_short_right_responses_only() -> None:
    found = Laser(target=10)([response(10, True), response(11, True), response(5, False), response(50, False)])
    assert found == [1.5, 1.0, -0.5, -0.5]


def test_a_response_without_its_form_scores_below_a_wrong_one_even_if_it_is_right() -> None:
    reward = Laser(target=10, formed=lambda text: "</think>" in text)
    assert reward([response(5, True), response(5, False)]) == [-1.0, -1.0]
    assert reward([response(5, True, text="</think>")]) == [1.5]


@pytest.mark.parametrize(
    ("right", "responses", "name"),
    [
        *[(8, 8, "high"), (6, 8, "high"), (5, 8, "medium"), (3, 8, "medium"), (2, 8, "low"), (0, 8, "low")],
        *[(4, 6, "high"), (2, 6, "medium"), (6, 9, "high"), (3, 9, "medium"), (5, 9, "medium"), (2, 9, "low")],
    ],
)
def test_bands_are_the_same_at_their_borders_in_training_and_monitoring(right: int, responses: int, name: str) -> None:
    assert rewards.band(right, responses) == name


def test_the_constants_of_eight_responses_are_the_published_ones() -> None:
    assert rewards.least_right(8) == {"high": 5, "medium": 2, "low": 1}


def test_the_target_is_the_shortest_at_which_one_of_so_many_responses_ends() -> None:
    lengths = [100, 1500, 1500, 5000, 9000]
    candidates = [1024, 2048, 3072, 16384]
    assert rewards.target_length(lengths, 5, candidates) == 1024  # 1/5 of them, five times
    assert rewards.target_length(lengths, 2, candidates) == 2048  # 3/5, twice
    assert rewards.target_length(lengths, 1, candidates) == 16384  # all
    assert rewards.target_length([99999], 1, candidates) == 16384


def monitored(**more: object) -> Laser:
    reward = Laser(adaptive=True, lower=10, upper=100, step=10, **more)  # type: ignore[arg-type]
    easy = [response(15 if i < 2 else 40, i < 7, "easy") for i in range(8)]
    middling = [response(35 if i < 4 else 70, i < 4, "middling") for i in range(8)]
    hard = [response(85 if i < 7 else 100, i < 1, "hard") for i in range(8)]
    reward.monitor([*easy, *middling, *hard])
    return reward


def test_targets_come_from_all_responses_of_a_band_and_the_hard_ones_are_not_shortened() -> None:
    assert monitored().targets == {"high": 20, "medium": 40, "low": 100}


def test_an_adaptive_target_is_that_of_the_questions_band_in_this_batch() -> None:
    easy = [response(20, True, "a"), response(21, True, "a"), response(9, True, "a")]
    hard = [response(99, True, "b"), *[response(1, False, "b")] * 3]
    assert monitored()([*easy, *hard]) == [1.5, 1.0, 1.5, 1.5, -0.5, -0.5, -0.5]


def test_an_adaptive_reward_needs_a_monitoring_pass_before_the_first_step() -> None:
    with pytest.raises(ConfigError, match="monitoring pass"):
        Laser(adaptive=True)([response(1, True)])


def test_exploration_is_forgiven_beyond_the_target_unless_it_repeats_itself() -> None:
    reward = monitored(explore=True)
    others = [response(1, True, "a")] * 3  # the band is high, its target 20
    long, short = response(60, False, "a"), response(20, False, "a")
    loop = replace(long, tokens=(1, 2, 3) * 20)
    assert reward([*others, *others, long, short, loop])[-3:] == [0.0, -0.5, -0.5]
    unformed = replace(reward, formed=lambda text: False)
    assert unformed([*others, *others, long])[-1] == -1.0  # no form is not wrong, and is not forgiven


def test_a_right_answer_without_form_counts_as_right_for_the_monitor() -> None:
    reward = Laser(adaptive=True, lower=10, upper=100, step=10, formed=lambda text: False)
    reward.monitor([response(15, True) for _ in range(8)])
    assert reward.targets["high"] == 20
    assert reward([response(15, True)]) == [-1.0]


# --- HAPO -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "length", "shortest", "reward"),
    [
        (True, 50, None, 1.0),
        (False, 50, None, 0.0),
        (True, 100, 100, 1.0),
        (True, 50, 100, 1 + math.cos(math.pi / 4)),
        (True, 200, 100, 0.3),  # cos is -1, held at -0.7
        (True, 120, 100, 1 + math.cos(0.6 * math.pi)),
        (True, 900, 100, 0.3),
        (False, 50, 100, 0.0),  # a short wrong response earns nothing
        (False, 150, 100, math.cos(0.75 * math.pi)),
        (False, 900, 100, -1.0),
    ],
)
def test_hapo(right: bool, length: int, shortest: int | None, reward: float) -> None:
    assert rewards.hapo(right, length, shortest) == pytest.approx(reward)


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.integers(1, 10**5))
def test_hapo_keeps_every_right_response_above_every_wrong_one(one: int, other: int, shortest: int) -> None:
    assert rewards.hapo(True, one, shortest) > rewards.hapo(False, other, shortest)


def test_the_history_is_of_right_responses_and_counts_from_the_next_batch() -> None:
    reward = Hapo()
    assert reward([response(10, True), response(20, True), response(2, False), response(9, True, "other")]) == [
        1,
        1,
        0,
        1,
    ]
    assert reward.shortest == {"q": 10, "other": 9}
    assert reward([response(5, True), response(10, True)]) == pytest.approx([1 + math.cos(math.pi / 4), 1.0])
    assert reward.shortest["q"] == 5
    reward([response(30, True)])
    assert reward.shortest["q"] == 5


# --- Open-RS ----------------------------------------------------------------------------------------------------------


def test_the_cosine_runs_from_short_to_long_between_its_bounds() -> None:
    assert [rewards.cosine(True, length, 100) for length in (0, 50, 100)] == pytest.approx([1.0, 0.75, 0.5])
    assert [rewards.cosine(False, length, 100) for length in (0, 50, 100)] == pytest.approx([0.0, -0.25, -0.5])


@pytest.mark.parametrize("right", [True, False])
def test_the_cosine_does_not_rise_again_beyond_its_longest(right: bool) -> None:
    """Unclamped, a response of twice the longest scores like an empty one."""
    curve = [rewards.cosine(right, length, 100) for length in range(0, 1000, 10)]
    assert curve == sorted(curve, reverse=True)
    assert curve[20] == rewards.cosine(right, 100, 100)


def test_lengths_are_tokens_whatever_the_characters() -> None:
    few, many = (response(50, True, text=text) for text in ("a" * 10, "a" * 5000))
    assert OpenRs(100)([few, many]) == pytest.approx([1.5, 1.5])


def test_the_format_of_open_rs_is_one_closed_thought_on_its_own_line() -> None:
    found = OpenRs(100)([response(0, True, text=text) for text in ("a\n</think>\nb", "a</think>b", "\n</think>\n" * 2)])
    assert found == pytest.approx([3.0, 2.0, 2.0])


def test_a_response_that_nobody_can_check_has_no_reward() -> None:
    unknown = response(5, None)
    for reward in (OpenRs(100), Hapo(), Laser(), rewards.accuracy, rewards.ForcedVerdict()):
        assert reward([unknown]) == [None]


# --- SATURN -----------------------------------------------------------------------------------------------------------

FORMULA = "!B!C!D & A!B!D"


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        (r"so \boxed{0001}", 1.0),
        (r"\boxed{0101}", 0.0),
        (r"\boxed{1101}", 1.0),
        (r"\boxed{0101} or rather \boxed{0000}", 1.0),
        ("0000", -1.0),
        (r"\boxed{}", -2.0),
        (r"\boxed{A=0}", -2.0),
        (r"\boxed{000}", 0.0),  # padded with 0 it would satisfy
        (r"\boxed{00000}", 0.0),  # cut to four it would satisfy
        (r"\boxed{0}", 0.0),
    ],
)
def test_saturn(text: str, reward: float) -> None:
    assert rewards.saturn(text, FORMULA, 4) == reward


def test_saturn_rewards_a_batch_by_each_task() -> None:
    texts = [r"\boxed{01}", r"\boxed{10}"]
    answers = [response(3, None, text=text, answer="2:A & !B") for text in texts]
    assert rewards.saturn_reward(answers) == [0.0, 1.0]


def test_a_text_that_is_no_formula_is_refused() -> None:
    for text in ("", "A |B", "a", "A &"):
        with pytest.raises(ValueError, match="no clause"):
            literals(text)


# --- verdicts, AdaptThink ---------------------------------------------------------------------------------------------


def test_the_forced_verdicts_logarithm_has_a_floor() -> None:
    assert rewards.forced_verdict(0.25) == 0.25
    assert rewards.forced_verdict(0.25, log=True) == pytest.approx(math.log(0.25))
    assert rewards.forced_verdict(0.0, log=True) == pytest.approx(math.log(0.01))


def test_a_missing_verdict_scores_as_in_the_paper_when_responses_are_left_to_themselves() -> None:
    assert [rewards.free_verdict(verdict, True) for verdict in (True, False, None)] == [1.0, 0.0, -0.5]


def test_the_advantage_of_skipping_a_thought() -> None:
    advantage = rewards.adapt_think_advantage
    assert advantage(True, 0.75, skips=True) == pytest.approx(0.3)
    assert advantage(True, 0.75, skips=False) == pytest.approx(0.25)
    assert advantage(False, 0.75, skips=True) == pytest.approx(-0.7)
    assert advantage(True, 1.0, skips=True) > advantage(True, 1.0, skips=False) == 0


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        ("</think>4", True),
        ("Alright</think>4", True),
        ("4", False),
        ("</think></think>", False),
        ("<think></think>", False),
    ],
)
def test_a_response_closes_its_thought_once_and_opens_none(text: str, formed: bool) -> None:
    assert rewards.closes_once(text) is formed


# --- state ------------------------------------------------------------------------------------------------------------


def history() -> Hapo:
    reward = Hapo()
    reward([response(10, True), response(7, True, "other")])
    return reward


@pytest.mark.parametrize(("made", "new"), [(history, Hapo), (monitored, lambda: Laser(adaptive=True))])
def test_a_reward_goes_on_from_its_state_as_if_it_had_never_stopped(made: object, new: object) -> None:
    old, fresh = made(), new()  # type: ignore[operator]
    assert isinstance(old, Stateful)
    fresh.restore(json.loads(json.dumps(old.state())))
    batch = [response(12, True), response(30, False), response(7, True, "other"), response(8, True, "other")]
    assert fresh(batch) == old(batch)
    assert fresh.state() == old.state()
    assert fresh.state() != new().state()  # type: ignore[operator]
