"""Small versions of what each system claims: a tiny model, a task of letters, some seeds. Run alone it prints them."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqljudge.models.engines.base import Completion, GenerationRequest, ModelSpec, Prompt
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.training.data import from_sat
from sqljudge.training.items import Item
from sqljudge.training.methods import settings_of
from sqljudge.training.offline import train_offline
from sqljudge.training.online import train_online
from sqljudge.training.policy import Policy
from sqljudge.training.rewards import SATISFIED, Response, saturn_reward
from sqljudge.training.rollouts import Rollouts
from sqljudge.training.tasks import Task
from toys import Echo, letters, rollouts, save_tiny

SIZE = {"hidden": 64, "layers": 2}
Claim = Callable[[int, Path], dict[str, float]]
"""From a seed and a folder to what was measured."""


@dataclass(frozen=True)
class Measured:
    """Mean accuracy and length of sampled responses."""

    accuracy: float
    length: float


def measure(made: Rollouts, items: Sequence[Item], samples: int = 16, seed: int = 9) -> Measured:
    """Sampled responses of the present model to some items, left to themselves."""
    made.policy.refresh()
    asked = [item for item in items for _ in range(samples)]
    requests = [
        GenerationRequest(made.task.prompt(item), made.settings.budget, temperature=1.0, seed=seed, sample=place)
        for place, item in enumerate(asked)
    ]
    completions = made.policy.generate(requests)
    found = made.task.responses(asked, completions)
    count = len(found)
    right = sum(bool(each.right) for each in found) / count
    return Measured(right, sum(each.length for each in found) / count)


def _letters_task(template: str = "${question}:") -> Task:
    return Task(PromptTemplate(template, ""), Framing("raw"), lambda user, begun: Prompt(user + begun))


def cold_start(folder: Path, traces: Sequence[Item], seed: int, steps: int = 150, task: Task | None = None) -> Path:
    """A tiny model that was shown some traces: it answers, at several lengths."""
    save_tiny(folder / "random", seed=seed, **SIZE)
    policy = Policy(ModelSpec("tiny", str(folder / "random"), dtype="float32"), "cpu")
    task = task or _letters_task()
    settings = settings_of("sft", {"learning_rate": 3e-3, "batch": 32, "micro": 32, "rank": 0, "save_every": 10**6})
    told: dict[str, Any] = {"method": "sft", "settings": settings, "steps": steps, "seed": seed}
    trainer = train_offline(policy, task, traces, **told, folder=folder / "run", device="cpu")
    trainer.model.save_pretrained(folder / "cold")
    policy.backend.tokenizer.save_pretrained(folder / "cold")
    return folder / "cold"


def echoes(lengths: Sequence[int], wrong: bool = True) -> list[Item]:
    """Right traces of several lengths for each letter, dots and then the letter; and as many wrong ones."""
    items = []
    for item in letters():
        for length in lengths:
            for answer, right in ((item.question, True), ("z", False)):
                if right or wrong:
                    text = "." * (length - 1) + answer
                    items.append(replace(item, id=f"{item.id}{text}", response=text, right=True))
    return items


def shorter(method: str, seed: int, folder: Path) -> tuple[Measured, Measured]:
    """HAPO or LASER from a cold start whose responses have 2 to 12 tokens, right in half of the cases."""
    cold = cold_start(folder, echoes([2, 5, 8, 11]), seed)
    given: dict[str, Any] = {"prompts": 8, "generations": 8, "budget": 16, "learning_rate": 1e-3, "save_every": 10**6}
    given |= {"target": 4} if method == "laser" else {}
    made = rollouts(cold, method, seed=seed, **{**given, "beta": 0.0})
    before = measure(made, letters())
    train_online(made, steps=60, folder=folder / method, device="cpu")
    return before, measure(made, letters())


class Graded(Echo):
    """An answer of three letters: right where all are, and worth a share where some are."""

    def responses(self, items: Sequence[Item], completions: Sequence[Completion]) -> list[Response]:
        found = []
        for item, each in zip(items, completions, strict=True):
            rows = [(letter,) for letter in dict.fromkeys(each.text.replace(" ", "")[:3])]
            gold = [(letter,) for letter in _wanted(item.question)]
            found.append(
                Response(item.id, each.text, each.token_ids, right=set(rows) == set(gold), gold=gold, rows=rows)
            )
        return found


def _wanted(letter: str) -> str:
    place = "abcdefgh".index(letter)
    return "".join("ijklmnopqrstuvwxyz"[(place + i) % 18] for i in range(3))


def dense_against_sparse(kind: str, seed: int, folder: Path) -> tuple[float, float]:
    """Mean quality before and after training a random model by one of Think2SQL's rewards."""
    from sqljudge.training.rewards import table_quality

    save_tiny(folder / "random", seed=seed, **SIZE)
    given = {"prompts": 8, "generations": 8, "budget": 4, "learning_rate": 2e-3, "reward": kind, "save_every": 10**6}
    made = rollouts(folder / "random", "think2sql", seed=seed, task=Graded(), **given)

    def quality() -> float:
        made.policy.refresh()
        asked = [item for item in letters() for _ in range(16)]
        requests = [
            GenerationRequest(made.task.prompt(item), 4, temperature=1.0, seed=5, sample=i)
            for i, item in enumerate(asked)
        ]
        found = made.task.responses(asked, made.policy.generate(requests))
        return sum(table_quality(each.gold, each.rows) for each in found) / len(found)

    before = quality()
    train_online(made, steps=80, folder=folder / kind, device="cpu")
    return before, quality()


# --- 1-shot RLVR ------------------------------------------------------------------------------------------------------


def one_shot_on_others(seed: int, folder: Path, steps: int = 20, **more: Any) -> tuple[float, float]:
    """Accuracy on seven letters before and after training on the eighth alone, over and over."""
    cold = cold_start(folder, echoes([2, 5, 8, 11]), seed)
    given: dict[str, Any] = {"prompts": 8, "generations": 8, "budget": 16, "learning_rate": 3e-4, "save_every": 10**6}
    made = rollouts(cold, "one_shot", seed=seed, **{**given, **more})
    others = letters("bcdefgh")
    before = measure(made, others)
    train_online(made, steps=steps, folder=folder / "one_shot", device="cpu")
    return before.accuracy, measure(made, others).accuracy


# --- SATURN -----------------------------------------------------------------------------------------------------------


class Sat(Echo):
    """SAT tasks in the letters that a tiny model knows; a response is the values alone."""

    def prompt(self, item: Item) -> Prompt:
        return Prompt(item.answer.partition(":")[2].lower().replace(" & ", " ").replace("!", "?") + ":")

    def responses(self, items: Sequence[Item], completions: Sequence[Completion]) -> list[Response]:
        boxed = [f"\\boxed{{{each.text.replace(' ', '')}}}" for each in completions]
        found = [
            Response(item.id, text, each.token_ids, each.finish_reason == "stop", answer=item.answer)
            for item, text, each in zip(items, boxed, completions, strict=True)
        ]
        return [
            replace(each, right=value == SATISFIED) for each, value in zip(found, saturn_reward(found), strict=True)
        ]


SAT_STEPS = ((1, 3, 3), (1, 4, 4))


def curriculum(seed: int, folder: Path, learning_rate: float = 5e-4) -> tuple[list[float], list[float], list[int]]:
    """Of each step of a curriculum the share solved before and after training, and the level at each batch.

    The model begins with answers of the right length, each value of which is right in three of four cases.
    """
    items, _ = from_sat(steps=SAT_STEPS, number=32, validation=16, seed=seed)
    draw, task = random.Random(seed), Sat()
    traces = [
        Item(
            f"{item.id} {i}",
            item.id,
            question=task.prompt(item).text.removesuffix(":"),
            label=1,
            response="".join(
                str(int(f"!{chr(65 + place)}" not in item.answer)) if draw.random() < 0.5 else draw.choice("01")
                for place in range(int(item.answer[0]))
            ),
            right=True,
        )
        for item in items
        for i in range(4)
    ]
    cold = cold_start(folder, traces, seed)
    given: dict[str, Any] = {"prompts": 16, "generations": 8, "budget": 6, "temperature": 1.0, "every": 5}
    given |= {"learning_rate": learning_rate, "schedule": "constant", "save_every": 10**6, "beta": 0.0}
    made = rollouts(cold, "saturn", seed=seed, task=task, items=[i for i in items if not i.validation], **given)
    made.validation = [item for item in items if item.validation]
    levels: list[int] = []
    answer = made.batch

    def noted(numbers: Sequence[int], step: int) -> Any:
        rows = answer(numbers, step)
        levels.append(made.ladder.level if made.ladder else 0)
        return rows

    made.batch = noted  # type: ignore[method-assign]
    names = ["-".join(map(str, step)) for step in SAT_STEPS]

    def solved() -> list[float]:
        return [measure(made, [i for i in made.validation if i.group == name]).accuracy for name in names]

    before = solved()
    train_online(made, steps=150, folder=folder / "saturn", device="cpu")
    return before, solved(), levels


# --- REDI -------------------------------------------------------------------------------------------------------------


def redi_against_sft(seed: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Accuracy on the letters of the traces, and on others, of a cold start and after either training on them.

    Both begin with the same model, see the same traces of four letters, and take as many steps; SFT the right ones,
    REDI each right one with a wrong one.
    """
    lengths = [2, 5, 8, 11]
    cold = cold_start(folder, echoes(lengths), seed)
    traces = [replace(e, right=e.response.endswith(e.question)) for e in echoes(lengths) if e.question in "abcd"]
    paired = [replace(item, group=f"{item.question}{len(item.response)}") for item in traces]
    found = {"before": _accuracies(cold)}
    for method, items in (("sft", traces), ("redi", paired)):
        policy = Policy(ModelSpec("tiny", str(cold), dtype="float32"), "cpu")
        settings = settings_of(method, {"learning_rate": 3e-5, "batch": 8, "micro": 8, "rank": 0, "save_every": 10**6})
        told: dict[str, Any] = {"method": method, "settings": settings, "steps": 40, "seed": seed}
        trainer = train_offline(policy, _letters_task(), items, **told, folder=folder / method, device="cpu")
        trainer.model.save_pretrained(folder / f"{method}-made")
        policy.backend.tokenizer.save_pretrained(folder / f"{method}-made")
        found[method] = _accuracies(folder / f"{method}-made")
    return found


def _accuracies(model: Path) -> tuple[float, float]:
    made = rollouts(model, "one_shot", budget=16)
    return measure(made, letters("abcd"), 64).accuracy, measure(made, letters("efgh"), 64).accuracy


# --- AdaptThink -------------------------------------------------------------------------------------------------------

EASY, HARD = "abcd", "efgh"


class Working(Echo):
    """Easy letters are right as they are; a hard one is right only with its working: two letters in the thought."""

    def responses(self, items: Sequence[Item], completions: Sequence[Completion]) -> list[Response]:
        found = []
        for item, each in zip(items, completions, strict=True):
            thought, _, answer = each.text.replace(" ", "").rpartition("</think>")
            right = answer == item.question and (item.question in EASY or _working(item.question) in thought)
            found.append(Response(item.id, each.text, each.token_ids, each.finish_reason == "stop", right))
        return found


def _working(letter: str) -> str:
    return chr(ord(letter) + 8) + chr(ord(letter) + 12)


@dataclass(frozen=True)
class Thinks:
    """Of easy and of hard letters: the share of responses that skip the thought, and the accuracy."""

    easy: float
    hard: float
    easy_right: float
    hard_right: float


def adaptive(ratio: str, seed: int, folder: Path, steps: int = 150, **more: Any) -> tuple[Thinks, Thinks]:
    """AdaptThink from a cold start that always thinks but can answer without, with one ratio or the other."""
    task = Working("<think>")
    traces = [
        replace(item, id=item.id + opened, question=f"{item.question}:{opened}", response=text, right=True)
        for item in letters()
        for opened, text in (
            ("<think>", f"A{_working(item.question)}</think>{item.question}"),
            ("<think></think>", item.question),
        )
    ]
    cold = cold_start(folder, traces, seed, task=_letters_task("${question}"))
    given: dict[str, Any] = {"prompts": 8, "generations": 8, "budget": 8, "skip_budget": 8, "temperature": 1.0}
    given |= {"references": 16, "learning_rate": 1e-3, "save_every": 10**6, "schedule": "constant", "ratio": ratio}
    made = rollouts(cold, "adapt_think", seed=seed, task=task, **{**given, **more})

    def look() -> Thinks:
        made.policy.refresh()
        shares = []
        for some in (EASY, HARD):
            asked = [item for item in letters(some) for _ in range(32)]
            requests = [
                GenerationRequest(task.prompt(item), 8, temperature=1.0, seed=9, sample=place)
                for place, item in enumerate(asked)
            ]
            completions = made.policy.generate(requests)
            found = task.responses(asked, completions)
            skips = [each.text.lstrip().startswith("</think>") for each in completions]
            shares.append((sum(skips) / len(skips), sum(bool(each.right) for each in found) / len(found)))
        (easy, easy_right), (hard, hard_right) = shares
        return Thinks(easy, hard, easy_right, hard_right)

    before = look()
    train_online(made, steps=steps, folder=folder / ratio, device="cpu")
    return before, look()


# --- all of them ------------------------------------------------------------------------------------------------------


def _shorter(method: str) -> Claim:
    def found(seed: int, folder: Path) -> dict[str, float]:
        before, after = shorter(method, seed, folder)
        return {
            "tokens before": before.length,
            "tokens after": after.length,
            "accuracy before": before.accuracy,
            "accuracy after": after.accuracy,
        }

    return found


def _quality(kind: str) -> Claim:
    return lambda seed, folder: dict(zip(("before", "after"), dense_against_sparse(kind, seed, folder), strict=True))


def _curriculum(seed: int, folder: Path) -> dict[str, float]:
    (before, _), (after, _), levels = curriculum(seed, folder)
    return {"solved before": before, "solved after": after, "level at the end": levels[-1]}


def _redi(seed: int, folder: Path) -> dict[str, float]:
    found = redi_against_sft(seed, folder)
    (sft, sft_other), (redi, redi_other) = found["sft"], found["redi"]
    return {
        "before, traced letters": found["before"][0],
        "SFT, traced letters": sft,
        "REDI less SFT, traced letters": redi - sft,
        "SFT, other letters": sft_other,
        "REDI less SFT, other letters": redi_other - sft_other,
    }


def _adaptive(ratio: str, steps: int) -> Claim:
    def found(seed: int, folder: Path) -> dict[str, float]:
        _, after = adaptive(ratio, seed, folder, steps=steps)
        return {"skips, easy": after.easy, "skips, hard": after.hard, "right, hard": after.hard_right}

    return found


CLAIMS: dict[str, Claim] = {
    "hapo": _shorter("hapo"),
    "laser": _shorter("laser"),
    "dense": _quality("dense"),
    "sparse": _quality("sparse"),
    "one_shot": lambda seed, folder: dict(zip(("before", "after"), one_shot_on_others(seed, folder), strict=True)),
    "saturn": _curriculum,
    "redi": _redi,
    **{f"{ratio}-{steps}": _adaptive(ratio, steps) for ratio in ("sequence", "token") for steps in (50, 150)},
}


def with_interval(values: Sequence[float]) -> str:
    """The mean over seeds with its 95 % interval by Student's t."""
    mean, number = statistics.fmean(values), len(values)
    if number < 2:
        return f"{mean:.2f}"
    from scipy.stats import t

    reach = float(t.ppf(0.975, number - 1)) * statistics.stdev(values) / number**0.5
    return f"{mean:.2f} [{mean - reach:.2f}, {mean + reach:.2f}]"


if __name__ == "__main__":
    import sys
    import time

    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    for name in CLAIMS if sys.argv[1] == "all" else [sys.argv[1]]:
        start, found = time.process_time(), []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                found.append(CLAIMS[name](seed, Path(folder)))
        for what in found[0]:
            print(f"{name}: {what}: {with_interval([each[what] for each in found])}", flush=True)
        print(f"{name}: {time.process_time() - start:.0f} CPU s", flush=True)
