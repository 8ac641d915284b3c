"""The normal form of a query's text, in which candidates are compared and de-duplicated. Knows no schema."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from sqljudge.core.records import EMPTY_SQL

_WORDS = """
ALL ALTER AND AS ASC BETWEEN BY CASE CAST COLLATE CREATE CROSS DELETE DESC DISTINCT DROP ELSE END ESCAPE EXCEPT EXISTS
FROM FULL GLOB GROUP HAVING IN INNER INSERT INTERSECT INTO IS ISNULL JOIN LEFT LIKE LIMIT NATURAL NOT NOTNULL NULL
NULLS OFFSET ON OR ORDER OUTER OVER PARTITION RECURSIVE REGEXP RIGHT SELECT SET TABLE THEN UNION UPDATE USING VALUES
WHEN WHERE WITH
"""
KEYWORDS = frozenset(_WORDS.split())
"""The words written in upper case: those that structure a query. Function names are not among them."""

_MORE_RESERVED = """
ADD AUTOINCREMENT CHECK COMMIT CONSTRAINT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DEFAULT DEFERRABLE FOREIGN INDEX
NOTHING PRIMARY RAISE REFERENCES RETURNING TO TRANSACTION UNIQUE
"""
RESERVED = KEYWORDS | frozenset(_MORE_RESERVED.split())
"""The words that SQLite may not take for a name unless they are quoted."""

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_SPACE = " \t\n\r\f\v"
_PIECE = re.compile(
    r"""
      (?P<gap>(?:[ \t\n\r\f\v]+|--[^\n]*|/\*(?:.*?\*/|.*))+)  # white space and comments
    | (?P<single>'(?:[^']|'')*+')
    | (?P<double>"(?:[^"]|"")*+")
    | (?P<open>['"].*)                                        # a quote that is never closed: all the rest
    | (?P<name>`[^`]*`|\[[^\]]{0,255}\])
    | (?P<word>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*)
    | (?P<number>[0-9][A-Za-z0-9_$]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def normalize_sql(sql: str, *, quoted_names: bool = False) -> str:
    """The normal form of `sql` (method, section 2): idempotent, total, and the same query to SQLite up to quoting.

    String values keep their case and inner spaces; double quotes become single unless `quoted_names` says that they may
    hold names, which only SQLite can tell from values: then they are left as they are. Structural keywords are upper
    case and all other text is lower case (ASCII letters only, as SQLite folds them); white space and comments become
    single spaces; exactly one semicolon ends it. A text with no query in it gives EMPTY_SQL. After a quote that is
    never closed the text is left as it is. Never raises.
    """
    pieces: list[str] = []
    for match in _PIECE.finditer(sql):
        piece = _rewritten(str(match.lastgroup), match.group(), quoted_names)
        if pieces and pieces[-1].endswith("'") and piece.startswith("'"):
            pieces.append(" ")  # two values side by side must not become one
        pieces.append(piece)
    return "".join(pieces).strip(_SPACE).rstrip(";" + _SPACE) + EMPTY_SQL


def name_text(name: str) -> str:
    """A table's or column's name as a normalised query holds it: in lower case, in backticks if it is no plain word."""
    lower = name.translate(_LOWER)
    if _PLAIN_NAME.fullmatch(lower) and lower.upper() not in RESERVED:
        return lower
    return "`" + lower.replace("`", "``") + "`"


def _rewritten(kind: str, text: str, quoted_names: bool) -> str:
    if kind == "gap":
        return " "
    if kind in ("single", "open") or (kind == "double" and quoted_names):
        return text
    if kind == "double":
        return "'" + text[1:-1].replace('""', '"').replace("'", "''") + "'"
    if kind == "word" and text.isascii() and text.upper() in KEYWORDS:
        return text.upper()
    return text.translate(_LOWER)


def pieces(sql: str) -> Iterator[tuple[str, int, str]]:
    """What a text is made of, as `normalize_sql` sees it: each piece's kind (a group of _PIECE), place and text."""
    for match in _PIECE.finditer(sql):
        yield str(match.lastgroup), match.start(), match.group()
