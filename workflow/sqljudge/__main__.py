"""`python -m sqljudge COMMAND`: the library's commands."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NoReturn

from sqljudge.core.joblog import command

COMMANDS = {
    "evaluate": ("sqljudge.cli.evaluate", "score SQL predictions as the official Spider evaluator does"),
    "judge": ("sqljudge.cli.judge_command", "execute and judge your own candidates on your own database, and choose"),
    "execute": ("sqljudge.cli.execute", "run one query a line on a SQLite file, in the sandbox"),
    "lineage": ("sqljudge.cli.lineage", "print the chain of rules behind a result"),
    "docs": ("sqljudge.experiments.docs", "print config/README.md, made from the configuration's types"),
}
"""Each command's module, whose `main` takes the arguments, and what it is for."""


def main() -> int | None:
    """Run the command that the first argument names; returns its exit status."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in COMMANDS:
        lines = [f"  {known:<10}{about}" for known, (_, about) in COMMANDS.items()]
        print(
            "usage: python -m sqljudge COMMAND [--help] ...",
            *lines,
            sep="\n",
            file=sys.stdout if name in ("-h", "--help") else sys.stderr,
        )
        return 0 if name in ("-h", "--help") else 2
    status: int | None = import_module(COMMANDS[name][0]).main(arguments)
    return status


def run() -> NoReturn:
    """Run the command and end the process: what an installation calls `sqljudge`."""
    command(main)


if __name__ == "__main__":
    run()
