"""Offline training on a tiny model: what is learned from, that a killed run ends as a whole one, and the losses."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sqljudge.core.errors import DataError, ModelError
from sqljudge.models.engines.base import ModelSpec, Prompt
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.training import losses
from sqljudge.training.items import Item
from sqljudge.training.methods import settings_of
from sqljudge.training.offline import Collator, encode, train_offline, units_of
from sqljudge.training.policy import Policy
from sqljudge.training.tasks import Task
from toys import save_tiny

TASK = Task(PromptTemplate("${question} ${sql}:", ""), Framing("raw"), lambda user, opening: Prompt(user + opening))


def candidate(group: str, sql: str, label: int) -> Item:
    return Item(f"{group}{sql}", group, question=group, sql=sql, label=label)


def trace(group: str, response: str, right: bool) -> Item:
    return Item(f"{group}{response}", group, question=group, sql="s", label=1, response=response, right=right)


CANDIDATES = [candidate(group, sql, int(sql in "acegik")) for group in "pqr" for sql in "abcdefghij"]
TRACES = [trace(group, f"{group}{end}", end == "x") for group in "abcdef" for end in "xy"]


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def tiny_policy(folder: Path) -> Policy:
    return Policy(ModelSpec("tiny", str(folder), dtype="float32"), "cpu")


def run(folder: Path, target: Path, method: str, items: Any, steps: int = 6, **given: Any) -> Any:
    settings = replace(settings_of(method, {"batch": 4, "micro": 2, "learning_rate": 1e-2, "save_every": 2, **given}))
    return train_offline(
        tiny_policy(folder),
        TASK,
        items,
        method=method,
        settings=settings,
        steps=steps,
        seed=3,
        folder=target,
        device="cpu",
    )


def test_units_are_right_traces_pairs_of_traces_and_pairs_of_candidates() -> None:
    assert [unit[0].response for unit in units_of("sft", TRACES)] == [f"{group}x" for group in "abcdef"]
    one, other = units_of("redi", TRACES)[0]
    assert (one.right, other.right, one.group == other.group) == (True, False, True)
    pairs = units_of("verdict", [candidate("q", sql, label) for sql, label in [("a", 1), ("b", 0), ("c", 0)]])
    assert [[item.sql for item in unit] for unit in pairs] == [["a", "b"], ["a", "c"]]
    assert units_of("verdict", [candidate("q", "a", 1)]) == [(candidate("q", "a", 1),)]


@pytest.mark.parametrize(
    ("method", "items"),
    [("sft", [trace("a", "b", False)]), ("redi", [trace("a", "b", True)]), ("sft", CANDIDATES)],
)
def test_data_without_what_a_method_needs_are_refused(method: str, items: list[Item]) -> None:
    with pytest.raises(DataError, match="it needs"):
        units_of(method, items)


def test_a_row_is_its_prompt_response_and_end_and_only_the_response_is_wanted(tiny_folder: Path) -> None:
    policy = tiny_policy(tiny_folder)
    rows = [encode(policy, TASK, item, traces=True) for item in (trace("a", "xyz", True), trace("a", "y", False))]
    batch = Collator(0, traces=True)([rows])
    ids = batch["input_ids"]
    assert policy.backend.decode(ids[0].tolist()).replace(" ", "") == "as:xyz"
    assert ids[0][-1] == policy.end_id()
    assert batch["wanted"].sum(1).tolist() == [4, 2]
    assert [ids[i, 1:][batch["wanted"][i] == 1].tolist() for i in range(2)] == [row.response for row in rows]


class Stopped(BaseException):
    """What stands for a kill."""


@pytest.mark.parametrize("asked", [False, True], ids=["killed", "asked to end"])
@pytest.mark.parametrize(
    ("method", "items", "rank"), [("verdict", CANDIDATES, 0), ("redi", TRACES, 0), ("sft", TRACES, 4)]
)
def test_a_run_that_is_killed_ends_as_one_that_is_not(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    items: list[Item],
    rank: int,
    asked: bool,
) -> None:
    if rank:
        pytest.importorskip("peft", reason="peft is not installed (requirements-train.txt)")
    whole = run(tiny_folder, tmp_path / "whole", method, items, rank=rank)
    calls = []
    real = losses.margins if method == "verdict" else losses.token_logprobs

    def killed(*given: Any) -> Any:
        calls.append(1)
        if len(calls) > (20 if method == "verdict" else 10) // (2 if asked else 1):  # not within the last step
            if not asked:
                raise Stopped
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(losses, real.__name__, killed)
        with pytest.raises(ModelError if asked else Stopped, match="goes on from there" if asked else ""):
            run(tiny_folder, tmp_path / "killed", method, items, rank=rank)
    assert list((tmp_path / "killed").glob("checkpoint-*"))
    resumed = run(tiny_folder, tmp_path / "killed", method, items, rank=rank)
    one, other = (dict(each.model.named_parameters()) for each in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert resumed.counts == whole.counts


def test_supervised_verdicts_learn_labels(tiny_folder: Path, tmp_path: Path) -> None:
    trainer = run(tiny_folder, tmp_path, "verdict", CANDIDATES, steps=40, rank=0, batch=8, micro=8)
    rows = [row for row in trainer.state.log_history if "pairs_won" in row]
    first, last = (sum(row["pairs_won"] for row in some) / 5 for some in (rows[:5], rows[-5:]))
    assert last > 0.95 > first


def test_redi_says_how_likely_right_and_wrong_traces_are(tiny_folder: Path, tmp_path: Path) -> None:
    """The loss has no lower bound, so that it alone does not show a collapse."""
    trainer = run(tiny_folder, tmp_path, "redi", TRACES, steps=20, rank=0, batch=6, micro=6)
    rows = [row for row in trainer.state.log_history if "logprob_right" in row]
    assert rows[-1]["logprob_right"] > rows[0]["logprob_right"]
    assert rows[-1]["logprob_wrong"] < rows[-1]["logprob_right"]
    for row in rows:
        assert row["loss"] == pytest.approx(0.8 * row["logprob_wrong"] - row["logprob_right"], rel=1e-3, abs=1e-3)
