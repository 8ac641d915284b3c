"""Judgments as a Parquet file. Knows the record, not what made it.

pyarrow is imported where a file is read or written: most of those who know this module do neither.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.records import Judgment, check_values, whole_text


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
        ]
    )


def write_judgments(path: str | Path, judgments: Sequence[Judgment]) -> None:
    """Write judgments, one row each, so that the file is either whole or not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [dataclasses.asdict(judgment) for judgment in judgments]
    for row in rows:
        row["response"] = whole_text(row["response"])
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), temporary, compression="zstd")
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_judgments(path: str | Path) -> list[Judgment]:
    """All judgments of a file.

    Raises DataError naming the file where it is missing, not such a file, or holds what `check_values` refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # `read_table` would import pandas
            table = file.read()
        if table.schema.names != _schema().names:
            raise DataError(f"{path}: other columns than a judgments file has; delete it and re-run")
        rows = table.cast(_schema()).to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a whole judgments file ({reason}); delete it and re-run") from error
    lists = ("token_ids", "logprobs", "token_ends")
    try:
        judgments = [Judgment(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows]
        for judgment in judgments:
            check_values(judgment)
    except (TypeError, DataError) as error:
        raise DataError(f"{path}: not a whole judgments file ({error}); delete it and re-run") from error
    return judgments
