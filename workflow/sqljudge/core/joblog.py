"""How scripts of the workflow and commands of the library run: where messages go, and how a run ends."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from sqljudge.core.errors import SqljudgeError


class _Tee:
    """Writes to two streams at once."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._streams = (terminal, log)
        self.encoding = "utf-8"

    def write(self, text: str) -> int:
        """Write to both."""
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush both."""
        for stream in self._streams:
            stream.flush()

    def isatty(self) -> bool:
        """Never a terminal: no library draws bars into a log."""
        return False


@contextmanager
def job(log: str) -> Iterator[None]:
    """Run a script's body: standard error also goes to `log`, and a SqljudgeError ends the process with status 1.

    What the library's loggers say from INFO on goes to standard error as plain lines.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr
    with Path(log).open("w", encoding="utf-8") as handle:
        sys.stderr = _Tee(terminal, handle)
        library, lines = logging.getLogger("sqljudge"), logging.StreamHandler(sys.stderr)
        library.addHandler(lines)
        library.setLevel(logging.INFO)
        library.propagate = False
        try:
            yield
        except SqljudgeError as error:
            print(f"Error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
            raise SystemExit(1) from None
        finally:
            library.removeHandler(lines)
            library.setLevel(logging.NOTSET)
            library.propagate = True
            sys.stderr = terminal


def command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main` and exit with its status; quietly with 0 where nobody reads its output on (`| head`)."""
    try:
        try:
            status: object = main()
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  (nothing is left to flush)
        status = 0
    raise SystemExit(status)
