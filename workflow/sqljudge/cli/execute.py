"""`python -m sqljudge execute --db FILE` runs one query a line in the sandbox."""

from __future__ import annotations

import argparse
import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

from sqljudge.core.errors import SqljudgeError
from sqljudge.sql.sandbox import Limits, Sandbox
from sqljudge.stages.execute import as_cell

CHUNK_PER_WORKER = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m sqljudge execute",
        description="Run one query a line (standard input) on a SQLite file, read-only and within limits; "
        "write one JSON object a line: outcome, message, rows, row_count, steps, ms.",
    )
    parser.add_argument("--db", type=Path, required=True, help="the SQLite file")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    for limit in fields(Limits):
        option = f"--{limit.name.replace('_', '-')}"
        kind = type(limit.default)
        parser.add_argument(option, type=kind, default=limit.default, help=f"limit (default: {limit.default})")
    options = parser.parse_args(arguments)
    try:
        limits = Limits(**{limit.name: getattr(options, limit.name) for limit in fields(Limits)})
        with Sandbox(options.workers, limits) as sandbox:
            sandbox.run([(options.db, "SELECT count(*) FROM sqlite_master")])  # says so if this is no database
            chunk = 1 if options.workers == 1 else CHUNK_PER_WORKER * options.workers
            _serve(sandbox, options.db, sys.stdin.buffer, chunk)
    except (SqljudgeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(sandbox: Sandbox, database: Path, source: BinaryIO, chunk: int) -> None:
    for queries in _chunks(source, chunk):
        for result in sandbox.run([(database, sql) for sql in queries]):
            shown = {
                "outcome": result.outcome,
                "message": result.message,
                "rows": [[as_cell(cell) for cell in row] for row in result.rows],
                "row_count": result.row_count,
                "steps": result.steps,
                "ms": round(result.ms, 3),
            }
            print(json.dumps(shown, allow_nan=False))
        sys.stdout.flush()


def _chunks(source: Iterable[bytes], size: int) -> Iterator[list[str]]:
    chunk = []
    for line in source:
        chunk.append(line.removeprefix(BOM_UTF8).rstrip(b"\r\n").decode("utf-8", errors="surrogateescape"))
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
