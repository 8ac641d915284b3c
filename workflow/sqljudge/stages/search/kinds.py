"""The planners that ask models, by kind: their settings, how they plan, and what the generator is asked at a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.stages.prompts import PromptTemplate, read_template
from sqljudge.stages.search.correction import Correction, correction
from sqljudge.stages.search.driver import Plan
from sqljudge.stages.search.tree import Tree, tree

NOT_NUMBERS = ("kind", "label", "prompt")
"""Settings of a planner that are no numbers of its algorithm."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a generator is asked: a template, the query that fills its field `sql`, and what its answer opens with."""

    template: PromptTemplate
    sql: str
    opening: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of planner.

    `settings`: its numbers. `plan`: one question's planner, from these and how many samples a question has. `ask`: what
    a step's start asks of the generator, from the generator's own template and the planner's (None if it has none).
    `own_prompt`: whether it has one. `opens`: whether it opens the generator's answer with SQL of its own.
    """

    settings: type[Any]
    plan: Callable[[Any, int], Plan]
    ask: Callable[[PromptTemplate, PromptTemplate | None, str], Asked]
    own_prompt: bool
    opens: bool


def _buggy(plain: PromptTemplate, correct: PromptTemplate | None, start: str) -> Asked:
    template = correct if start and correct else plain
    return Asked(template, start, template.opening)


def _opened(plain: PromptTemplate, _own: PromptTemplate | None, start: str) -> Asked:
    """The generator's own prompt, its answer opened with the first clauses."""
    if not start:
        return Asked(plain, "", plain.opening)
    return Asked(replace(plain, opening=start.replace("$", "$$")), "", start)


KINDS: dict[str, Kind] = {
    "correction": Kind(Correction, correction, _buggy, own_prompt=True, opens=False),
    "tree": Kind(Tree, tree, _opened, own_prompt=False, opens=True),
}
"""The kinds by name."""


def settings_of(entry: Mapping[str, Any]) -> Any:
    """The numbers of a configured planner. Raises ConfigError for a key that its kind does not have, or lacks."""
    kind = KINDS[entry["kind"]]
    numbers = {key: value for key, value in entry.items() if key not in NOT_NUMBERS}
    known = [field.name for field in dataclasses.fields(kind.settings)]
    foreign = [key for key in numbers if key not in known] + ["prompt"] * ("prompt" in entry and not kind.own_prompt)
    if foreign:
        raise ConfigError(f"the kind '{entry['kind']}' has no '{foreign[0]}'; it has {', '.join(known)}")
    if kind.own_prompt and "prompt" not in entry:
        raise ConfigError("the key 'prompt' is missing: the template by which a query is corrected")
    return kind.settings(**numbers)


def asking(entry: Mapping[str, Any], generator_prompt: str, planner_prompt: str) -> Callable[[str], Asked]:
    """What a configured planner's steps ask of a generator, by what they start from.

    `planner_prompt`: the planner's own template file, "" where its kind has none. Raises ConfigError for a template
    that cannot be read or lacks a field.
    """
    plain = read_template(generator_prompt, required=("question", "schema"))
    own = read_template(planner_prompt, required=("question", "schema", "sql")) if planner_prompt else None
    ask = KINDS[entry["kind"]].ask
    return lambda start: ask(plain, own, start)
