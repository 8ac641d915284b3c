"""Small versions of what each system claims: a tiny model, a task of letters, some seeds. Run alone it prints them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqljudge.models.engines.base import Completion, GenerationRequest, Prompt
from sqljudge.training.items import Item
from sqljudge.training.offline import train_offline
from sqljudge.training.online import Rollouts, train_online
from sqljudge.training.policy import Policy
from sqljudge.training.rewards import Response
from sqljudge.training.tasks import Task
from toys import Echo, letters, rollouts, save_tiny

SIZE = {"hidden": 64, "layers": 2}


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


def cold_start(folder: Path, traces: Sequence[Item], seed: int, steps: int = 150) -> Path:
    """A tiny model that was shown some traces: it answers, at several lengths."""
    from sqljudge.models.engines.base import ModelSpec
    from sqljudge.stages.prompts import Framing, PromptTemplate
    from sqljudge.training.methods import settings_of

    save_tiny(folder / "random", seed=seed, **SIZE)
    policy = Policy(ModelSpec("tiny", str(folder / "random"), dtype="float32"), "cpu")
    task = Task(PromptTemplate("${question}:", ""), Framing("raw"), lambda user, opening: Prompt(user + opening))
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


if __name__ == "__main__":
    import sys
    import time

    start = time.monotonic()
    for seed in range(int(sys.argv[2]) if len(sys.argv) > 2 else 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            match sys.argv[1]:
                case "hapo" | "laser":
                    print(sys.argv[1], seed, *shorter(sys.argv[1], seed, folder))
                case "dense" | "sparse":
                    print(sys.argv[1], seed, *dense_against_sparse(sys.argv[1], seed, folder))
    print(f"{time.monotonic() - start:.0f} s")
