"""Numbers and texts as people read them: in Markdown, LaTeX, HTML and reStructuredText. Knows no table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2

from sqljudge import report
from sqljudge.core.errors import ConfigError

FORMATS = ("csv", "md", "tex", "html")
"""Of the files that a table or a page is written to."""
_ROOM = Path(report.__path__[0])  # named as a module, so that its templates are part of the code of what renders


def check_format(file_format: str) -> None:
    """Raises ConfigError for what is none of FORMATS."""
    if file_format not in FORMATS:
        raise ConfigError(f"table format {file_format!r}: not known; choose one of {', '.join(FORMATS)}")


def number(value: float, decimals: int) -> str:
    """A value as text with a fixed number of decimals; never "-0.0"."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def signed(value: float, decimals: int) -> str:
    """A difference as text, with its sign unless it is zero as shown."""
    text = number(value, decimals)
    return text if text.startswith("-") or float(text) == 0 else f"+{text}"


def caption(table: Any) -> str:
    """ "Table 1. Its title" for a table that has a number in its `name`, else its `title`."""
    found = re.fullmatch(r"table(\d+)", table.name)
    return f"Table {found[1]}. {table.title}" if found else str(table.title)


def plain(text: str) -> str:
    """Text that a Markdown table cell shows as it stands."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


def bullets(notes: Iterable[str]) -> str:
    """A Markdown list, an item a note."""
    return "\n".join(f"- {plain(note)}" for note in notes)


_TEX = (
    {symbol: f"\\{symbol}" for symbol in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", '"': r"\textquotedbl{}", "[": "{[}", "]": "{]}"}
    | {"−": "$-$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$"}
)


def tex(text: str) -> str:
    """Text with everything that LaTeX reads as a command escaped."""
    return "".join(_TEX.get(symbol, symbol) for symbol in " ".join(str(text).split()))


def tex_number(text: str) -> str:
    """A number, difference or interval with true minus signs, escaped."""
    return re.sub(r"(?<![\w])-(?=\d)", "$-$", tex(text))


def rst(text: str) -> str:
    """Text that reStructuredText shows as it stands."""
    return "".join(f"\\{symbol}" if symbol in "\\*`|_" else symbol for symbol in " ".join(text.split()))


_TEX_MARKS = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}


def template(name: str) -> jinja2.Template:
    """A template of the report, HTML or TeX by its name. In TeX its marks are <% and <<."""
    page = name.endswith(".html")
    marks: dict[str, Any] = {} if page else _TEX_MARKS
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ROOM / "templates"),
        autoescape=page,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **marks,
    )
    environment.filters.update(tex=tex, tex_number=tex_number, number=number, signed=signed)
    environment.globals.update(caption=caption)
    return environment.get_template(name)
