"""A method's settings by the names of the libraries that train: transformers and TRL."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from sqljudge.training.checkpoints import KEPT
from sqljudge.training.methods import Settings


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
