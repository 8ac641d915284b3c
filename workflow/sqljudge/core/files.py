"""Text and JSON files: read in one way, written whole or not at all."""

from __future__ import annotations

import codecs
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError

_HALF = re.compile("[\ud800-\udfff]")
_MAY_SPELL_HALF = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


def shortened(text: str, longest: int) -> str:
    """A text of at most so many characters: a longer one is cut, with an ellipsis at its end."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def whole_text(text: str) -> str:
    """A text in which U+FFFD stands for each half of a surrogate pair, so that it has as many characters as before.

    JSON can spell out a half without its other half (`"\\ud83d"`), but no file, tokenizer or database takes it.
    """
    return _HALF.sub("\ufffd", text)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text (bytes: UTF-8); its texts and keys are whole, see `whole_text`.

    Raises ValueError where it is not JSON.
    """
    given = text if isinstance(text, str) else text.decode("utf-8-sig", "surrogatepass")
    value = json.loads(given)
    return _whole(value) if _MAY_SPELL_HALF.search(given) else value


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return {whole_text(key): _whole(part) for key, part in value.items()} if isinstance(value, dict) else value


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8, `whole_text`) so that it is either whole or not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(whole_text(text))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def decoded(content: bytes, errors: str = "strict") -> str:
    """The text of a file that a user gives: UTF-8, with or without a byte-order mark, line breaks as `\\n`.

    `errors`: as in `bytes.decode`; other than strict, it lets some null bytes through. Raises DataError for UTF-16 or
    UTF-32, UnicodeDecodeError for other bytes.
    """
    nulls = content.count(0)
    is_wide = nulls > 0 if errors == "strict" else nulls > len(content) // 4
    if is_wide or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("not UTF-8 text but UTF-16 or UTF-32; save the file as UTF-8")
    return content.decode("utf-8-sig", errors).replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: str | Path, errors: str = "strict") -> str:
    """A text file as `decoded` gives it. Raises DataError naming the file if it is missing or not UTF-8."""
    try:
        return decoded(Path(path).read_bytes(), errors)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_json(path: str | Path) -> Any:
    """A JSON file's value. Raises DataError naming the file if it is missing, not UTF-8 or not JSON."""
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
