"""The rollouts of online training: who is asked what, what comes back, and what it is worth.

All of it is decided step by step, from the seed and the step's number alone: a run that is resumed asks what it would
have asked. Answers come from this project's own engine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.files import parse_json, write_json
from sqljudge.models.engines.base import Completion, Failure, GenerationRequest, Prompt
from sqljudge.training.curricula import Ladder, one_shot, shuffled
from sqljudge.training.items import Item
from sqljudge.training.methods import Settings, method_of
from sqljudge.training.policy import Policy, answered
from sqljudge.training.rewards import THOUGHT, Laser, Response, Reward, Stateful, closes_once
from sqljudge.training.tasks import Task

THINKING = "Alright"
"""The word that a response of AdaptThink's thinking half is forced to begin with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One response of a batch. `forced`: tokens that it was made to begin with. `skips`: it has no thought."""

    item: Item
    prompt_ids: list[int]
    completion: Completion
    response: Response
    reward: float | None
    forced: tuple[int, ...] = ()
    skips: bool = False

    @property
    def ids(self) -> list[int]:
        """The token ids of the response."""
        return [*self.forced, *self.completion.token_ids]


@dataclass
class Rollouts:
    """Answers a trainer's batches.

    `items`: those to train on. `validation`: of a curriculum, the tasks that decide on its level. Call it with the
    numbers that the trainer's data holds (see `numbers`), each repeated for a group. `references`: of AdaptThink, the
    mean accuracy of the model before training for each item. `journalled`: asks what is asked before the first step
    and keeps the answers; None: nothing keeps them.
    """

    policy: Policy
    task: Task
    items: Sequence[Item]
    validation: Sequence[Item]
    method: str
    settings: Settings
    seed: int
    reward: Reward = field(init=False)
    ladder: Ladder | None = None
    counts: dict[str, int] = field(default_factory=lambda: {"generated": 0, "prompted": 0, "trained": 0})
    references: dict[str, float] = field(default_factory=dict)
    journalled: Callable[[Sequence[GenerationRequest]], Iterable[Completion | Failure]] | None = None
    monitored_at: int = -1

    def __post_init__(self) -> None:
        make = method_of(self.method).reward
        if make is None:
            raise ConfigError(f"the method '{self.method}' has no reward; it is not an online one")
        if self.method == "one_shot":
            self.items = one_shot(self.items, max(self.settings.prompts, 1), self.settings.place)
        self.reward = make(self.settings, self.task.opened(self.task.prompt(self.items[0])))
        if self.method == "saturn":
            self.ladder = Ladder(len(self._levels()), self.settings.threshold)

    def _levels(self) -> list[str]:
        return list(dict.fromkeys(item.group for item in self.items))

    def numbers(self, steps: int) -> list[str]:
        """What the trainer's data holds: one position of the stream after another, as many as the steps need.

        One long epoch: TRL's own order of a second one is another after a resume.
        """
        return [str(i) for i in range(self.settings.prompts * math.ceil(steps / self.settings.updates))]

    def _item(self, position: int) -> Item:
        """The item at a position of the stream, which holds all items in a new order again and again.

        Of a curriculum, the stream of the present level.
        """
        items = self.items
        if self.ladder:
            level = self._levels()[self.ladder.level]
            items = [item for item in items if item.group == level]
        return items[shuffled(len(items), position, self.seed)]

    # --- one batch

    def batch(self, numbers: Sequence[int], step: int) -> list[Row]:
        """The responses of a batch; `numbers` has each item as often as it has responses. `step`: those done so far."""
        self.policy.refresh()
        self._look_around(step)
        size = self.settings.generations
        items = [self._item(number) for number in numbers]
        rows = self._answered(items, step, 0)
        for attempt in range(1, self.settings.resamples + 1):
            dull = [start for start in range(0, len(rows), size) if _dull(rows[start : start + size])]
            if not dull:
                break
            draw = random.Random(f"{self.seed} {step} {attempt}")
            others = [self._item(draw.randrange(2**32)) for _ in dull]
            fresh = self._answered([item for item in others for _ in range(size)], step, attempt)
            for place, start in enumerate(dull):
                rows[start : start + size] = fresh[place * size : (place + 1) * size]
        self.counts["trained"] += sum(len(row.ids) for row in rows)
        return rows

    def _answered(self, items: Sequence[Item], step: int, attempt: int) -> list[Row]:
        adaptive = self.method == "adapt_think"
        prompts = [self.task.prompt(item) for item in items]
        size = self.settings.generations
        skips = [adaptive and place % size < size // 2 for place in range(len(items))]
        forced = [self._forced(prompt, skip) if adaptive else () for prompt, skip in zip(prompts, skips, strict=True)]
        requests = [
            GenerationRequest(
                self._continued(prompt, begun),
                self.settings.skip_budget if skip else self.settings.budget,
                temperature=float(self.settings.temperature),
                seed=self._seed(step, attempt),
                sample=place,
            )
            for place, (prompt, begun, skip) in enumerate(zip(prompts, forced, skips, strict=True))
        ]
        completions = self._generated(requests)
        responses = self.task.responses(items, completions)
        if method_of(self.method).forced:
            chances = self.task.forced(items, completions, self.policy.choose)
            responses = [replace(each, probability=chance) for each, chance in zip(responses, chances, strict=True)]
        if adaptive:
            responses = [
                _with_beginning(response, begun, skip)
                for response, begun, skip in zip(responses, forced, skips, strict=True)
            ]
        found = self.reward(responses)
        return [
            Row(item, self.policy.encode(prompt), completion, response, reward, tuple(begun), skip)
            for item, prompt, completion, response, reward, begun, skip in zip(
                items, prompts, completions, responses, found, forced, skips, strict=True
            )
        ]

    def _generated(self, requests: Sequence[GenerationRequest], journalled: bool = False) -> list[Completion]:
        if journalled and self.journalled:
            completions = [answered(each) for each in self.journalled(requests)]
        else:
            completions = self.policy.generate(requests)
        self.counts["generated"] += sum(len(each.token_ids) for each in completions)
        self.counts["prompted"] += sum(each.prompt_tokens for each in completions)
        return completions

    def _seed(self, step: int, attempt: int) -> int:
        return (self.seed * 1_000_003 + step) * 101 + attempt

    def _continued(self, prompt: Prompt, begun: Sequence[int]) -> Prompt:
        text = self.policy.backend.tokenizer.decode(list(begun)) if begun else ""
        return Prompt(prompt.text + text, prompt.special)

    def _forced(self, prompt: Prompt, skip: bool) -> tuple[int, ...]:
        """The first token of a response of either half. Raises ConfigError where the prompt has opened no thought."""
        if not prompt.text.rstrip().endswith("<think>"):
            raise ConfigError(
                "adapt_think needs a prompt that ends in <think>, which its responses close or go on from"
            )
        word = THOUGHT if skip else THINKING
        before = self.policy.encode(prompt)
        after = self.policy.encode(Prompt(prompt.text + word, prompt.special))
        if after[: len(before)] != before or (skip and len(after) != len(before) + 1):
            raise ModelError(f"model '{self.policy.spec.name}': {word} is not one token after the prompt; use another")
        return (after[len(before)],)

    # --- what is asked beside the batches

    def _look_around(self, step: int) -> None:
        """Monitoring and validation passes, before the step at which they are due."""
        due = step % self.settings.every == 0 and step != self.monitored_at
        if isinstance(self.reward, Laser) and self.reward.adaptive and due:
            chosen = random.Random(f"{self.seed} monitor {step}").sample(
                list(self.items), min(self.settings.monitored, len(self.items))
            )
            self.reward.monitor(self._aside(chosen, self.settings.generations, step, self.settings.temperature))
        if self.ladder and due:
            level = self._levels()[self.ladder.level]
            tasks = [item for item in self.validation if item.group == level]
            if tasks:
                solved = self._aside(tasks, 1, step, self.settings.temperature)
                self.ladder.report(sum(bool(each.right) for each in solved) / len(solved))
        if due:
            self.monitored_at = step

    def _aside(self, items: Sequence[Item], samples: int, step: int, temperature: float) -> list[Response]:
        """Responses that nothing is trained on; those of the model before its first step go through the journal."""
        asked = [item for item in items for _ in range(samples)]
        requests = [
            GenerationRequest(
                self.task.prompt(item),
                self.settings.budget,
                temperature=float(temperature),
                seed=self._seed(step, 100),
                sample=place,
            )
            for place, item in enumerate(asked)
        ]
        return self.task.responses(asked, self._generated(requests, journalled=step == 0))

    def measure_references(self, known: Path) -> None:
        """Measure, or read where they were, the mean accuracy of thinking responses of the model before training."""
        if not known.is_file():
            distinct = list({item.id: item for item in self.items}.values())
            answers = self._aside(distinct, self.settings.references, 0, self.settings.temperature)
            right: dict[str, list[bool]] = {}
            for each in answers:
                right.setdefault(each.prompt, []).append(bool(each.right))
            write_json(known, {name: sum(some) / len(some) for name, some in right.items()})
        self.references = parse_json(known.read_text(encoding="utf-8"))

    # --- state

    def state(self) -> dict[str, Any]:
        """All that a checkpoint must hold beside what the trainer keeps."""
        return {
            "reward": self.reward.state() if isinstance(self.reward, Stateful) else None,
            "ladder": self.ladder.state() if self.ladder else None,
            "counts": dict(self.counts),
            "monitored_at": self.monitored_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        if isinstance(self.reward, Stateful):
            self.reward.restore(state["reward"])
        if self.ladder:
            self.ladder.restore(state["ladder"])
        self.counts = dict(state["counts"])
        self.monitored_at = state["monitored_at"]


def _dull(rows: Sequence[Row]) -> bool:
    return len({row.reward for row in rows}) == 1


def _with_beginning(response: Response, begun: Sequence[int], skip: bool) -> Response:
    """A response with what it was made to begin with; one that does not close its thought exactly once is wrong."""
    text = (THOUGHT if skip else THINKING) + response.text
    right = None if response.right is None else response.right and closes_once(text)
    return replace(response, text=text, tokens=(*begun, *response.tokens), right=right)
