"""Time in tests. A busy machine is slow by some factor, so a test only tells seconds from hours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

HANGS = 3000
"""Seconds after which a run hangs: many times what it takes on a busy machine."""


@contextmanager
def linear() -> Iterator[None]:
    """Hold a step to a minute of CPU time: on its input a linear program takes seconds, a worse one many minutes."""
    started = time.process_time()
    yield
    assert time.process_time() - started < 60
