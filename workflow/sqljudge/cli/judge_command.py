"""`python -m sqljudge judge`: the function `judge` from a terminal, its results as a table and as JSON Lines."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from sqljudge.cli.judge import CHOICES, JudgedCandidate, JudgedQuestion, judge
from sqljudge.cli.questions import COLUMNS, FIELDS
from sqljudge.core.errors import DataError, SqljudgeError
from sqljudge.core.files import shortened
from sqljudge.core.joblog import messages
from sqljudge.core.records import FAILURE_SCORE, write_jsonl
from sqljudge.models.engines.base import PROMPT_FORMATS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 (one line on standard error says why), 130 if interrupted."""
    options = vars(_parser().parse_args(arguments))
    target: Path | None = options.pop("jsonl")
    try:
        _check_target(target, options["questions"])
        with messages():
            judged = judge(**options)
        print(_table(judged, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
        if target:
            write_jsonl(target, judged)
            print(f"written: {target}")
    except (SqljudgeError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        kept = f"; what the model has answered is in {options['journal']}" if options["journal"] else ""
        print(f"interrupted{kept}; the same command begins there", file=sys.stderr)
        return 130
    if all(one.choice is None for one in judged):
        first = f"{judged[0].candidates[0].outcome}: {judged[0].candidates[0].message}"
        print(f"error: no candidate of any question executes (the first one: {first})", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sqljudge judge",
        description="Execute the candidates of your questions on your databases, judge those that run, and choose the "
        "best of each question. No gold query, no schema file and no workflow is needed.",
        epilog=f"Questions are JSON Lines with the fields {', '.join(FIELDS)}, or CSV with the columns "
        f"{', '.join(COLUMNS)}, a row a candidate. 'id' may be left out, and 'db' where there is one database; it is "
        "the name of a database's file without its ending.",
    )
    add = parser.add_argument
    add("--db", dest="databases", nargs="+", required=True, metavar="FILE", help="SQLite files, or SQL text (*.sql)")
    add("--questions", required=True, metavar="FILE", help="questions with candidates: JSON Lines, or CSV (*.csv)")
    add("--method", default="reasoning", choices=CHOICES, help="who judges (default: reasoning)")
    add("--model", default="", help="a name in the models table, a folder, a GGUF file, or https://host/v1#model")
    add("--prompt", default="", metavar="FILE", help="the prompt's template (default: the paper's)")
    add("--prompt-format", default="raw", choices=PROMPT_FORMATS, help="as in the configuration (default: raw)")
    add("--budget", type=int, default=512, help="most new tokens of a response (default: 512)")
    add("--jsonl", type=Path, metavar="FILE", help="write all results to this file, a question a line")
    add("--journal", default="results/journal", metavar="DIR", help="finished requests (default: results/journal)")
    add("--models-table", default="config/models.tsv", metavar="FILE", help="default: config/models.tsv")
    return parser


def _check_target(target: Path | None, questions: str) -> None:
    """Check, before a model is asked for an hour, that its answers can be written."""
    if target and target.is_dir():
        raise DataError(f"{target}: is a folder; name the file to write")
    if target and target.exists() and Path(questions).exists() and target.samefile(questions):
        raise DataError(f"{target}: holds the questions; name another file to write")


def _table(judged: Sequence[JudgedQuestion], width: int | None) -> str:
    """The questions as text: a line a candidate, the chosen one marked. `width`: of a terminal, None for a file."""
    blocks = []
    for one in judged:
        rows = [
            [
                "*" if each.chosen else "",
                f"{each.score:.2f}",
                _verdict(each),
                _execution(each),
                " ".join(each.sql.split()),
            ]
            for each in one.candidates
        ]
        others = sum(2 + max(len(row[place]) for row in (HEADERS, *rows)) for place in range(4))
        how: dict[str, Any] = {"disable_numparse": True, "colalign": ("left", "right", "left", "left", "left")}
        how |= {"maxcolwidths": [None] * 4 + [max(20, width - others)]} if width else {}
        table = tabulate(rows, HEADERS, "plain", **how)
        choice = "none" if one.choice is None else "*"
        blocks.append(f"{one.id}: {one.question} ({one.db})\n{table}\nchosen: {choice} ({one.reason})\n")
    return "\n".join(blocks)


HEADERS = ("", "score", "verdict", "execution", "candidate")
LONGEST = 40
"""Characters of a result or a message in the terminal's table."""


def _verdict(one: JudgedCandidate) -> str:
    if one.verdict is None:
        return "none" if one.score == FAILURE_SCORE else "-"
    return "correct" if one.verdict else "wrong"


def _execution(one: JudgedCandidate) -> str:
    if one.outcome != "ok":
        return shortened(" ".join(f"{one.outcome}: {one.message}".split()), LONGEST)
    first = ", ".join(str(cell) for cell in one.rows[0]) if one.rows else ""
    count = f"{one.row_count:,} row{'' if one.row_count == 1 else 's'}"
    return shortened(" ".join(f"{count}: {first}".split()) if first else count, LONGEST)
