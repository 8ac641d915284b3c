"""Child processes as a terminal would start them."""

from __future__ import annotations

import signal


def interruptible() -> None:
    """Run in a child before its program: SIGINT ends it, also where the tests run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
