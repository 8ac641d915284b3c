"""Writes the explorer's folder: its page, and the data as scripts that the page loads when it needs them.

A page that is opened from disk may not fetch files, but may load scripts; so each data file is one call with JSON.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqljudge.core.records import write_text
from sqljudge.report.explorer.questions import Shown

PAGE = "index.html"
TEMPLATES = Path(__file__).parent / "templates"
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def as_script(kind: str, key: str, value: Any) -> str:
    """A value as a script that hands it to the page.

    ASCII only, half surrogate pairs included, and without <, > and &: whatever the value's texts say, the file holds
    one call and its data. Raises ValueError for a number that JSON does not have.
    """
    arguments = (json.dumps(part, allow_nan=False, separators=(",", ":")) for part in (kind, key, value))
    return f"explorer.register({','.join(arguments)});\n".translate(_UNSAFE)


def write_explorer(folder: Path, summary: Mapping[str, Any], shown: Iterable[Shown]) -> int:
    """Write the explorer into a folder, over one that is there; returns the number of questions.

    `data/index.js` holds what lists, filters and the search need; each question has one file of its own below
    `data/questions`, and one below `data/responses` with the responses.
    """
    for old in ("assets", "data"):
        shutil.rmtree(folder / old, ignore_errors=True)
    lines = []
    for each in shown:
        write_text(folder / "data/questions" / f"{each.key}.js", as_script("question", each.key, each.page))
        write_text(folder / "data/responses" / f"{each.key}.js", as_script("responses", each.key, each.responses))
        lines.append(each.line)
    write_text(folder / "data/index.js", as_script("index", "", {**summary, "questions": lines}))
    for part in TEMPLATES.iterdir():
        place = folder if part.name == PAGE else folder / "assets"
        write_text(place / part.name, part.read_text(encoding="utf-8"))
    return len(lines)
