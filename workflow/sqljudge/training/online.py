"""Online training: GRPO as TRL does it, with this project's rewards and its own engine for the rollouts.

The trainer sees items as numbers. What each stands for, which prompt is asked, what comes back and what it is worth is
decided here, step by step, from the seed and the step's number alone: a run that is resumed asks what it would have
asked.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.files import parse_json, write_json
from sqljudge.models.engines.base import Completion, Failure, GenerationRequest, Prompt
from sqljudge.training.checkpoints import KEPT, last_checkpoint, mark, marked_state, stopwatch, train_from
from sqljudge.training.curricula import Ladder, one_shot
from sqljudge.training.items import Item
from sqljudge.training.methods import Settings, method_of
from sqljudge.training.policy import Policy, answered, lora
from sqljudge.training.rewards import (
    THOUGHT,
    Laser,
    Response,
    Reward,
    Stateful,
    adapt_think_advantage,
    closes_once,
)
from sqljudge.training.tasks import Task

THINKING = "Alright"
"""The word that a response of AdaptThink's thinking half is forced to begin with."""
MISSING = "the packages of the training environment are missing; run: pip install -r requirements-train.txt"


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


def shuffled(number: int, position: int, seed: int) -> int:
    """Which of `number` things stands at a position of a stream that holds all of them, in a new order, every time."""
    turn, place = divmod(position, number)
    order = list(range(number))
    random.Random(f"{seed} order {turn}").shuffle(order)
    return order[place]


def _dull(rows: Sequence[Row]) -> bool:
    return len({row.reward for row in rows}) == 1


def _with_beginning(response: Response, begun: Sequence[int], skip: bool) -> Response:
    """A response with what it was made to begin with; one that does not close its thought exactly once is wrong."""
    text = (THOUGHT if skip else THINKING) + response.text
    right = None if response.right is None else response.right and closes_once(text)
    return replace(response, text=text, tokens=(*begun, *response.tokens), right=right)


# --- the trainer ------------------------------------------------------------------------------------------------------


def arguments_of(settings: Settings, *, steps: int, seed: int, folder: Path, device: str) -> dict[str, Any]:
    """What both trainers are told, by the names of `transformers.TrainingArguments`."""
    every = settings.updates * math.ceil(settings.save_every / settings.updates)  # between two rollouts, never within
    schedule = {"constant": "constant_with_warmup"}.get(settings.schedule, settings.schedule)
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "learning_rate": settings.learning_rate,
        "warmup_steps": round(settings.warmup * steps),
        "lr_scheduler_type": schedule,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": KEPT,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "report_to": "none",
        "seed": seed,
        "data_seed": seed,
        "use_cpu": device == "cpu",
        "bf16": False,
        "gradient_checkpointing": device != "cpu",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
    }


def grpo_arguments(settings: Settings) -> dict[str, Any]:
    """The settings of an online method by the names of TRL's GRPOConfig.

    A batch of prompts x generations responses is computed `micro` at a time, and gives `updates` optimiser steps. With
    one step the ratio is 1 by construction, and TRL stores no old log-probabilities; with more it does.
    """
    rows = settings.prompts * settings.generations
    share = rows // settings.updates
    micro = max(size for size in range(1, min(settings.micro, share) + 1) if share % size == 0)
    accumulation = share // micro
    return {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": accumulation,
        "steps_per_generation": accumulation * settings.updates,
        "num_generations": settings.generations,
        "max_completion_length": settings.budget,
        "temperature": settings.temperature,
        "loss_type": settings.loss,
        "scale_rewards": settings.scale,
        "importance_sampling_level": settings.ratio,
        "epsilon": settings.epsilon,
        "epsilon_high": max(settings.epsilon, settings.epsilon_high),
        "beta": settings.beta,
        "entropy_coef": settings.entropy,
        "mask_truncated_completions": settings.mask_truncated,
        "shuffle_dataset": False,
    }


def online_trainer(rollouts: Rollouts, *, steps: int, folder: Path, device: str) -> Any:
    """A GRPO trainer whose responses and rewards are `rollouts`'. Raises ModelError where TRL is not installed."""
    try:
        from datasets import Dataset
        from transformers import PrinterCallback, TrainerCallback
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise ModelError(f"{MISSING} ({error.name})") from error

    settings, policy, spent = rollouts.settings, rollouts.policy, stopwatch(folder)

    class Saves(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            mark(Path(args.output_dir) / f"checkpoint-{state.global_step}", rollouts.state(), spent())

    class Trainer(GRPOTrainer):  # type: ignore[misc]
        rows: list[Row]

        def create_model_card(self, *_: Any, **__: Any) -> None:
            """None: what made the adapter stands in the training's own record."""

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            output = super()._generate_and_score_completions(inputs)
            return _adapted(self, output, rollouts) if rollouts.method == "adapt_think" else output

    def answer(prompts: list[str], trainer: Any) -> dict[str, Any]:
        rows = rollouts.batch([int(number) for number in prompts], trainer.state.global_step)
        trainer.rows = rows
        return {
            "prompt_ids": [row.prompt_ids for row in rows],
            "completion_ids": [row.ids for row in rows],
            "logprobs": None,
            "reward": [math.nan if row.reward is None else row.reward for row in rows],
            "right": [row.response.right for row in rows],
        }

    def reward(prompts: list[str], **known: Any) -> list[float | None]:
        judged = [right for right in known["right"] if right is not None]
        if judged:
            known["log_metric"]("accuracy", sum(judged) / len(judged))
        return [None if math.isnan(one) else one for one in known["reward"]]

    model = policy.copy()
    before = {name: part.clone() for name, part in model.state_dict().items()} if not settings.rank else {}
    arguments = {
        **arguments_of(settings, steps=steps, seed=rollouts.seed, folder=folder, device=device),
        **grpo_arguments(settings),
    }
    trainer = Trainer(
        model=model,
        args=GRPOConfig(**arguments),
        train_dataset=Dataset.from_dict({"prompt": rollouts.numbers(steps)}),
        processing_class=policy.tokenizer,
        reward_funcs=[reward],
        rollout_func=answer,
        peft_config=lora(settings) if settings.rank else None,
        callbacks=[Saves()],
    )
    trainer.remove_callback(PrinterCallback)
    if getattr(trainer, "ref_model", None) is not None:  # TRL reads it from the path in the model's settings
        trainer.accelerator.unwrap_model(trainer.ref_model).load_state_dict(before)
    trainer.spent = spent
    policy.trained = trainer.accelerator.unwrap_model(trainer.model)
    return trainer


def _adapted(trainer: Any, output: dict[str, Any], rollouts: Rollouts) -> dict[str, Any]:
    """AdaptThink's own advantages, and the probability of the first token under the policy that drew it: 1/2."""
    rows: list[Row] = trainer.rows
    advantages = [
        adapt_think_advantage(
            bool(row.response.right), rollouts.references[row.item.id], skips=row.skips, delta=rollouts.settings.delta
        )
        for row in rows
    ]
    output["advantages"] = torch.tensor(advantages, device=output["advantages"].device)
    old = output.get("old_per_token_logps")
    if old is None:
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
        size = trainer.args.per_device_train_batch_size
        with torch.no_grad():
            old, _, _ = trainer._get_per_token_logps_and_entropies(
                trainer.model, ids, mask, output["completion_ids"].size(1), batch_size=size
            )
    old = old.clone()
    old[:, 0] = math.log(0.5)
    return {**output, "old_per_token_logps": old}


def train_online(rollouts: Rollouts, *, steps: int, folder: Path, device: str) -> Any:
    """Train, from the last whole checkpoint of the folder on if there is one; returns the trainer."""
    if rollouts.method == "adapt_think":
        folder.mkdir(parents=True, exist_ok=True)
        rollouts.measure_references(folder / "references.json")
    trainer = online_trainer(rollouts, steps=steps, folder=folder, device=device)
    if checkpoint := last_checkpoint(folder):
        rollouts.restore(marked_state(checkpoint))
    train_from(trainer, folder, updates=rollouts.settings.updates)
    return trainer
