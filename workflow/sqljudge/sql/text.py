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
"""The words that structure a query; they are written in upper case.

sqlglot's own keywords will not do: they lack some of these, and hold names of types, which are also names of columns.
"""

AGGREGATES = frozenset({"COUNT", "MAX", "MIN", "SUM", "AVG"})
"""The functions written in upper case, wherever their names stand, as the paper's printed queries have them."""

_UPPER = KEYWORDS | AGGREGATES
_NO_OPERAND = KEYWORDS - {"END", "NULL"}

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
_ID = r"[0-9A-Za-z_$\x80-\U0010ffff]"
_UNIT = re.compile(
    rf"(?P<number>(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?{_ID}*)"
    rf"|(?P<word>[A-Za-z_\x80-\U0010ffff]{_ID}*)"
    rf"|(?P<variable>\?[0-9]*|[$@:#]{_ID}+)"
    r"|(?P<operator>->>?|<[<=>]?|>[>=]?|==?|!=|\|\|?|[-+*/%&~])"
)
"""A token of SQLite that holds no quote; the tokenizer cuts some of them."""
_MISSING = re.compile(r"Missing (.) from \d+:(\d+)")


def normalize_sql(sql: str, *, quoted_names: bool = False) -> str:
    """The normal form of `sql` (method, section 2): idempotent, total, and the same query to SQLite up to quoting.

    String values keep their case and inner spaces; double quotes become single unless `quoted_names` says that they may
    hold names, which only SQLite can tell from values: then they are left as they are. Structural keywords and
    aggregates are upper case and all other text is lower case (ASCII letters only, as SQLite folds them). Comments are
    dropped, and one space stands between tokens (see `_spaced` for where none does); exactly one semicolon ends the
    query. A text with no query in it gives EMPTY_SQL. After a quote that is never closed the text is left as it is.
    Never raises.
    """
    found, rest = _tokens(sql)
    pieces: list[str] = []
    end, last, operand = 0, "(", False
    for start, token in found:
        kind = _kind(token)
        if not operand and token in ("+", "-", "~"):
            kind = "sign"
        adjacent = start == end
        # x'00' is one token of SQLite's, and x '00' is two
        blob = adjacent and token[0] == "'" and pieces != [] and pieces[-1] == "x"
        if not blob and _spaced(last, pieces[-1] if pieces else "", kind, token, adjacent):
            pieces.append(" ")
        piece = _rewritten(token, quoted_names)
        pieces.append(piece)
        end, last = start + len(token), kind
        operand = kind in ("number", "quoted", "variable", ")") or (kind == "word" and piece not in _NO_OPERAND)
    if rest > end or last == "quoted":
        pieces.append(" ")  # an open quote must not go on from a closed one
    return ("".join(pieces) + sql[rest:]).strip(_SPACE).rstrip(";" + _SPACE) + EMPTY_SQL


def _spaced(last: str, piece: str, kind: str, token: str, adjacent: bool) -> bool:
    """Whether a space stands between two tokens, by the kinds of both, the first's text and the second's.

    As the paper's printed queries show: none before a comma or semicolon, inside parentheses, around the dot of a name,
    after a sign, and between an aggregate and its parenthesis. Characters that SQL does not know stay as they stand.
    """
    if last == "(" or kind in (",", ";", ")"):
        return False
    if "odd" in (last, kind):
        return not adjacent
    if last == "sign":
        return kind in ("operator", "sign", ".")
    if kind == "(":
        return piece not in AGGREGATES
    if kind == ".":
        return last not in ("word", "quoted")
    return last != "." or (kind not in ("word", "quoted") and token != "*")


def _kind(token: str) -> str:
    if len(token) > 1 and token[0] in "'\"`[":
        return "quoted"
    unit = _UNIT.match(token)
    return str(unit.lastgroup) if unit else token if token in ",;()." else "odd"


def _rewritten(token: str, quoted_names: bool) -> str:
    if token[0] == "'" or (token[0] == '"' and quoted_names):
        return token
    if token[0] == '"':
        return "'" + token[1:-1].replace('""', '"').replace("'", "''") + "'"
    if token.isascii() and token.upper() in _UPPER:
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


def first_statement(sql: str) -> str:
    """What stands before a text's first semicolon that is outside strings, quoted names and comments; all, if none."""
    return sql[: next((place for place, token in _tokens(sql)[0] if token == ";"), len(sql))]


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
            break
    tokens: list[tuple[int, str]] = []
    end = 0
    for token in found:
        if end <= token.start < rest:
            unit = _UNIT.match(sql, token.start)
            end = max(token.end + 1, unit.end() if unit else 0)
            tokens.append((token.start, sql[token.start : end]))
    return tokens, rest


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
