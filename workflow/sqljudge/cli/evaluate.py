"""The drop-in for the official evaluator's command: `python -m sqljudge evaluate` on its files and with its options."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sqljudge.cli.official_table import Turn, official_table
from sqljudge.cli.pairs import Pair, read_pairs
from sqljudge.cli.think2sql import Think2Sql, mean_think2sql, think2sql
from sqljudge.core.errors import DataError, SqljudgeError, UnreadableSql
from sqljudge.core.files import write_json, write_text
from sqljudge.metrics.end_to_end import ALL, LEVELS, Scored, end_to_end
from sqljudge.sql.databases import Files, database_files, databases_with_rows, gold_faults, read_schema
from sqljudge.sql.official.matching import COMPONENTS, Match, match
from sqljudge.sql.official.schema import Schema, load_schemas
from sqljudge.sql.sandbox import ExecutionMatch, Limits, MatchJob, Sandbox

ROWS_AT_ONCE = 64
NO_PLUG_VALUE = (
    "--plug_value is not supported: values are compared as the prediction has them; "
    "for that mode use the official program"
)


@dataclass(frozen=True)
class Executed:
    """What running the pairs gave: the match of each pair, the files, and each pair's Think2SQL scores if asked for."""

    matches: list[ExecutionMatch]
    files: Files
    think2sql: list[Think2Sql]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 1 with one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.plug_value:
            raise DataError(NO_PLUG_VALUE)
        _evaluate(options)
    except (SqljudgeError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sqljudge evaluate",
        description="Score SQL predictions by the rules of the official Spider test-suite evaluator.",
    )
    add = parser.add_argument
    add("--gold", type=Path, required=True, help="gold queries: one a line, a tab, the db_id")
    add("--pred", type=Path, required=True, help="predictions: one a line, in the same order")
    add("--db", type=Path, help="folder of <db_id>/<db_id>.sqlite; all *.sqlite files beside it are used (exec, all)")
    add("--table", type=Path, help="tables.json of the databases (match, all)")
    add("--etype", choices=("all", "exec", "match"), default="exec", help="what to score (default: exec)")
    add("--plug_value", action="store_true", help="not supported: says so and ends")
    add("--keep_distinct", action="store_true", help="keep DISTINCT when queries are executed")
    add("--progress_bar_for_each_datapoint", action="store_true", help="accepted, and without effect")
    add("--score_empty_databases", action="store_true", help="count execution on databases without a row, too")
    add("--think2sql", action="store_true", help="also print the execution metrics of Think2SQL")
    add("--json", type=Path, help="write all results to this file")
    add("--csv", type=Path, help="write one row a question to this file")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes that run SQL (default: one a core)")
    for limit in fields(Limits):
        option = f"--{limit.name.replace('_', '-')}"
        add(
            option, type=type(limit.default), default=limit.default, help=f"limit of a query (default: {limit.default})"
        )
    return parser


def _evaluate(options: argparse.Namespace) -> None:
    pairs = read_pairs(options.gold, options.pred)
    if options.etype != "exec" and options.table is None:
        raise DataError(f"--etype {options.etype} needs --table, the tables.json of the databases")
    if options.etype != "match" and options.db is None:
        raise DataError(f"--etype {options.etype} needs --db, the folder of the databases")
    schemas = load_schemas(options.table) if options.table else None
    if schemas is not None:
        _check_databases(pairs, schemas, options.table)
    executed = None
    if options.etype != "match" or options.think2sql:
        limits = Limits(**{limit.name: getattr(options, limit.name) for limit in fields(Limits)})
        with Sandbox(options.workers, limits) as sandbox:
            executed = _execute(sandbox, pairs, options)
            if schemas is None:
                schemas = {db_id: read_schema(sandbox, db_id, some[0]) for db_id, some in executed.files.items()}
    matches = [_match(pair, schemas or {}) for pair in pairs]
    right = [found.correct for found in executed.matches] if executed else [None] * len(pairs)
    scored = [Scored(m.hardness, r, m.exact, m.partial) for m, r in zip(matches, right, strict=True)]
    result = end_to_end(scored)
    report = _report(options, pairs, matches, right, result, executed)
    print(_table(options.etype, pairs, scored, result))
    for note in report["notes"]:
        print(note)
    for name, value in report.get("think2sql", {}).items():
        print(f"Think2SQL {name}: {value:.3f}")
    if options.json:
        write_json(options.json, report)
    if options.csv:
        write_text(options.csv, _csv(options.etype, pairs, matches, right))


def _check_databases(pairs: Sequence[Pair], schemas: Mapping[str, Schema], table: Path) -> None:
    for pair in pairs:
        if pair.db_id not in schemas:
            raise DataError(f"{pair.where}: the database {pair.db_id!r} is not in {table}")


def _match(pair: Pair, schemas: Mapping[str, Schema]) -> Match:
    try:
        return match(pair.gold_sql, pair.pred_sql, schemas[pair.db_id])
    except UnreadableSql as error:
        what = f"{pair.where}: the gold query cannot be read ({error}): {pair.gold_sql!r}"
        raise DataError(f"{what}; check that the query and its db_id belong together") from error


# --- running --------------------------------------------------------------------------------------------------------


def _execute(sandbox: Sandbox, pairs: Sequence[Pair], options: argparse.Namespace) -> Executed:
    keep = options.keep_distinct
    golds = {(pair.db_id, pair.gold_sql): pair.where for pair in reversed(pairs)}
    files = database_files(options.db, {db_id: where for (db_id, _), where in golds.items()})
    gold_faults(sandbox, [(where, *gold) for gold, where in reversed(golds.items())], files, keep_distinct=keep)
    filled = set(files) if options.score_empty_databases else databases_with_rows(sandbox, files)
    jobs = [MatchJob(files[pair.db_id], pair.gold_sql, pair.pred_sql, keep) for pair in pairs]
    matches = [
        found if pair.db_id in filled else ExecutionMatch(None, "the database holds no rows")
        for pair, found in zip(pairs, sandbox.match(jobs), strict=True)
    ]
    return Executed(matches, files, _think2sql(sandbox, pairs, files) if options.think2sql else [])


def _think2sql(sandbox: Sandbox, pairs: Sequence[Pair], files: Files) -> list[Think2Sql]:
    """Of each pair, both queries as written, on the database that is named after the db_id."""
    scores = []
    for start in range(0, len(pairs), ROWS_AT_ONCE):
        some = pairs[start : start + ROWS_AT_ONCE]
        jobs = [(files[pair.db_id][0], sql) for pair in some for sql in (pair.gold_sql, pair.pred_sql)]
        results = sandbox.run(jobs)
        for gold, pred in zip(results[::2], results[1::2], strict=True):
            scores.append(think2sql(gold.rows, pred.rows if pred.outcome == "ok" else None))
    return scores


# --- reporting ------------------------------------------------------------------------------------------------------


def _table(etype: str, pairs: Sequence[Pair], scored: Sequence[Scored], result: Mapping[str, Any]) -> str:
    counts = {level: sum(level in (one.hardness, ALL) for one in scored) for level in LEVELS}
    turns = []
    if pairs[-1].dialogue > 0:
        turns = [
            Turn(pair.dialogue, pair.turn, one.executes_right, bool(one.exact))
            for pair, one in zip(pairs, scored, strict=True)
        ]
    return official_table(result, counts, etype, turns)


def _report(
    options: argparse.Namespace,
    pairs: Sequence[Pair],
    matches: Sequence[Match],
    right: Sequence[bool | None],
    result: Mapping[str, Any],
    executed: Executed | None,
) -> dict[str, Any]:
    rows = [
        {
            "db_id": pair.db_id,
            "hardness": found.hardness,
            "parsed": found.parsed,
            "exact": found.exact,
            "exec": correct,
            "partial": {name: list(component) for name, component in found.partial.items()},
        }
        for pair, found, correct in zip(pairs, matches, right, strict=True)
    ]
    notes = []
    report: dict[str, Any] = {"etype": options.etype, "questions": len(pairs)}
    if executed and options.etype != "match":
        suite = any(len(some) > 1 for some in executed.files.values())
        report["execution_metric"] = "TS" if suite else "EX"
        notes.append("execution: " + ("TS (test suite of several databases)" if suite else "EX (one database)"))
        reasons = Counter(found.reason for found in executed.matches if found.correct is None)
        notes += [f"execution: {count} questions left out: {reason}" for reason, count in sorted(reasons.items())]
        for row, found in zip(rows, executed.matches, strict=True):
            row["reason"] = found.reason
    if executed and executed.think2sql:
        report["think2sql"] = mean_think2sql(executed.think2sql)
        for row, score in zip(rows, executed.think2sql, strict=True):
            row["think2sql"] = asdict(score)
    return {**report, "notes": notes, **result, "per_question": rows}


def _csv(etype: str, pairs: Sequence[Pair], matches: Sequence[Match], right: Sequence[bool | None]) -> str:
    """One row a question; flags are 1 and 0, and what was not scored is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    parts = ("acc", "rec", "f1", "gold", "pred")
    columns = [f"{component}.{part}" for component in COMPONENTS for part in parts]
    writer.writerow(["db_id", "hardness", "parsed", "exact", "exec", *columns])
    for pair, found, correct in zip(pairs, matches, right, strict=True):
        clauses = [int(found.parsed), int(found.exact)], [n for c in found.partial.values() for n in c]
        first, rest = clauses if etype != "exec" else (["", ""], [""] * len(columns))
        writer.writerow([pair.db_id, found.hardness, *first, "" if correct is None else int(correct), *rest])
    return out.getvalue()
