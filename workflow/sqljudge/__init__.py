"""LLM planning for text-to-SQL: the library behind the workflow. It knows nothing of Snakemake."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # without the import of typing, which takes as long as all else here
    from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`from sqljudge import judge`: loaded when it is asked for, since it needs most of the library."""
    if name == "judge":
        from sqljudge.cli.judge import judge

        return judge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
