"""Judgments as a Parquet file. Knows the record, not what made it.

pyarrow is imported where a file is read or written: most of those who know this module do neither.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import whole_text
from sqljudge.core.records import Judgment, check_values

ROWS = 64
"""Rows that are in memory together while a file is written or read."""


@cache
def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("question_id", pa.int64()),
            ("sql", pa.string()),
            ("p_yes", pa.float64()),
            ("response", pa.string()),
            ("token_ids", pa.list_(pa.int32())),
            ("logprobs", pa.list_(pa.float32())),
            ("token_ends", pa.list_(pa.int32())),
            ("finish_reason", pa.string()),
            ("budget", pa.int32()),
            ("prompt_tokens", pa.int32()),
            ("routed", pa.list_(pa.int32())),
        ]
    )


def write_judgments(path: str | Path, judgments: Iterable[Judgment]) -> None:
    """Write judgments, one row each, as they come, so that the file is either whole or not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, schema = Path(path), _schema()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        waiting = iter(judgments)
        with pq.ParquetWriter(temporary, schema, compression="zstd") as out:
            while rows := list(islice(waiting, ROWS)):
                columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
                columns["response"] = [*map(whole_text, columns["response"])]
                out.write_table(pa.Table.from_pydict(columns, schema))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_judgments(path: str | Path) -> list[Judgment]:
    """All judgments of a file.

    Raises DataError naming the file where it is missing, not such a file, or holds what `check_values` refuses.
    """
    return list(iter_judgments(path))


def iter_judgments(path: str | Path) -> Iterator[Judgment]:
    """As `read_judgments`, one judgment at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lists = ("token_ids", "logprobs", "token_ends", "routed")
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != _schema().names:
                raise DataError("other columns than a judgments file has")
            for batch in file.iter_batches(ROWS):
                for row in pa.Table.from_batches([batch]).cast(_schema()).to_pylist():
                    judgment = Judgment(**{**row, **{name: tuple(row[name]) for name in lists}})
                    check_values(judgment)
                    yield judgment
    except (OSError, pa.ArrowException, TypeError, DataError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a whole judgments file ({reason}); delete it and re-run") from error
