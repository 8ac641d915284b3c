"""Online training on a tiny model: what TRL is told, what a resumed run does, and what each trap would do."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import Echo, rollouts, save_tiny

pytest.importorskip("trl", reason="TRL is not installed (requirements-train.txt)")
pytest.importorskip("peft", reason="peft is not installed (requirements-train.txt)")

from sqljudge.core.errors import ModelError
from sqljudge.models.engines.transformers import TransformersBackend
from sqljudge.models.session import Session
from sqljudge.training.checkpoints import last_checkpoint
from sqljudge.training.online import online_trainer, train_online


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    model = trainer.accelerator.unwrap_model(trainer.model)
    return {name: part.detach().clone() for name, part in model.named_parameters() if part.requires_grad}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Stopped(BaseException):
    """What stands for a kill."""


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("hapo", {}),
        ("one_shot", {"rank": 4}),
        ("laser_d", {"lower": 2, "upper": 8, "step": 1, "every": 3, "monitored": 4}),
    ],
)
def test_a_run_that_is_killed_ends_as_one_that_is_not(
    tiny_folder: Path, tmp_path: Path, method: str, given: dict[str, Any]
) -> None:
    given = {"prompts": 2, "generations": 4, "learning_rate": 1e-2, "save_every": 2, **given}
    whole = rollouts(tiny_folder, method, **given)
    trained = train_online(whole, steps=8, folder=tmp_path / "whole", device="cpu")

    first = rollouts(tiny_folder, method, **given)
    answer = first.batch

    def killed(numbers: Any, step: int) -> Any:
        if step == 6:
            raise Stopped
        return answer(numbers, step)

    first.batch = killed  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train_online(first, steps=8, folder=tmp_path / "killed", device="cpu")
    second = rollouts(tiny_folder, method, **given)
    resumed = train_online(second, steps=8, folder=tmp_path / "killed", device="cpu")

    assert equal(weights(resumed), weights(trained))
    assert second.state() == whole.state()
    steps = [
        [{key: row.get(key) for key in ("step", "reward", "loss")} for row in t.state.log_history]
        for t in (resumed, trained)
    ]
    assert steps[0] == steps[1]


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("hapo", {}),
        ("laser", {"updates": 2, "target": 4}),
        ("laser_d", {"lower": 2, "upper": 8, "step": 1, "every": 3, "monitored": 4}),
        ("one_shot", {"rank": 4}),
    ],
)
@pytest.mark.parametrize("at", [2, 4])
def test_a_run_that_is_asked_to_end_saves_where_it_is_and_ends_as_one_that_is_not(
    tiny_folder: Path, tmp_path: Path, method: str, given: dict[str, Any], at: int
) -> None:
    given = {"prompts": 2, "generations": 4, "learning_rate": 1e-2, "save_every": 10**6, **given}
    whole = rollouts(tiny_folder, method, **given)
    trained = train_online(whole, steps=8, folder=tmp_path / "whole", device="cpu")

    first = rollouts(tiny_folder, method, **given)
    answer = first.batch

    def ended(numbers: Any, step: int) -> Any:
        if step >= at:
            os.kill(os.getpid(), signal.SIGTERM)
        return answer(numbers, step)

    first.batch = ended  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ModelError, match=r"after step \d of 8; its checkpoint is whole: run the same command again"):
        train_online(first, steps=8, folder=tmp_path / "ended", device="cpu")
    assert signal.getsignal(signal.SIGTERM) == before
    saved = last_checkpoint(tmp_path / "ended")
    assert saved is not None
    assert int(saved.name.rpartition("-")[2]) in (at + 1, at + 2), "the step under way, or the last one of its batch"
    second = rollouts(tiny_folder, method, **given)
    resumed = train_online(second, steps=8, folder=tmp_path / "ended", device="cpu")

    assert equal(weights(resumed), weights(trained))
    assert second.state() == whole.state()


# --- traps ------------------------------------------------------------------------------------------------------------


def first_batch(trainer: Any, rows: Any) -> dict[str, Any]:
    """What TRL makes of the first batch."""
    trainer.model.train()
    batch = [{"prompt": number} for number in rows for _ in range(trainer.num_generations)]
    output: dict[str, Any] = trainer._generate_and_score_completions(batch)
    return output


@pytest.mark.parametrize(("updates", "stored"), [(1, False), (2, True), (4, True)])
def test_with_several_updates_a_batch_the_ratio_is_not_silently_one(
    tiny_folder: Path, tmp_path: Path, updates: int, stored: bool
) -> None:
    """TRL stores old log-probabilities only where a generation serves several steps; the ratio is exactly 1 without."""
    made = rollouts(tiny_folder, "laser", prompts=2, generations=4, updates=updates, micro=1, beta=0.0)
    trainer = online_trainer(made, steps=8, folder=tmp_path, device="cpu")
    assert trainer.args.gradient_accumulation_steps == 8 // updates
    assert ("old_per_token_logps" in first_batch(trainer, "01")) is stored
    assert trainer.args.save_steps % updates == 0, "a checkpoint within a batch does not resume"


@pytest.mark.parametrize("rank", [0, 4])
def test_the_reference_is_the_model_as_training_began(tiny_folder: Path, tmp_path: Path, rank: int) -> None:
    """TRL loads it from the path in the model's settings: of a cold start in memory, that is the base model's."""
    made = rollouts(tiny_folder, "hapo", prompts=1, generations=4, beta=0.1, rank=rank)
    with torch.no_grad():
        for part in made.policy.backend.model.parameters():
            part.mul_(1.5)
    trainer = online_trainer(made, steps=1, folder=tmp_path, device="cpu")
    output = first_batch(trainer, "0")
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    logits = made.policy.backend.model(ids).logits[:, -output["completion_ids"].size(1) - 1 : -1]
    expected = logits.log_softmax(-1).gather(-1, output["completion_ids"][..., None])[..., 0]
    mask = output["completion_mask"].bool()
    temperature = made.settings.temperature
    expected = (logits / temperature).log_softmax(-1).gather(-1, output["completion_ids"][..., None])[..., 0]
    assert torch.allclose(output["ref_per_token_logps"][mask], expected[mask], atol=1e-4)


def test_truncated_responses_teach_nothing_where_they_are_masked(tiny_folder: Path, tmp_path: Path) -> None:
    made = rollouts(
        tiny_folder, "one_shot", prompts=1, generations=4, budget=1, mask_truncated=True, beta=0.0, entropy=0.0
    )
    before = {name: part.clone() for name, part in made.policy.backend.model.named_parameters()}
    trainer = train_online(made, steps=2, folder=tmp_path, device="cpu")
    if all(row["completions/clipped_ratio"] == 1 for row in trainer.state.log_history if "loss" in row):
        assert equal(weights(trainer), before)
    else:
        pytest.fail("a response ended within one token: choose another seed")


def test_a_response_that_nobody_can_check_moves_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    made = rollouts(tiny_folder, "one_shot", prompts=1, generations=4, beta=0.0)
    made.reward = lambda responses: [None, 1.0, 0.0, 1.0]
    output = first_batch(online_trainer(made, steps=1, folder=tmp_path, device="cpu"), "0")
    assert output["advantages"][0] == 0
    assert output["advantages"][1] == output["advantages"][3] > 0 > output["advantages"][2]


def test_groups_of_equal_rewards_are_drawn_anew_for_other_prompts(tiny_folder: Path) -> None:
    made = rollouts(tiny_folder, "one_shot", prompts=2, generations=2, resamples=3)
    made.items = rollouts(tiny_folder, "hapo", prompts=2, generations=2).items
    asked: list[list[str]] = []

    def reward(responses: Any) -> list[float | None]:
        asked.append([each.prompt for each in responses])
        dull = len(asked) < 3
        return [0.0 if dull else float(i % 2) for i in range(len(responses))]

    made.reward = reward
    rows = made.batch([0, 0, 1, 1], 0)
    assert len(asked) == 3
    assert [row.reward for row in rows] == [0.0, 1.0, 0.0, 1.0]
    assert [row.item.id for row in rows] == asked[-1]
    assert made.counts["generated"] > made.counts["trained"]


def test_the_engine_answers_with_the_adapter_merged(tiny_folder: Path, tmp_path: Path) -> None:
    made = rollouts(tiny_folder, "hapo", prompts=2, generations=4, rank=4, learning_rate=0.05, beta=0.0)
    trainer = train_online(made, steps=3, folder=tmp_path, device="cpu")
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        before = made.policy.backend.model(ids).logits
        made.policy.refresh()
        merged, adapted = made.policy.backend.model(ids).logits, trainer.model(ids).logits
    assert torch.allclose(merged, adapted, atol=1e-4)
    assert not torch.allclose(before, adapted, atol=1e-4), "the training changed nothing"


# --- AdaptThink -------------------------------------------------------------------------------------------------------

ADAPTIVE = {"prompts": 2, "generations": 4, "skip_budget": 6, "references": 4, "micro": 4}


def test_half_of_the_responses_skip_the_thought_and_each_has_its_own_budget_and_advantage(
    tiny_folder: Path, tmp_path: Path
) -> None:
    made = rollouts(tiny_folder, "adapt_think", task=Echo("<think>"), **ADAPTIVE)
    made.references = {item.id: 0.25 for item in made.items}
    trainer = online_trainer(made, steps=1, folder=tmp_path, device="cpu")
    output = first_batch(trainer, "01")
    rows = trainer.rows
    assert [row.skips for row in rows] == [True, True, False, False] * 2
    thought = made.policy.encode(Echo("<think></think>").prompt(made.items[0]))[-1]
    assert [row.ids[0] == thought for row in rows] == [row.skips for row in rows]
    assert max(len(row.completion.token_ids) for row in rows if row.skips) <= 6
    assert max(len(row.completion.token_ids) for row in rows if not row.skips) > 6
    expected = [float(bool(row.response.right)) - 0.25 + 0.05 * row.skips for row in rows]
    assert output["advantages"].tolist() == pytest.approx(expected)
    assert output["old_per_token_logps"][:, 0].tolist() == pytest.approx([math.log(0.5)] * 8)
    assert trainer.args.importance_sampling_level == "sequence"


def test_the_sequence_level_ratio_lets_a_first_token_be_learned_that_is_hardly_ever_drawn(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """With the ratio of each token its gradient is scaled by its own probability: nothing would ever move it."""
    pulls = {}
    for ratio in ("sequence", "token"):
        made = rollouts(tiny_folder, "adapt_think", task=Echo("<think>"), **ADAPTIVE)
        made.settings = replace(made.settings, ratio=ratio)
        made.references = {item.id: -1.0 for item in made.items}  # all advantages are above 0
        trainer = online_trainer(made, steps=1, folder=tmp_path / ratio, device="cpu")
        output = first_batch(trainer, "01")
        now = output["old_per_token_logps"].clone()
        now[:, 0] = math.log(2e-5)
        now.requires_grad_()
        trainer._get_per_token_logps_and_entropies = lambda *_, now=now, **__: (now, torch.zeros_like(now), None)
        trainer.current_gradient_accumulation_steps = 1
        trainer._compute_loss(trainer.model, output).backward()
        assert now.grad is not None
        skips = torch.tensor([row.skips for row in trainer.rows])
        pulls[ratio] = -now.grad[skips, 0]
    assert (pulls["token"] > 0).all()
    assert (pulls["sequence"] > 1000 * pulls["token"]).all()


def test_adapt_think_needs_a_prompt_that_opens_a_thought(tiny_folder: Path) -> None:
    from sqljudge.core.errors import ConfigError

    made = rollouts(tiny_folder, "adapt_think", **ADAPTIVE)
    with pytest.raises(ConfigError, match="ends in <think>"):
        made.batch([0] * 8, 0)


def test_references_are_measured_once_and_read_after_a_resume(tiny_folder: Path, tmp_path: Path) -> None:
    made = rollouts(tiny_folder, "adapt_think", task=Echo("<think>"), **ADAPTIVE)
    made.measure_references(tmp_path / "references.json")
    assert made.references.keys() == {item.id for item in made.items}
    assert all(0 <= value <= 1 for value in made.references.values())
    again = rollouts(tiny_folder, "adapt_think", task=Echo("<think>"), **ADAPTIVE)
    again.policy.generate = lambda requests: pytest.fail("they are known")  # type: ignore[method-assign]
    again.measure_references(tmp_path / "references.json")
    assert again.references == made.references


@pytest.mark.parametrize(
    ("method", "given", "asked"),
    [
        ("adapt_think", ADAPTIVE, 8 * 4),
        ("laser_d", {"lower": 2, "upper": 8, "step": 1, "monitored": 8, "prompts": 2, "generations": 4}, 8 * 4),
    ],
)
def test_what_is_asked_before_the_first_step_is_not_asked_again_after_a_kill(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    given: dict[str, Any],
    asked: int,
) -> None:
    monkeypatch.setattr(TransformersBackend, "batch", 4)

    def made(journal: Path | None, most: int = 10**6) -> tuple[Any, list[int]]:
        """Rollouts whose engine gives so many answers; and which it gave."""
        own = rollouts(tiny_folder, method, task=Echo("<think>"), **given)
        answer, given_answers = own.policy.backend.generate, []

        def some(*told: Any, **more: Any) -> Any:
            for found in answer(*told, **more):
                if len(given_answers) >= most:
                    raise Stopped
                given_answers.append(found[0])
                yield found

        own.policy.backend.generate = some
        own.journalled = Session(own.policy.backend, journal, "train.one").complete if journal else None
        return own, given_answers

    def look(own: Any, folder: Path) -> Any:
        folder.mkdir(exist_ok=True)
        if method == "adapt_think":
            own.measure_references(folder / "references.json")
        else:
            own._look_around(0)
        return own.references, own.state()["reward"]

    whole = look(made(None)[0], tmp_path / "whole")
    first, _ = made(tmp_path / "journal", 5)
    with pytest.raises(Stopped):
        look(first, tmp_path / "killed")
    second, gave = made(tmp_path / "journal")
    assert look(second, tmp_path / "killed") == whole
    assert len(gave) == asked - 4, "the answers of the last whole batch are kept"
    third, gave = made(tmp_path / "journal")
    assert look(third, tmp_path / "again") == whole
    assert gave == []


# --- SATURN -----------------------------------------------------------------------------------------------------------


def test_the_next_step_begins_when_the_present_one_is_solved(tiny_folder: Path) -> None:
    from sqljudge.training.data import from_sat

    class Solved(Echo):
        share = 0.0

        def prompt(self, item: Any) -> Any:
            return super().prompt(item.__class__("1", "1", question="a"))

        def responses(self, items: Any, completions: Any) -> Any:
            found = [
                rewards.Response(item.id, "", each.token_ids, right=True)
                for item, each in zip(items, completions, strict=True)
            ]
            return [
                rewards.Response(r.prompt, "", r.tokens, right=i < self.share * len(found), answer="1:A")
                for i, r in enumerate(found)
            ]

    from sqljudge.training import rewards

    items, _ = from_sat(steps=[[2, 3, 3], [2, 3, 4]], number=4, validation=4, seed=0)
    task = Solved()
    made = rollouts(
        tiny_folder, "saturn", items=[item for item in items if not item.validation], task=task, generations=2, every=1
    )
    made.validation = [item for item in items if item.validation]

    def level(step: int, share: float) -> set[str]:
        object.__setattr__(task, "share", share)
        return {row.item.group for row in made.batch([2 * step, 2 * step, 2 * step + 1, 2 * step + 1], step)}

    assert level(0, 0.5) == {"2-3-3"}
    assert level(1, 1.0) == {"2-3-4"}
    assert level(2, 1.0) == {"2-3-4"}
    assert made.state()["ladder"] == {"level": 1}
