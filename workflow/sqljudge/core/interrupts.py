"""Ctrl-C while Python still imports: a line in place of a traceback. Imports nothing that takes time itself."""

from __future__ import annotations

import os
import sys
from types import TracebackType

STOPPED = "Stopped by hand: what is finished is kept, and the same command goes on from there."


def without_trace() -> None:
    """From now on an interrupt that nothing handles ends this process with one line on standard error.

    With none where the environment says SQLJUDGE_MESSAGES=log by now: the process that started this one says it. All
    other exceptions are shown as before.
    """
    usual, silent = sys.excepthook, os.environ.get("SQLJUDGE_MESSAGES") == "log"

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            usual(kind, error, trace)
        elif not silent:
            print(STOPPED, file=sys.stderr)

    sys.excepthook = show
