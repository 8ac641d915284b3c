"""What a job says of its requests while it runs: a bar on a terminal, or lines of the log."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

from tqdm import tqdm

log = logging.getLogger(__name__)

REPORT_SECONDS = 5.0
"""A log gets at most one line of progress in so many seconds."""


class Progress(tqdm):  # type: ignore[misc]
    """What a job says while it runs: requests done, tokens a second, time left.

    A bar on a terminal, else lines of the log. `budget`: new tokens that all requests may take together; 0 where none
    are made.
    """

    monitor_interval = 0  # no thread: what has stalled need not be drawn again

    def __init__(self, label: str, total: int, budget: int = 0) -> None:
        self.budget = budget
        self.new = self.computed = self.under_way = 0  # tokens: new ones of what is done, all of that, new ones else
        self.drawn = sys.stderr.isatty()
        super().__init__(
            desc=label,
            total=total,
            file=sys.stderr if self.drawn else _Lines(),
            leave=self.drawn,
            mininterval=0.1 if self.drawn else REPORT_SECONDS,
            miniters=0,
            delay=1e-9,  # nothing is shown before the first update
            position=0,
            bar_format=("{l_bar}{bar}| " if self.drawn else "{desc}: ")
            + "{n_fmt} of {total_fmt} requests, {speed:.0f} tokens/s, {left}",
        )

    def beat(self, tokens: int) -> None:
        """New tokens of requests that are not done yet."""
        self.under_way += tokens
        self.update(0)

    def add(self, prompt: int, new: int) -> None:
        """One more request is done: tokens of its prompt, and new ones, all of which came as beats."""
        self.new += new
        self.computed += prompt + new
        self.under_way = max(0, self.under_way - new)
        self.update(1)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What a line may show; `speed`: tokens a second, `left`: the time for what is left, at the speed so far.

        By new tokens where there are any: a request that is not done is taken to need its share of the budget at the
        start, and what the others needed at the end, since the ones that are done first are the short ones.
        """
        known = super().format_dict
        spent, ahead, behind = max(known["elapsed"], 1e-9), float(self.total - self.n), self.n
        if self.budget:
            share = self.n / self.total
            needed = (1 - share) * self.budget / self.total + (share * self.new / self.n if self.n else 0.0)
            ahead, behind = ahead * needed - self.under_way, self.new + self.under_way
        left = f"{self.format_interval(max(0.0, ahead) * spent / behind)} left" if behind else "time left not known yet"
        return {**known, "speed": (self.computed + self.under_way) / spent, "left": left}

    def close(self) -> None:
        """Say how far it came, if that was not said yet."""
        if not self.disable and not self.drawn and self.last_print_n < self.n:
            self.refresh()
        super().close()


class _Lines(io.TextIOBase):
    """A file that makes each state of a bar a line of the log."""

    def write(self, text: str) -> int:
        if line := text.strip():
            log.info(line)
        return len(text)
