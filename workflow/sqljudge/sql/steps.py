"""Where the clauses of a normalised query begin, so that it can be cut between them. Knows no schema and no grammar."""

from __future__ import annotations

from sqljudge.sql.text import pieces

SET_OPERATORS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
CLAUSES = frozenset({"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"}) | SET_OPERATORS
"""The words that begin a clause outside parentheses. A set operator and the SELECT that follows it are one clause."""


def clause_starts(sql: str) -> list[int]:
    """The places at which the clauses of a query in its normal form begin, the first of them 0.

    Looked at is what stands outside strings, quoted names and parentheses, up to the first semicolon. JOIN belongs to
    its FROM, OFFSET to its LIMIT, and what comes before the first clause (WITH ...) is a clause of its own. `FROM`
    after `DISTINCT` is a comparison, not a clause.
    """
    starts, depth, before = [0], 0, ""
    for kind, place, text in pieces(sql):
        if kind == "other":
            depth = max(0, depth + {"(": 1, ")": -1}.get(text, 0))
            if text == ";" and depth == 0:
                break
        if kind == "gap" or (kind == "word" and text == "ALL"):
            continue
        if kind == "word" and depth == 0 and text in CLAUSES and place and not _belongs(before, text):
            starts.append(place)
        before = text if kind == "word" else ""
    return starts


def _belongs(before: str, word: str) -> bool:
    """Whether a word goes on with the clause of the word before it."""
    return (word == "SELECT" and before in SET_OPERATORS) or (word == "FROM" and before == "DISTINCT")


def first_clauses(sql: str, count: int) -> str | None:
    """A query's first so many clauses, without white space at their end; None where it has no clause beyond them."""
    starts = clause_starts(sql)
    return sql[: starts[count]].rstrip() if count < len(starts) else None
