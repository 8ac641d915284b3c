"""What a query may use, and what came of it. Knows neither SQLite nor processes."""

from __future__ import annotations

from dataclasses import dataclass

from sqljudge.core.records import Outcome

RawCell = str | int | float | bytes | None
Row = tuple[RawCell, ...]


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    steps: SQLite virtual-machine instructions (counted in hundreds); seconds: wall time, a backstop that a query on an
    ordinary machine meets only inside one endless operation; rows: rows returned; cell_bytes: size of one value, row
    or string inside SQLite; memory_bytes: SQLite's heap, and as much again for the rows that are kept.
    """

    steps: int = 100_000_000
    seconds: float = 30.0
    rows: int = 500_000
    cell_bytes: int = 1_000_000
    memory_bytes: int = 512 * 1024 * 1024

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"limit {name}={value!r}: must be above 0")


@dataclass(frozen=True)
class QueryResult:
    """What came of one query. `rows`: all rows for `ok`, the rows up to the limit for `row_limit`, else none.

    outcome: `ok`; `error` (SQLite rejects it, or it holds no statement); `timeout` (too many steps, or too long);
    `row_limit`; `memory` (a value or the whole is too big); `refused` (it asks for more than reading).
    """

    outcome: Outcome
    message: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    row_count: int
    steps: int
    ms: float


def failed(outcome: Outcome, message: str, steps: int = 0, ms: float = 0.0) -> QueryResult:
    """A result without rows."""
    return QueryResult(outcome, message, (), (), 0, steps, ms)
