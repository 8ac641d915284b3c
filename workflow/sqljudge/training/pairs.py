"""Right and wrong candidates made from questions with gold queries: written anew, changed, and told apart by running.

What a query is worth is decided on several random databases of its schema, so that no data but schemas and questions
are needed, and a change that happens to make no difference is not called wrong. For each way to write the right query
there is a wrong one written in the same way, so that style says nothing.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.records import Execution, Question
from sqljudge.data.datasets import load_questions
from sqljudge.sql.sandbox import Limits, MatchJob, QueryJob, QueryResult, Sandbox
from sqljudge.sql.text import normalize_sql
from sqljudge.stages.extras import result_text
from sqljudge.training.items import Item
from sqljudge.training.mutations import COMPOUND_MUTATIONS, FAULTS, mutations
from sqljudge.training.random_databases import literals_of, random_database
from sqljudge.training.rewrites import COMPOUND_REWRITES, REWRITES
from sqljudge.training.trees import changed, parsed, text_of

DATABASES = 3
"""Random databases of each schema."""
STYLES = 3
"""Ways to write the right query of a question, at most: as it is, and rewritten."""
TRIED = 8
"""Wrong queries of one style that are run, at most."""
LIMITS = Limits(steps=2_000_000, seconds=5.0, rows=10_000)
FAULTY = 0.2
"""Share of the wrong queries that SQLite complains of, where it is possible."""
KEPT_ROWS = 20


def make_pairs(
    *, file: str, tables: str, questions: int, validation_databases: int, seed: int
) -> tuple[list[Item], dict[str, int]]:
    """Items of a judge: as many right as wrong candidates of each question. And how many were dropped, by reason.

    `file`, `tables`: questions and schemas in Spider's form. `questions`: how many are drawn; 0 for all.
    `validation_databases`: how many databases are kept for validation. Raises DataError where nothing is left.
    """
    known = load_questions(file, tables)
    schemas = {entry["db_id"]: entry for entry in read_json(tables)}
    draw = random.Random(f"{seed} pairs")
    if questions and questions < len(known):
        known = sorted(draw.sample(known, questions), key=lambda question: question.id)
    by_database: dict[str, list[Question]] = {}
    for question in known:
        by_database.setdefault(question.db_id, []).append(question)
    held = set(draw.sample(sorted(by_database), min(validation_databases, len(by_database))))
    dropped = {"gold query fails or gives nothing": 0, "no wrong query is told apart": 0, "mutation changes nothing": 0}
    items: list[Item] = []
    with tempfile.TemporaryDirectory() as folder, Sandbox(limits=LIMITS) as sandbox:
        for db_id, some in sorted(by_database.items()):
            files = _databases(sandbox, schemas[db_id], some, seed, Path(folder) / db_id)
            columns = _columns(schemas[db_id])
            for question in some if files else ():
                items += _items(sandbox, question, files, columns, db_id in held, dropped, seed)
            if not files:
                dropped["gold query fails or gives nothing"] += len(some)
    if not items:
        raise DataError(f"{file}: no question gives a right and a wrong query; name another file")
    return items, dropped


def _columns(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, name in schema["column_names_original"]:
        if table >= 0:
            found.setdefault(schema["table_names_original"][table].lower(), []).append(name.lower())
    return found


def _databases(
    sandbox: Sandbox, schema: Mapping[str, Any], questions: Sequence[Question], seed: int, folder: Path
) -> tuple[Path, ...]:
    folder.mkdir()
    literals = literals_of([question.gold_sql for question in questions])
    files = []
    for number in range(DATABASES):
        built = sandbox.build(random_database(schema, literals, seed * DATABASES + number))
        if built.fault:
            return ()
        file = folder / f"{number}.sqlite"
        file.write_bytes(built.content)
        files.append(file)
    return tuple(files)


def _items(
    sandbox: Sandbox,
    question: Question,
    files: tuple[Path, ...],
    columns: Mapping[str, Sequence[str]],
    validation: bool,
    dropped: dict[str, int],
    seed: int,
) -> list[Item]:
    gold = normalize_sql(question.gold_sql)
    golds = sandbox.run([QueryJob(file, gold, KEPT_ROWS) for file in files])
    if any(run.outcome != "ok" for run in golds) or not any(run.row_count for run in golds):
        dropped["gold query fails or gives nothing"] += 1
        return []
    draw = random.Random(f"{seed} {question.id}")
    tree = parsed(gold)
    first = gold if tree is None else normalize_sql(text_of(tree))  # written as the changed ones are
    rewrites = [normalize_sql(sql) for sql in changed(first, REWRITES, COMPOUND_REWRITES)]
    right = [first, *(sql for sql, same in zip(rewrites, _same(sandbox, files, gold, rewrites), strict=True) if same)]
    found: dict[str, int] = {}
    for style in [first, *draw.sample(right[1:], min(STYLES - 1, len(right) - 1))]:
        faulty = draw.random() < FAULTY
        wrong = [sql for sql in _wrong(style, columns, faulty, draw) if sql not in found and sql not in right][:TRIED]
        told = _same(sandbox, files, gold, wrong)
        dropped["mutation changes nothing"] += sum(same is True for same in told)
        wanted = None if faulty and None in told else False
        other = next((sql for sql, same in zip(wrong, told, strict=True) if same is wanted), None)
        if other is None or style in found:
            dropped["no wrong query is told apart"] += 1
            continue
        found |= {style: 1, other: 0}
    shown = sandbox.run([QueryJob(files[0], sql, KEPT_ROWS) for sql in found])
    return [
        Item(
            f"{question.id}-{place}",
            f"q{question.id}",
            question.db_id,
            question.question,
            question.schema_text,
            question.knowledge,
            sql,
            label,
            result=_result(run),
            validation=validation,
        )
        for place, ((sql, label), run) in enumerate(zip(found.items(), shown, strict=True))
    ]


def _wrong(style: str, columns: Mapping[str, Sequence[str]], faulty: bool, draw: random.Random) -> list[str]:
    """Changed queries, first one of each kind of change, in the order of a draw; those meant to fail before others."""
    kinds = [changed(style, [change]) for change in mutations(columns)] + [changed(style, (), COMPOUND_MUTATIONS)]
    draw.shuffle(kinds)
    if faulty:
        kinds.insert(0, changed(style, FAULTS))
    for queries in kinds:
        draw.shuffle(queries)
    most = max(map(len, kinds))
    turns = [queries[turn] for turn in range(most) for queries in kinds if turn < len(queries)]
    return list(dict.fromkeys(normalize_sql(sql) for sql in turns))


def _same(sandbox: Sandbox, files: tuple[Path, ...], gold: str, queries: Sequence[str]) -> list[bool | None]:
    """Whether queries give the gold query's result on all databases; None for one that does not run."""
    jobs = [MatchJob(files, gold, sql, keep_distinct=True) for sql in queries]
    return [
        match.correct if result.outcome == "ok" else None for result, match in (sandbox.judge(jobs) if jobs else ())
    ]


def _result(run: QueryResult) -> str:
    cells = tuple(tuple(cell if not isinstance(cell, bytes) else cell.hex() for cell in row) for row in run.rows)
    return result_text(
        Execution(0, "", run.outcome, run.message, cells, run.row_count, run.steps, run.ms, None, run.columns)
    )
