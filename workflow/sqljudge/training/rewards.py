"""Rewards of responses, one system's formula each. Knows no model, no trainer and no file.

A reward takes the responses of one batch and gives each a number, or None where nothing can be said of it. Lengths are
in tokens. A reward that remembers something between batches is an object with `state` and `restore`; what `state`
gives is JSON, and a trainer keeps it in its checkpoints.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sqljudge.core.errors import ConfigError
from sqljudge.core.records import FAILURE_SCORE
from sqljudge.training.sat import satisfies

if TYPE_CHECKING:
    from sqljudge.sql.sandbox import Row

Rows = Sequence["Row"]


@dataclass(frozen=True, slots=True)
class Response:
    """One response to a prompt, and what is known of it.

    `prompt`: what names the prompt, the same for all responses to it in all epochs. `tokens`: its token ids, the end
    token included. `ended`: it was not cut by the budget. `right`: whether it answers the prompt; None where nobody
    knows. `gold`, `rows`: of a query, the rows of the gold query and its own, None where one does not run.
    `probability`: that the forced verdict gives to the label. `answer`: of a task with one, what must hold of it.
    """

    prompt: str
    text: str
    tokens: tuple[int, ...]
    ended: bool = True
    right: bool | None = None
    gold: Rows | None = None
    rows: Rows | None = None
    probability: float | None = None
    answer: str = ""

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.tokens)


Reward = Callable[[Sequence[Response]], list[float | None]]


@runtime_checkable
class Stateful(Protocol):
    """A reward that remembers."""

    def state(self) -> dict[str, Any]:
        """All that it remembers, as JSON."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember that and nothing else."""


# --- form -------------------------------------------------------------------------------------------------------------

THINK, THOUGHT = "<think>", "</think>"
_TAGGED = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL | re.IGNORECASE)


def has_answer_tags(text: str, *, opened: bool = False) -> bool:
    """Think2SQL's format: the whole text is `<think>...</think><answer>...</answer>`, in any letter case.

    White space around the parts does not count. `opened`: the prompt has opened the thought itself, as the chat
    templates of R1's distillates do, so that the text begins inside it.
    """
    return bool(_TAGGED.fullmatch((THINK + text if opened else text).strip()))


def has_thought(text: str) -> bool:
    """Open-RS's format: the thought is closed exactly once, on a line of its own."""
    return text.count(f"\n{THOUGHT}\n") == 1


def closes_once(text: str) -> bool:
    """AdaptThink's format: the thought, which the prompt has opened, is closed exactly once and not opened again."""
    return THINK not in text and text.count(THOUGHT) == 1


def boxed(text: str) -> str | None:
    """What stands in the last `\\boxed{}` of a text; None where there is none."""
    found = re.findall(r"\\boxed\{([^{}]*)\}", text)
    return found[-1].strip() if found else None


def loops(tokens: Sequence[int], *, size: int = 20, times: int = 3) -> bool:
    """Whether some run of `size` tokens occurs at least `times` times."""
    runs = Counter(tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1))
    return max(runs.values(), default=0) >= times


# --- Think2SQL (arXiv 2504.15077) -------------------------------------------------------------------------------------

LEAST_GATED = 0.1


def rows_match(gold: Rows | None, rows: Rows | None) -> bool:
    """The execution match of Think2SQL's training reward, which is BIRD's: the same set of rows. None: it fails."""
    return gold is not None and rows is not None and set(gold) == set(rows)


def table_quality(gold: Rows | None, rows: Rows | None) -> float:
    """QATCH's mean of cell precision, cell recall and tuple cardinality, from 0 to 1; 0 where a query does not run.

    Cells are sets of values over the whole result; the three parts and their mean have three decimals.
    """
    if gold is None or rows is None:
        return 0.0
    wanted, given = ({cell for row in some for cell in row} for some in (gold, rows))
    shared = len(wanted & given)
    parts = (
        _share(shared, len(given), empty=not wanted and not given),
        _share(shared, len(wanted), empty=not wanted and not given),
        _share(min(len(gold), len(rows)), max(len(gold), len(rows)), empty=not gold and not rows),
    )
    return round(sum(parts) / 3, 3)


def _share(part: int, whole: int, *, empty: bool) -> float:
    return 1.0 if empty else round(part / whole, 3) if whole else 0.0


def sparse_execution(gold: Rows | None, rows: Rows | None, *, formatted: bool, format_weight: float = 0.15) -> float:
    """EX+FM. The weight is that of the published settings; the paper says 0.05."""
    return (1 - format_weight) * rows_match(gold, rows) + format_weight * formatted


def dense_execution(gold: Rows | None, rows: Rows | None, *, formatted: bool, format_weight: float = 0.05) -> float:
    """QA+FM."""
    return (1 - format_weight) * table_quality(gold, rows) + format_weight * formatted


def gated_execution(gold: Rows | None, rows: Rows | None, *, formatted: bool) -> float:
    """QA+SU+FM: 1 for a whole result in whatever form; else the quality, at least 0.1, if the form is right.

    0 where a query does not run. The form is a gate: without it a result that is not whole earns nothing.
    """
    if gold is None or rows is None:
        return 0.0
    quality = table_quality(gold, rows)
    if quality == 1:
        return 1.0
    return max(LEAST_GATED, quality) if formatted else 0.0


EXECUTION: dict[str, Callable[..., float]] = {
    "sparse": sparse_execution,
    "dense": dense_execution,
    "gated": gated_execution,
}
"""Think2SQL's rewards, by name."""


@dataclass(frozen=True, slots=True)
class Think2SqlReward:
    """One of EXECUTION; unknown where the gold query does not run, so that such a question teaches nothing."""

    kind: str = "dense"
    opened: bool = False

    def __call__(self, responses: Sequence[Response]) -> list[float | None]:
        """One reward each."""
        return [
            None
            if each.gold is None
            else EXECUTION[self.kind](each.gold, each.rows, formatted=has_answer_tags(each.text, opened=self.opened))
            for each in responses
        ]


# --- LASER, LASER-D, LASER-DE (arXiv 2505.15612) ----------------------------------------------------------------------

BANDS = ("high", "medium", "low")
RIGHT, WRONG, UNFORMED = 1.0, -0.5, -1.0
BONUS = 0.5


def laser_score(right: bool, formed: bool) -> float:
    """1 for a right response, -0.5 for a wrong one, and -1 for one without its form, right or wrong."""
    return (RIGHT if right else WRONG) if formed else UNFORMED


def laser(score: float, length: int, target: int) -> float:
    """The score, and 0.5 more for a right response within the target."""
    return score + BONUS * (score == RIGHT and length <= target)


def band(right: int, responses: int) -> str:
    """How easy a question is, by how many of its responses are right: from 2/3 high, from 1/3 medium, else low.

    One rule for training and for monitoring, so that both agree where the number of responses is a multiple of 3.
    """
    if 3 * right >= 2 * responses:
        return "high"
    return "medium" if 3 * right >= responses else "low"


def least_right(responses: int) -> dict[str, int]:
    """The constant C of each band: how many of a question's responses are right at least, but never below 1."""
    return {"high": max(1, 2 * responses // 3), "medium": max(1, responses // 3), "low": 1}


def target_length(lengths: Sequence[int], least: int, candidates: Sequence[int]) -> int:
    """The smallest candidate within which at least one of `least` responses ends: floor(P(length <= l) * least) >= 1.

    `lengths`: of all responses in a band, right and wrong. Where no candidate will do it is the last one. With `least`
    1, as in the band "low", all responses must end within it.
    """
    for candidate in candidates:
        if least * sum(length <= candidate for length in lengths) >= len(lengths):
            return candidate
    return candidates[-1]


@dataclass(slots=True)
class Laser:
    """LASER, and with `adaptive` LASER-D, whose target depends on how easy a question is in this batch.

    `target`: of LASER, tokens. `explore`: LASER-DE, which forgives a wrong response that goes on beyond the target
    without repeating itself. `lower`, `upper`, `step`: the candidates of an adaptive target. `every`: training steps
    between two monitoring passes; the first comes before step 1, so that no step is rewarded by a target of no origin.
    """

    target: int = 4096
    adaptive: bool = False
    explore: bool = False
    lower: int = 1024
    upper: int = 16384
    step: int = 1024
    every: int = 20
    formed: Callable[[str], bool] = field(default=lambda text: True)
    targets: dict[str, int] = field(default_factory=dict)

    def __call__(self, responses: Sequence[Response]) -> list[float | None]:
        """One reward each. Raises ConfigError where adaptive targets were never set."""
        if self.adaptive and not self.targets:
            raise ConfigError("an adaptive target comes from a monitoring pass; call `monitor` before the first step")
        bands = _bands(responses) if self.adaptive else {}
        return [self._one(each, bands) for each in responses]

    def _one(self, each: Response, bands: Mapping[str, str]) -> float | None:
        if each.right is None:
            return None
        target = self.targets[bands[each.prompt]] if self.adaptive else self.target
        score = laser_score(each.right, self.formed(each.text))
        if self.explore and score == WRONG and each.length > target and not loops(each.tokens):
            return WRONG + BONUS
        return laser(score, each.length, target)

    def monitor(self, responses: Sequence[Response]) -> None:
        """Set the targets from responses to questions of a monitoring set, equally many each.

        A response counts as right by its answer alone, whatever its form. A band without questions keeps its target,
        or gets the longest.
        """
        bands = _bands(responses)
        least = least_right(max(Counter(each.prompt for each in responses).values()))
        candidates = [*range(self.lower, self.upper, self.step), self.upper]
        for name in BANDS:
            lengths = [each.length for each in responses if bands[each.prompt] == name]
            known = self.targets.get(name, self.upper)
            self.targets[name] = target_length(lengths, least[name], candidates) if lengths else known

    def state(self) -> dict[str, Any]:
        """The targets."""
        return {"targets": dict(self.targets)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the targets back."""
        self.targets = dict(state["targets"])


def _bands(responses: Sequence[Response]) -> dict[str, str]:
    total = Counter(each.prompt for each in responses)
    right = Counter(each.prompt for each in responses if each.right)
    return {prompt: band(right[prompt], count) for prompt, count in total.items()}


# --- HAPO (arXiv 2505.11225) ------------------------------------------------------------------------------------------

LEAST_OF_RIGHT = -0.7
"""The least that a right response loses for its length, so that it stays above every wrong one."""


def hapo(right: bool, length: int, shortest: int | None, *, w: float = 1.0) -> float:
    """R = c + w rho; rho from the length as a share of the shortest right response so far (None: none yet, rho 0)."""
    if shortest is None:
        return float(right)
    curve = math.cos(math.pi / 2 * min(length / shortest, 2.0))
    return float(right) + w * (max(LEAST_OF_RIGHT, curve) if right else min(0.0, curve))


@dataclass(slots=True)
class Hapo:
    """The reward with its history: the shortest right response to each prompt, over all batches.

    A batch is rewarded by the history before it. Responses to other prompts, of an evaluation for example, are to be
    rewarded by an object of their own.
    """

    w: float = 1.0
    shortest: dict[str, int] = field(default_factory=dict)

    def __call__(self, responses: Sequence[Response]) -> list[float | None]:
        """One reward each; then the history is brought up to date."""
        found = [
            None if each.right is None else hapo(each.right, each.length, self.shortest.get(each.prompt), w=self.w)
            for each in responses
        ]
        for each in responses:
            if each.right:
                self.shortest[each.prompt] = min(each.length, self.shortest.get(each.prompt, each.length))
        return found

    def state(self) -> dict[str, Any]:
        """The history."""
        return {"shortest": dict(self.shortest)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the history back."""
        self.shortest = dict(state["shortest"])


# --- Open-RS (arXiv 2503.16219) ---------------------------------------------------------------------------------------


def cosine(right: bool, length: int, longest: int) -> float:
    """From 1 (short) to 0.5 (long) for a right response, from 0 to -0.5 for a wrong one, along half a cosine.

    `length`, `longest`: tokens. A length beyond the longest counts as the longest: the curve does not rise again.
    """
    low, high = (0.5, 1.0) if right else (-0.5, 0.0)
    return low + (high - low) / 2 * (1 + math.cos(math.pi * min(length, longest) / longest))


def open_rs(text: str, right: bool, length: int, longest: int) -> float:
    """Format and twice the cosine."""
    return float(has_thought(text)) + 2 * cosine(right, length, longest)


@dataclass(frozen=True, slots=True)
class OpenRs:
    """The reward of a batch. `longest`: tokens at which the cosine ends, best the budget of a response."""

    longest: int

    def __call__(self, responses: Sequence[Response]) -> list[float | None]:
        """One reward each; unknown where nobody knows what is right, so that such a question teaches nothing."""
        return [
            None if each.right is None else open_rs(each.text, each.right, each.length, self.longest)
            for each in responses
        ]


# --- SATURN (arXiv 2505.16368) ----------------------------------------------------------------------------------------

SATISFIED, UNSATISFIED, NO_BOX, MALFORMED = 1.0, 0.0, -1.0, -2.0


def saturn(text: str, formula: str, variables: int) -> float:
    """1 for a boxed answer that satisfies the formula, 0 for one that does not, -1 without a box, -2 if malformed.

    An answer has exactly one digit for each variable: one that is too short or too long satisfies nothing, whatever
    padding or cutting would make of it. Malformed is one with other characters than 0 and 1.
    """
    answer = boxed(text)
    if answer is None:
        return NO_BOX
    if not answer or set(answer) - {"0", "1"}:
        return MALFORMED
    return SATISFIED if len(answer) == variables and satisfies(formula, answer) else UNSATISFIED


def saturn_reward(responses: Sequence[Response]) -> list[float | None]:
    """One reward each; `answer` holds the number of variables, a colon and the formula."""
    return [saturn(each.text, *_task(each.answer)) for each in responses]


def _task(answer: str) -> tuple[str, int]:
    variables, _, formula = answer.partition(":")
    return formula, int(variables)


# --- verdicts ---------------------------------------------------------------------------------------------------------

LEAST_PROBABILITY = 0.01


def forced_verdict(probability: float, *, log: bool = False) -> float:
    """The probability that the forced verdict gives to the label, or its natural logarithm, at least log 0.01."""
    return math.log(max(probability, LEAST_PROBABILITY)) if log else probability


@dataclass(frozen=True, slots=True)
class ForcedVerdict:
    """The reward of a batch; it is dense, and no verdict is missing."""

    log: bool = False

    def __call__(self, responses: Sequence[Response]) -> list[float | None]:
        """One reward each."""
        return [
            None if each.probability is None else forced_verdict(each.probability, log=self.log) for each in responses
        ]


def free_verdict(verdict: bool | None, label: bool) -> float:
    """Of a response that is left to itself: 1 for the label, 0 for the other verdict, -0.5 (the paper's) for none."""
    return FAILURE_SCORE if verdict is None else float(verdict == label)


def accuracy(responses: Sequence[Response]) -> list[float | None]:
    """1 for a right response and 0 for a wrong one: the reward of 1-shot RLVR (arXiv 2504.20571)."""
    return [None if each.right is None else float(each.right) for each in responses]


# --- AdaptThink (arXiv 2505.13417) ------------------------------------------------------------------------------------


def adapt_think_advantage(right: bool, reference: float, *, skips: bool, delta: float = 0.05) -> float:
    """A = c - reference + delta [the thought is skipped]; not centred on its group, and not scaled.

    `reference`: the mean accuracy of the reference model's thinking responses to this prompt, measured before training.
    """
    return float(right) - reference + delta * skips
