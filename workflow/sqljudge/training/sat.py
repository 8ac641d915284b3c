"""SAT tasks of a known difficulty (SATURN, arXiv 2505.16368), and whether an answer satisfies one.

Knows no model. The same seed gives the same tasks.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from sqljudge.core.errors import ConfigError

Step = tuple[int, int, int]
"""Literals of a clause n, variables k, clauses l."""
MOST_VARIABLES = 26
PROMPT = """\
Each capital letter is a variable that is 0 or 1, and ! before it means not. A clause is a row of such letters; it holds
if at least one of them does. Find values of the variables {names} such that all clauses, which & joins, hold.

{formula}

Write the values in this order, without anything between them, as \\boxed{{...}}.
"""


@dataclass(frozen=True, slots=True)
class SatTask:
    """A formula and the assignment that it was made from; others may satisfy it, too."""

    formula: str
    variables: int
    planted: str

    @property
    def prompt(self) -> str:
        """What a model is asked."""
        return PROMPT.format(names=", ".join(map(_name, range(self.variables))), formula=self.formula)

    @property
    def answer(self) -> str:
        """What the reward needs to know (`rewards.saturn_reward`)."""
        return f"{self.variables}:{self.formula}"


def literals(formula: str) -> list[list[tuple[int, bool]]]:
    """The clauses of a formula such as `!B!C!D & A!B!D`: each a list of variables (A is 0) with whether they must hold.

    Raises ValueError where it is no such formula.
    """
    clauses = []
    for part in formula.split("&"):
        if not re.fullmatch(r"(!?[A-Z])+", part.strip()):
            raise ValueError(f"{part.strip()!r} is no clause")
        found = re.findall(r"(!?)([A-Z])", part)
        clauses.append([(ord(name) - ord("A"), not sign) for sign, name in found])
    return clauses


def satisfies(formula: str, answer: str) -> bool:
    """Whether an answer, a 0 or 1 for each variable, makes every clause true."""
    return all(any((answer[i] == "1") == wanted for i, wanted in clause) for clause in literals(formula))


def difficulty(n: int, k: int, clauses: int) -> float:
    """SATURN's D(n, k, l) = log2 k + 2 log2 l - n + k / n."""
    return math.log2(k) + 2 * math.log2(clauses) - n + k / n


def chance(task: SatTask) -> float:
    """The share of all answers that satisfy a task: what a guess earns. It takes 2^k steps."""
    answers = ["".join(bits) for bits in product("01", repeat=task.variables)]
    return sum(satisfies(task.formula, answer) for answer in answers) / len(answers)


def sat_task(step: Step, draw: random.Random) -> SatTask:
    """One task: `l` distinct clauses over `n` of `k` variables each, all true for an assignment drawn first.

    Raises ConfigError for sizes that give no such task.
    """
    n, k, number = step
    most = math.comb(k, n) * (2**n - 1) if 0 < n <= k else 0
    if not 0 < number <= most or k > MOST_VARIABLES:
        what = f"at most {most} clauses and {MOST_VARIABLES} variables are possible"
        raise ConfigError(f"a SAT task of {n} literals, {k} variables and {number} clauses: {what}; change `steps`")
    planted = "".join(draw.choice("01") for _ in range(k))
    if number > most // 2:  # drawing one by one would find few new ones
        known = [clause for some in combinations(range(k), n) for clause in _clauses(some, planted)]
        chosen = draw.sample(known, number)
    else:
        found: dict[str, None] = {}
        while len(found) < number:
            some = tuple(sorted(draw.sample(range(k), n)))
            found.setdefault(draw.choice(_clauses(some, planted)))
        chosen = list(found)
    return SatTask(" & ".join(chosen), k, planted)


def _clauses(variables: Sequence[int], planted: str) -> list[str]:
    """The clauses over some variables that an assignment satisfies: all sign patterns but the one that it breaks."""
    broken = tuple(planted[i] == "1" for i in variables)  # each letter is negated exactly where its value is 1
    return [
        "".join("!" * sign + _name(i) for sign, i in zip(signs, variables, strict=True))
        for signs in product((False, True), repeat=len(variables))
        if signs != broken
    ]


def _name(variable: int) -> str:
    return chr(ord("A") + variable)


def sat_tasks(step: Step, number: int, seed: int) -> list[SatTask]:
    """`number` distinct tasks of a step. Raises ConfigError where there are not that many, or none."""
    draw = random.Random(f"{seed} {step}")
    found: dict[str, SatTask] = {}
    for _ in range(100 * number):
        task = sat_task(step, draw)
        found.setdefault(task.formula, task)
        if len(found) == number:
            return list(found.values())
    raise ConfigError(f"there are not {number} SAT tasks of {step}; ask for fewer, or for more clauses")
