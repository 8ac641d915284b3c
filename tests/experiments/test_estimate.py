"""What a journal holds and what is still to be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqljudge.experiments.estimate import (
    Job,
    Kept,
    clock,
    estimate_grid,
    journal_grid,
    missing,
    parameters,
    read_kept,
)
from sqljudge.models.journal import JournalWriter


def answer(prompt: int, new: int, seconds: float) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "token_ids": list(range(new)), "seconds": seconds}


def write(folder: Path, job: str, *answers: dict[str, Any]) -> None:
    with JournalWriter(folder, job) as journal:
        for number, each in enumerate(answers):
            journal.put_all([(f"{job}{number}", {}, each)])


@pytest.fixture
def kept(tmp_path: Path) -> dict[tuple[str, str], Kept]:
    write(tmp_path / "m-1b", "generate.g.sample", answer(100, 20, 2.0), answer(140, 10, 1.0))
    write(tmp_path / "m-1b", "discriminate.d.c.pool.1-of-2", answer(50, 30, 1.0))
    write(tmp_path / "m-1b", "discriminate.d.c.pool.2-of-2", answer(70, 10, 1.0))
    write(tmp_path / "other", "generate.o.greedy", {"prompt_tokens": 7, "probabilities": [0.5]})
    return read_kept(tmp_path)


def test_a_jobs_shards_are_added_up(kept: dict[tuple[str, str], Kept]) -> None:
    assert {place: (k.requests, k.prompt_tokens, k.new_tokens, k.seconds) for place, k in kept.items()} == {
        ("m-1b", "discriminate.d.c.pool"): (2, 120, 40, 2.0),
        ("m-1b", "generate.g.sample"): (2, 240, 30, 3.0),
        ("other", "generate.o.greedy"): (1, 7, 0, 0.0),
    }
    assert all(one.size > 0 for one in kept.values())


def test_the_journals_table(kept: dict[tuple[str, str], Kept]) -> None:
    rows = journal_grid(kept).rows
    assert rows[0][:6] == ("m-1b", "discriminate.d.c.pool", "2", "120", "40", "2.0")
    assert rows[-1][:6] == ("all", "", "5", "367", "70", "5.0")
    assert journal_grid({}).rows[-1][2] == "0"


def test_what_is_missing_follows_the_jobs_own_answers_then_its_models(kept: dict[tuple[str, str], Kept]) -> None:
    jobs = [
        Job("generate.g.sample", "m-1b", 10, 99),
        Job("generate.g.greedy", "m-1b", 4, 50),
        Job("discriminate.d.c.pool", "m-1b", 1, 99),
        Job("generate.g.other", "m-1b", 9, 50, made=True),
        Job("generate.n.greedy", "new", 2, 10),
    ]
    found = [(m.requests, m.prompt_tokens, m.new_tokens, m.seconds) for m in missing(jobs, kept)]
    assert found == [
        (8, 960, 120, pytest.approx(12.0)),  # 270 tokens took 3 s
        (4, 480, 200, pytest.approx(680 / 90)),
        (0, 0, 0, 0.0),
        (0, 0, 0, 0.0),
        (2, 500, 20, None),
    ]
    grid = estimate_grid(missing(jobs, kept))
    assert grid.rows[-1] == ("all", "", "14", "1,940", "340", "20 s, and 1 jobs of unknown speed")
    assert grid.rows[-2][-1] == "speed not known yet"


def test_evidence_makes_prompts_longer_until_the_jobs_own_are_known(kept: dict[tuple[str, str], Kept]) -> None:
    jobs = [
        Job("discriminate.d.result.pool", "m-1b", 10, 0, evidence=100),
        Job("discriminate.d.c.pool", "m-1b", 10, 0, evidence=100),
        Job("discriminate.d.result.pool", "new", 10, 0, evidence=100),
    ]
    found = [one.prompt_tokens for one in missing(jobs, kept)]
    assert found == [10 * (60 + 100), 8 * 60, 10 * (250 + 100)]


def test_a_model_that_has_not_run_is_reckoned_by_its_size(kept: dict[tuple[str, str], Kept]) -> None:
    asked: list[int] = []

    def operations() -> float:
        asked.append(1)
        return 1e12

    jobs = [
        Job("generate.a", "big-1.5b", 100, 50),
        Job("generate.b", "unsized", 1, 50),
        Job("generate.g.sample", "m-1b", 9, 9),
    ]
    one, two, three = missing(jobs, kept, operations)
    assert (one.seconds, one.rough) == (pytest.approx(30_000 / (0.5 * 1e12 / 3e9)), True)
    assert (two.seconds, two.rough, three.rough) == (None, False, False)
    assert asked == [1], "only where it is needed"
    assert estimate_grid([one]).rows[0][-1] == "about 3 min 00 s"


@pytest.mark.parametrize(
    ("name", "count"),
    [("distill-r1-1.5b", 1.5e9), ("codellama-13b", 13e9), ("smollm2-135m", 135e6), ("gpt", None), ("v2beta", None)],
)
def test_parameters_by_name(name: str, count: float | None) -> None:
    assert parameters(name) == count


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
