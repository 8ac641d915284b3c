"""Offline training, on `transformers.Trainer`: traces (SFT), pairs of traces (REDI), verdicts without a thought.

A unit is what one loss is taken of: a right trace, a right and a wrong trace of one question, or a right and a wrong
candidate of one. The trainer sees positions of a stream of units, as online.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sqljudge.core.errors import DataError, ModelError
from sqljudge.models.engines.base import ChoiceRequest
from sqljudge.stages.force import WORDS
from sqljudge.stages.prompts import ANSWERS
from sqljudge.training import losses
from sqljudge.training.arguments import arguments_of
from sqljudge.training.checkpoints import last_checkpoint, mark, marked_state, stopwatch, train_from
from sqljudge.training.curricula import shuffled
from sqljudge.training.items import Item
from sqljudge.training.methods import Settings
from sqljudge.training.policy import Policy, lora
from sqljudge.training.tasks import Task

Unit = tuple[Item, ...]


def units_of(method: str, items: Sequence[Item]) -> list[Unit]:
    """The units of a method, in the order of the items.

    `sft`: each right trace. `redi`: the first right and the first wrong trace of each group that has both. `verdict`:
    each candidate with one of the other label of its group, in turn; a candidate of a group that has one label alone is
    a unit by itself. Raises DataError where there is none.
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    found = [unit for group in groups.values() for unit in _UNITS[method](group)]
    if not found:
        raise DataError(f"the training data hold nothing that '{method}' learns from; it needs {_NEEDS[method]}")
    return found


def _traces(group: Sequence[Item]) -> list[Unit]:
    return [(item,) for item in group if item.response and item.right]


def _trace_pairs(group: Sequence[Item]) -> list[Unit]:
    right, wrong = ([item for item in group if item.response and item.right is wanted] for wanted in (True, False))
    return [(right[0], wrong[0])] if right and wrong else []


def _candidate_pairs(group: Sequence[Item]) -> list[Unit]:
    right, wrong = ([item for item in group if item.label == wanted] for wanted in (1, 0))
    if not right or not wrong:
        return [(item,) for item in (*right, *wrong)]
    return [(right[i % len(right)], wrong[i % len(wrong)]) for i in range(max(len(right), len(wrong)))]


_UNITS = {"sft": _traces, "redi": _trace_pairs, "verdict": _candidate_pairs}
_NEEDS = {
    "sft": "right traces",
    "redi": "questions with a right and a wrong trace",
    "verdict": "candidates with labels",
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sequence: the ids of its prompt and of its response, with the end token of one that is whole."""

    prompt: list[int]
    response: list[int]
    item: Item

    @property
    def ids(self) -> list[int]:
        """All of it."""
        return self.prompt + self.response


def encode(policy: Policy, task: Task, item: Item, *, traces: bool) -> Encoded:
    """An item as a sequence. A trace is encoded by itself, as a model writes it token by token."""
    prompt = task.prompt(item)
    if not traces and task.closing is not None:  # a verdict of a responding judge, before the first token of a thought
        prompt = task.closed(item)
    response = policy.backend.tokenizer(item.response, add_special_tokens=False)["input_ids"] if traces else []
    return Encoded(policy.encode(prompt), [*response, policy.end_id()] if traces else [], item)


def verdict_words(policy: Policy, task: Task, items: Sequence[Item]) -> tuple[int, int]:
    """The tokens of a right and a wrong verdict after the prompts of some items.

    Raises ModelError where they are not the same after all of them.
    """
    if task.closing is None:
        alone = task.framing.yes_token == "alone"
        found = {policy.words(ChoiceRequest(task.prompt(item), ANSWERS, alone=alone)) for item in items}
    else:
        found = {policy.words(ChoiceRequest(task.closed(item), WORDS)) for item in items}
    if len(found) != 1:
        what = "the verdict is another token after some prompts; change the prompt"
        raise ModelError(f"model '{policy.spec.name}': {what}")
    true, false = found.pop()
    return true, false


class Collator:
    """Rows of one batch, padded: on the left where the verdict is to follow, else on the right."""

    def __init__(self, pad_id: int, *, traces: bool) -> None:
        self.pad_id, self.traces = pad_id, traces

    def __call__(self, units: Sequence[Sequence[Encoded]]) -> dict[str, torch.Tensor]:
        """Ids, mask, positions; of traces which tokens are the response's, of candidates labels and groups.

        Of pairs of traces, the even rows are right and the odd ones wrong.
        """
        rows = [each for unit in units for each in unit]
        longest = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), longest), self.pad_id)
        mask, wanted = torch.zeros_like(ids), torch.zeros_like(ids)
        for i, row in enumerate(rows):
            start = 0 if self.traces else longest - len(row.ids)
            ids[i, start : start + len(row.ids)] = torch.tensor(row.ids)
            mask[i, start : start + len(row.ids)] = 1
            wanted[i, start + len(row.prompt) : start + len(row.ids)] = 1
        numbers = {group: i for i, group in enumerate(dict.fromkeys(row.item.group for row in rows))}
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
            "wanted": wanted[:, 1:],
            "marks": torch.tensor([row.item.label or 0 for row in rows]),
            "groups": torch.tensor([numbers[row.item.group] for row in rows]),
        }


class Stream(torch.utils.data.Dataset[list[Encoded]]):
    """As many positions as the steps need; at each a unit, all of them in a new order every time."""

    def __init__(self, units: Sequence[list[Encoded]], length: int, seed: int) -> None:
        self.units, self.length, self.seed = units, length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> list[Encoded]:
        return self.units[shuffled(len(self.units), position, self.seed)]


def train_offline(
    policy: Policy,
    task: Task,
    items: Sequence[Item],
    *,
    method: str,
    settings: Settings,
    steps: int,
    seed: int,
    folder: Path,
    device: str,
) -> Any:
    """Train, from the last whole checkpoint of the folder on if there is one; returns the trainer.

    Its `counts` are the tokens that were trained on. Raises DataError where nothing is left to learn from.
    """
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

    traces = method != "verdict"
    whole = [[encode(policy, task, item, traces=traces) for item in unit] for unit in units_of(method, items)]
    units = [unit for unit in whole if all(len(each.ids) <= settings.longest for each in unit)]
    if not units:
        raise DataError(f"all sequences of the training data have more than {settings.longest} tokens; raise `longest`")
    words = None if traces else verdict_words(policy, task, [unit[0].item for unit in units])
    loss_of = {"sft": _sft, "redi": _redi, "verdict": _verdict}[method]
    spent = stopwatch(folder)
    counts = {"generated": 0, "prompted": 0, "trained": 0}

    class Saves(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            mark(Path(args.output_dir) / f"checkpoint-{state.global_step}", {"counts": counts}, spent())

    class OfPairs(Trainer):  # type: ignore[misc]
        said: dict[str, list[float]]

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            loss, said = loss_of(model, inputs, words, settings)
            counts["trained"] += int(inputs["attention_mask"].sum())
            for name, value in said.items():
                self.said.setdefault(name, []).append(value)
            return loss

        def log(self, logs: dict[str, float], *given: Any) -> None:
            if "loss" in logs:
                logs |= {name: sum(values) / len(values) for name, values in self.said.items()}
                self.said = {}
            super().log(logs, *given)

    set_seed(seed)  # the adapter begins with random weights
    model = policy.copy()
    if settings.rank:
        from peft import get_peft_model

        model = get_peft_model(model, lora(settings))
    micro = max(size for size in range(1, min(settings.micro, settings.batch) + 1) if settings.batch % size == 0)
    arguments = TrainingArguments(
        **arguments_of(settings, steps=steps, seed=seed, folder=folder, device=device),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings.batch // micro,
        remove_unused_columns=False,
        label_names=[],
    )
    pad = policy.tokenizer.pad_token_id
    trainer = OfPairs(
        model=model,
        args=arguments,
        train_dataset=Stream(units, steps * settings.batch, seed),
        data_collator=Collator(pad, traces=traces),
        callbacks=[Saves()],
    )
    trainer.said = {}
    trainer.model_accepts_loss_kwargs = False  # a step's loss is the mean over its micro-batches
    trainer.remove_callback(PrinterCallback)
    if checkpoint := last_checkpoint(folder):
        counts.update(marked_state(checkpoint)["counts"])
    train_from(trainer, folder)
    trainer.counts, trainer.spent = counts, spent
    return trainer


def _logprobs(model: Any, inputs: Any) -> torch.Tensor:
    logits = model(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], position_ids=inputs["position_ids"]
    ).logits
    return losses.token_logprobs(logits.float(), inputs["input_ids"])


def _sft(model: Any, inputs: Any, _words: Any, _settings: Settings) -> tuple[torch.Tensor, dict[str, float]]:
    return losses.sft(_logprobs(model, inputs), inputs["wanted"]), {}


def _redi(model: Any, inputs: Any, _words: Any, settings: Settings) -> tuple[torch.Tensor, dict[str, float]]:
    means = losses.mean_logprobs(_logprobs(model, inputs), inputs["wanted"])
    right, wrong = means[0::2], means[1::2]
    said = {"logprob_right": right.mean().item(), "logprob_wrong": wrong.mean().item()}
    return losses.redi(right, wrong, settings.alpha), said


def _verdict(model: Any, inputs: Any, words: Any, settings: Settings) -> tuple[torch.Tensor, dict[str, float]]:
    logits = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        position_ids=inputs["position_ids"],
        logits_to_keep=1,
    ).logits[:, -1]
    labels = inputs["marks"]
    scores = (logits[:, words[0]] - logits[:, words[1]]).detach().float()
    found = losses.margins(scores, labels, inputs["groups"])
    said = {"accuracy": float(((scores > 0) == (labels == 1)).float().mean())}
    said |= {"pairs_won": float((found > 0).float().mean())} if len(found) else {}
    return losses.verdict(logits, words, labels, inputs["groups"], settings.weight), said
