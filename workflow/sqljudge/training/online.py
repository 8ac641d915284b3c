"""Online training: GRPO as TRL does it, with this project's rewards and its own engine for the rollouts.

The trainer sees items as numbers. What each stands for, which prompt is asked, what comes back and what it is worth is
decided by the rollouts.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from sqljudge.core.errors import ModelError
from sqljudge.training.arguments import arguments_of, grpo_arguments
from sqljudge.training.checkpoints import last_checkpoint, mark, marked_state, stopwatch, train_from
from sqljudge.training.policy import lora
from sqljudge.training.rewards import adapt_think_advantage
from sqljudge.training.rollouts import Rollouts, Row

MISSING = "the packages of the training environment are missing; run: pip install -r requirements-train.txt"


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
