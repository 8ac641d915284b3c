"""The text of a query: its normal form, in which candidates are compared, and where its clauses begin. Knows no schema.

sqlglot's tokenizer says where tokens begin and end; what stands there is always taken from the text itself.
"""

from __future__ import annotations

import re
import string
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from sqljudge.core.records import EMPTY_SQL

if TYPE_CHECKING:
    from sqlglot.tokens import Tokenizer

_WORDS = """
ALL ALTER AND AS ASC BETWEEN BY CASE CAST COLLATE CREATE CROSS DELETE DESC DISTINCT DROP ELSE END ESCAPE EXCEPT EXISTS
FROM FULL GLOB GROUP HAVING IN INNER INSERT INTERSECT INTO IS ISNULL JOIN LEFT LIKE LIMIT NATURAL NOT NOTNULL NULL
NULLS OFFSET ON OR ORDER OUTER OVER PARTITION RECURSIVE REGEXP RIGHT SELECT SET TABLE THEN UNION UPDATE USING VALUES
WHEN WHERE WITH
"""
KEYWORDS = frozenset(_WORDS.split())
"""The words written in upper case: those that structure a query. Function names are not among them.

sqlglot's own keywords will not do: they lack some of these, and hold names of types, which are also names of columns.
"""

_MORE_RESERVED = """
ADD AUTOINCREMENT CHECK COMMIT CONSTRAINT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DEFAULT DEFERRABLE FOREIGN INDEX
NOTHING PRIMARY RAISE REFERENCES RETURNING TO TRANSACTION UNIQUE
"""
RESERVED = KEYWORDS | frozenset(_MORE_RESERVED.split())
"""The words that SQLite may not take for a name unless they are quoted."""

SET_OPERATORS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
CLAUSES = frozenset({"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"}) | SET_OPERATORS
"""The words that begin a clause outside parentheses. A set operator and the SELECT that follows it are one clause."""

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_SPACE = " \t\n\r\f\v"
_IN_WORDS = re.compile(r"[0-9\u0080-\U0010ffff]")
_ALONE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f{]")
_MISSING = re.compile(r"Missing (.) from \d+:(\d+)")


def normalize_sql(sql: str, *, quoted_names: bool = False) -> str:
    """The normal form of `sql` (method, section 2): idempotent, total, and the same query to SQLite up to quoting.

    String values keep their case and inner spaces; double quotes become single unless `quoted_names` says that they may
    hold names, which only SQLite can tell from values: then they are left as they are. Structural keywords are upper
    case and all other text is lower case (ASCII letters only, as SQLite folds them); white space and comments become
    single spaces; exactly one semicolon ends it. A text with no query in it gives EMPTY_SQL. After a quote that is
    never closed the text is left as it is. Never raises.
    """
    found, rest = _tokens(sql)
    pieces: list[str] = []
    end = 0
    for start, text in [*found, (rest, sql[rest:])]:
        piece = text if start == rest else _rewritten(text, quoted_names)
        if start > end or (pieces and pieces[-1].endswith("'") and piece.startswith("'")):
            pieces.append(" ")  # two values side by side must not become one
        pieces.append(piece)
        end = start + len(text)
    return "".join(pieces).strip(_SPACE).rstrip(";" + _SPACE) + EMPTY_SQL


def _rewritten(token: str, quoted_names: bool) -> str:
    if token[0] == "'" or (token[0] == '"' and quoted_names):
        return token
    if token[0] == '"':
        return "'" + token[1:-1].replace('""', '"').replace("'", "''") + "'"
    if token.isascii() and token.upper() in KEYWORDS:
        return token.upper()
    return token.translate(_LOWER)


def name_text(name: str) -> str:
    """A table's or column's name as a normalised query holds it: in lower case, in backticks if it is no plain word."""
    lower = name.translate(_LOWER)
    if _PLAIN_NAME.fullmatch(lower) and lower.upper() not in RESERVED:
        return lower
    return "`" + lower.replace("`", "``") + "`"


def clause_starts(sql: str) -> list[int]:
    """The places at which the clauses of a query in its normal form begin, the first of them 0.

    Looked at is what stands outside strings, quoted names and parentheses, up to the first semicolon. JOIN belongs to
    its FROM, OFFSET to its LIMIT, and what comes before the first clause (WITH ...) is a clause of its own. `FROM`
    after `DISTINCT` is a comparison, not a clause.
    """
    starts, depth, before = [0], 0, ""
    for place, token in _tokens(sql)[0]:
        depth = max(0, depth + {"(": 1, ")": -1}.get(token, 0))
        if token == ";" and depth == 0:
            break
        if token == "ALL":
            continue
        goes_on = (token == "SELECT" and before in SET_OPERATORS) or (token == "FROM" and before == "DISTINCT")
        if token in CLAUSES and depth == 0 and place and not goes_on:
            starts.append(place)
        before = token
    return starts


def first_clauses(sql: str, count: int) -> str | None:
    """A query's first so many clauses, without white space at their end; None where it has no clause beyond them."""
    starts = clause_starts(sql)
    return sql[: starts[count]].rstrip() if count < len(starts) else None


def _tokens(sql: str) -> tuple[list[tuple[int, str]], int]:
    """Place and text of every token, and the place of a quote that is never closed (else the text's length).

    The tokenizer is given a text of the same length that it reads as SQLite reads `sql`: in which digits and letters
    beyond ASCII are plain letters, and control characters and `{` (it knows templates) stand for themselves. It refuses
    what opens and never closes: a comment is closed for it, a quote ends what it gets, and a backtick or bracket is no
    longer one.
    """
    from sqlglot.errors import TokenError

    text, rest = _ALONE.sub("?", _IN_WORDS.sub("x", sql)) + "\n*/", len(sql)
    while True:
        try:
            found = _lexer()().tokenize(text)
        except TokenError as error:
            missing, place = _MISSING.fullmatch(str(error.__cause__)).groups()  # type: ignore[union-attr]
            at = int(place)
            if missing in "'\"":
                text, rest = text[:at], at
            else:
                text = text[:at] + text[at:].replace(text[at], "?")
        else:
            return [(token.start, sql[token.start : token.end + 1]) for token in found if token.start < rest], rest


@cache
def _lexer() -> type[Tokenizer]:
    """SQLite's tokens without its keywords, of which sqlglot has some that span words or that change what follows.

    Made when first needed: the import takes 0.15 seconds.
    """
    from sqlglot.dialects.sqlite import SQLite

    class Lexer(SQLite.Tokenizer):
        IDENTIFIERS: ClassVar = ["'", '"', "`", ("[", "]")]
        QUOTES: ClassVar = []
        HEX_STRINGS: ClassVar = []
        KEYWORDS: ClassVar = {}

    return Lexer
