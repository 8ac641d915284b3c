"""How far a model job is: requests done, tokens a second, time left. Knows numbers, not what they are of."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

REPORT_SECONDS = 5.0


@dataclass(slots=True)
class Progress:
    """Says on standard error how many requests are done, how fast, and how long the rest will take.

    `budget`: new tokens that all requests may take together; 0 where none are made.
    """

    label: str
    total: int
    budget: int = 0
    done: int = 0
    new: int = 0
    """New tokens of the requests that are done."""
    computed: int = 0
    """Tokens of the requests that are done, those of the prompts included."""
    under_way: int = 0
    """New tokens of requests that are not done."""
    started: float = field(default_factory=lambda: time.monotonic())
    reported: float = field(default_factory=lambda: time.monotonic())

    def begin(self) -> None:
        """Say that the job has begun: until the first report a model is loaded."""
        print(f"{self.label}: {self.total} requests; loading the model", file=sys.stderr, flush=True)

    def beat(self, tokens: int) -> None:
        """New tokens of requests that are not done yet."""
        self.under_way += tokens
        self._report()

    def add(self, prompt: int, new: int) -> None:
        """One more request is done: tokens of its prompt, and new ones, all of which came as beats."""
        self.done += 1
        self.new += new
        self.computed += prompt + new
        self.under_way = max(0, self.under_way - new)
        self._report()

    def _report(self) -> None:
        now = time.monotonic()
        if now - self.reported < REPORT_SECONDS and self.done != self.total:
            return
        self.reported = now
        spent = max(now - self.started, 1e-9)
        speed = (self.computed + self.under_way) / spent
        print(
            f"{self.label}: {self.done} of {self.total} requests, {speed:.0f} tokens/s, {self._left(spent)}",
            file=sys.stderr,
            flush=True,
        )

    def _left(self, spent: float) -> str:
        """Time for what is left, at the speed so far.

        By new tokens where there are any: a request that is not done is taken to need its share of the budget at the
        start, and what the others needed at the end, since the ones that are done first are the short ones.
        """
        if self.budget:
            share = self.done / self.total
            needed = (1 - share) * self.budget / self.total + (share * self.new / self.done if self.done else 0.0)
            ahead, behind = (self.total - self.done) * needed - self.under_way, self.new + self.under_way
        else:
            ahead, behind = float(self.total - self.done), self.done
        return f"{clock(max(0.0, ahead) * spent / behind)} left" if behind else "time left not known yet"


def clock(seconds: float) -> str:
    """Seconds as `1 h 02 min`, `3 min 05 s` or `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
