"""How scripts of the workflow and commands of the library run: where messages go, and how a run ends."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

from sqljudge.core.errors import SqljudgeError
from sqljudge.core.interrupts import STOPPED, without_trace

NOT_ARGUMENTS = ("code", "caption")
"""Params that no function is given: the digest of the code, which Snakemake watches, and words of a caption."""

if hasattr(sys.modules["__main__"], "snakemake"):  # a script of a rule, which goes on to import what it calls
    without_trace()


class _Tee:
    """Writes to several streams at once."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams
        self.encoding = "utf-8"

    def write(self, text: str) -> int:
        """Write to all."""
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush all."""
        for stream in self._streams:
            stream.flush()

    def isatty(self) -> bool:
        """Never a terminal: no library draws bars into a log."""
        return False


@contextmanager
def messages() -> Iterator[None]:
    """What the library says of its work goes to standard error, until the end of the block."""
    library, lines = logging.getLogger("sqljudge"), logging.StreamHandler(sys.stderr)
    library.addHandler(lines)
    library.setLevel(logging.INFO)
    try:
        yield
    finally:
        library.removeHandler(lines)
        library.setLevel(logging.NOTSET)


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a script's body; yields its named inputs, outputs and params as the arguments of the function that it calls.

    A file is its path, a list of files a list of paths; NOT_ARGUMENTS are left out. Messages go to standard error and
    to the job's log; a SqljudgeError ends the process with status 1 and one line. Where the environment says
    SQLJUDGE_MESSAGES=log, as the logger plugin does, all of it goes to the log alone, tracebacks too.
    """
    path = Path(str(snakemake.log[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr
    with path.open("w", encoding="utf-8", errors="backslashreplace") as handle:
        quiet = os.environ.get("SQLJUDGE_MESSAGES") == "log"
        sys.stderr = _Tee(handle) if quiet else _Tee(terminal, handle)
        try:
            files = {name: part for parts in (snakemake.input, snakemake.output) for name, part in parts.items()}
            paths = {name: str(one) if isinstance(one, str) else [*map(str, one)] for name, one in files.items()}
            with messages():
                yield {**paths, **{name: part for name, part in snakemake.params.items() if name not in NOT_ARGUMENTS}}
        except SqljudgeError as error:
            print(f"Error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
            raise SystemExit(1) from None
        except (Exception, KeyboardInterrupt) as error:
            if not quiet:
                raise
            traceback.print_exc(file=handle)
            raise SystemExit(130 if isinstance(error, KeyboardInterrupt) else 1) from None
        finally:
            sys.stderr = terminal


def command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main` and exit with its status.

    Quietly with 0 where nobody reads its output on (`| head`), with 130 and one line where a person stops it.
    """
    try:
        try:
            status: object = main()
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  (nothing is left to flush)
        status = 0
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        status = 130
    raise SystemExit(status)
