"""What can go wrong with one query: never the caller's fault, and never a reason to stop a run."""

from __future__ import annotations


class UnreadableSql(Exception):  # noqa: N818  (a judgment on the query, not an error of ours)
    """The official parser cannot read this query: for exact and partial match it is empty."""


class ComparisonLimit(Exception):  # noqa: N818
    """Two results could not be compared within the limit: nobody knows whether they are equal."""
