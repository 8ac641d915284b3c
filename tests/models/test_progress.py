"""What a model job says while it runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqljudge.models import progress as module
from sqljudge.models.progress import Progress, clock

Clock = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let seconds pass."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_choices_are_counted_by_requests(capsys: pytest.CaptureFixture[str], wait: Clock) -> None:
    progress = Progress("judge.x", 4)
    for seconds in (4.0, 2.0, 1.0, 3.0):
        wait(seconds)
        progress.add(30, 0)
    assert capsys.readouterr().err.splitlines() == [
        "judge.x: 2 of 4 requests, 10 tokens/s, 6 s left",
        "judge.x: 4 of 4 requests, 12 tokens/s, 0 s left",
    ]


def test_time_left_is_known_before_a_request_is_done(capsys: pytest.CaptureFixture[str], wait: Clock) -> None:
    progress = Progress("x", 2, budget=200)
    progress.begin()
    wait(6.0)
    progress.beat(0)
    wait(6.0)
    progress.beat(60)
    progress.beat(60)
    progress.add(100, 60)
    wait(8.0)
    progress.beat(20)
    progress.add(100, 80)
    assert capsys.readouterr().err.splitlines() == [
        "x: 2 requests; loading the model",
        "x: 0 of 2 requests, 0 tokens/s, time left not known yet",
        "x: 0 of 2 requests, 5 tokens/s, 28 s left",  # 140 of 200 tokens left, 60 in 12 s
        "x: 1 of 2 requests, 12 tokens/s, 0 s left",
        "x: 2 of 2 requests, 17 tokens/s, 0 s left",
    ]


def test_what_is_left_follows_the_requests_that_are_done(capsys: pytest.CaptureFixture[str], wait: Clock) -> None:
    """Half are done and took 20 of 100 tokens each: the other half is taken to need the mean of 20 and 100."""
    progress = Progress("x", 10, budget=1000)
    for _ in range(5):
        progress.beat(20)
        progress.add(0, 20)
    wait(10.0)
    progress.beat(0)
    assert capsys.readouterr().err.splitlines() == ["x: 5 of 10 requests, 10 tokens/s, 30 s left"]


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
