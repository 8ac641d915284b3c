"""The exceptions that a user may cause: each message says what is wrong, where, and what to do."""


class SqljudgeError(Exception):
    """Base of every error that a user's input or environment can cause."""


class ConfigError(SqljudgeError):
    """The configuration names something that does not exist or does not fit."""


class DataError(SqljudgeError):
    """A data file (dataset, database, pool, result) is missing, damaged or malformed."""


class ModelError(SqljudgeError):
    """A model cannot be found, loaded, or asked for what is wanted of it."""


class SqlRunError(SqljudgeError):
    """The machinery that runs SQL failed. Never raised for a query that is merely wrong."""


class UnreadableSql(Exception):  # noqa: N818  (a judgment on the query, not an error of ours)
    """The official parser cannot read this query: for exact and partial match it is empty."""


class ComparisonLimit(Exception):  # noqa: N818
    """Two results could not be compared within the limit: nobody knows whether they are equal."""
