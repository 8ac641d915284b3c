"""What a model job says while it runs."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable

import pytest
from sqljudge.models.progress import Progress

Clock = Callable[[float], None]
Lines = Callable[[], list[str]]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let seconds pass."""
    now = [100.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Gives the lines of the log."""
    caplog.set_level(logging.INFO, "sqljudge")
    return lambda: caplog.messages


def test_choices_are_counted_by_requests(lines: Lines, wait: Clock) -> None:
    with Progress("judge.x", 4) as progress:
        for seconds in (4.0, 2.0, 1.0, 3.0):
            wait(seconds)
            progress.add(30, 0)
    assert lines() == [
        "judge.x: 2 of 4 requests, 10 tokens/s, 00:06 left",
        "judge.x: 4 of 4 requests, 12 tokens/s, 00:00 left",
    ]


def test_time_left_is_known_before_a_request_is_done(lines: Lines, wait: Clock) -> None:
    with Progress("x", 2, budget=200) as progress:
        wait(6.0)
        progress.beat(0)
        wait(6.0)
        progress.beat(60)
        progress.beat(60)
        progress.add(100, 60)
        wait(8.0)
        progress.beat(20)
        progress.add(100, 80)
    assert lines() == [
        "x: 0 of 2 requests, 0 tokens/s, time left not known yet",
        "x: 0 of 2 requests, 5 tokens/s, 00:28 left",  # 140 of 200 tokens left, 60 in 12 s
        "x: 1 of 2 requests, 12 tokens/s, 00:00 left",
        "x: 2 of 2 requests, 17 tokens/s, 00:00 left",
    ]


def test_what_is_left_follows_the_requests_that_are_done(lines: Lines, wait: Clock) -> None:
    """Half are done and took 20 of 100 tokens each: the other half is taken to need the mean of 20 and 100."""
    with Progress("x", 10, budget=1000) as progress:
        for _ in range(5):
            progress.beat(20)
            progress.add(0, 20)
        wait(10.0)
        progress.beat(0)
    assert lines() == ["x: 5 of 10 requests, 10 tokens/s, 00:30 left"]


def test_a_job_that_ends_early_says_how_far_it_came(lines: Lines, wait: Clock) -> None:
    with pytest.raises(ValueError, match="broken"), Progress("x", 10) as progress:
        wait(1.0)
        progress.add(30, 0)
        raise ValueError("broken")
    assert lines() == ["x: 1 of 10 requests, 30 tokens/s, 00:09 left"]


def test_long_times_are_given_in_hours(lines: Lines, wait: Clock) -> None:
    with Progress("x", 1000) as progress:
        wait(36.0)
        progress.add(0, 0)
    assert lines() == ["x: 1 of 1000 requests, 0 tokens/s, 9:59:24 left"]


def test_a_log_gets_no_bar(capsys: pytest.CaptureFixture[str], lines: Lines, wait: Clock) -> None:
    with Progress("x", 100) as progress:
        for _ in range(100):
            wait(0.125)
            progress.add(1, 1)
    assert capsys.readouterr().err == ""
    assert [line.partition(",")[0] for line in lines()] == [f"x: {n} of 100 requests" for n in (40, 80, 100)]
    assert not any(re.search(r"[\r\n|%#\x1b]", line) for line in lines())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, lines: Lines, wait: Clock) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("x", 4) as progress:
        for _ in range(4):
            wait(1.0)
            progress.add(30, 0)
    drawn = terminal.getvalue()
    assert drawn.startswith("\rx:  25%|")
    assert "2 of 4 requests, 30 tokens/s, 00:02 left" in drawn
    assert drawn.endswith("\n")
    assert lines() == []
