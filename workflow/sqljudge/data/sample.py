"""The evaluation questions: listed ones, or a sample that is stratified by hardness. Knows no model.

A drawn question has a gold query that runs and, unless told otherwise, returns something: on an empty result many
wrong queries are right.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_text
from sqljudge.core.records import HARDNESS, NO_LEVEL, Question, write_jsonl
from sqljudge.data.datasets import FORMATS, load_questions
from sqljudge.sql.databases import database_path, databases_with_rows, gold_runs, golds_of
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.sql.sandbox import Limits, Sandbox

log = logging.getLogger(__name__)


def empty_databases(questions: Iterable[Question], databases: str | Path) -> set[str]:
    """The db_ids among the questions whose database holds no rows: their execution results mean nothing.

    Raises DataError, naming the file, where one is missing or damaged or has no table at all.
    """
    files = {db_id: (database_path(databases, db_id),) for db_id in sorted({q.db_id for q in questions})}
    with Sandbox() as sandbox:
        return set(files) - databases_with_rows(sandbox, files)


def with_running_golds(
    questions: Sequence[Question],
    databases: str | Path,
    *,
    comparison: str = TEST_SUITE,
    limits: Limits | None = None,
    workers: int = 1,
) -> tuple[list[Question], set[int]]:
    """The questions whose gold query runs to its end, and the ids of those among them where it returns no row.

    The others are counted and named in the log. Raises DataError, naming
    the file, for a missing or damaged database.
    """
    golds, files = golds_of(questions, Path(databases))
    with Sandbox(workers, limits) as sandbox:
        found = gold_runs(sandbox, golds, files, comparison=comparison)
    runs = list(zip(questions, found, strict=True))
    if faults := [f"{question.id} ({fault})" for question, (fault, _) in runs if fault]:
        log.warning("left out, since their gold queries do not run (%d): %s", len(faults), "; ".join(faults))
    running = [question for question, (fault, _) in runs if not fault]
    return running, {question.id for question, (fault, rows) in runs if not fault and not rows}


def sample_questions(
    questions: Sequence[Question],
    *,
    per_hardness: int,
    seed: int,
    exclude: Collection[str] = (),
    levels: Sequence[str] = HARDNESS,
) -> list[Question]:
    """A random sample with equally many questions of each hardness (paper, section 2; `levels`), in order of id.

    Of those with NO_LEVEL it has as many, or all there are. A question's rank is a hash of the seed and the question,
    so a larger `per_hardness` keeps the smaller sample's questions and only adds to them. Questions over a database in
    `exclude` are left out before sampling.
    Raises DataError where a hardness has fewer than `per_hardness` questions.
    """
    usable = [question for question in questions if question.db_id not in exclude]
    missing = dict.fromkeys(levels, per_hardness)
    without = [question for question in usable if question.hardness == NO_LEVEL]
    others = sorted(without, key=lambda question: _rank(seed, question))[:per_hardness]
    return sorted([*_filled({}, missing, usable, per_hardness, seed), *others], key=lambda question: question.id)


def _rank(seed: int, question: Question) -> str:
    return hashlib.sha256(f"{seed}/{question.db_id}/{question.id}".encode()).hexdigest()


def _filled(
    chosen: Mapping[int, Question], missing: Mapping[str, int], questions: Sequence[Question], each: int, seed: int
) -> list[Question]:
    """The chosen questions and, of each level, as many others of the first ranks as are missing; in order of id."""
    pools = {level: [q for q in questions if q.hardness == level and q.id not in chosen] for level in missing}
    possible = {level: each - count + len(pools[level]) for level, count in missing.items()}
    scarce = min(possible, key=lambda level: possible[level])
    if (least := possible[scarce]) < each:
        advice = f"set it to {least} or less" if least else "list the questions you want in dataset.question_ids"
        raise DataError(f"dataset.per_hardness is {each}, but only {least} usable questions are {scarce}; {advice}")
    drawn = [q for level, pool in pools.items() for q in sorted(pool, key=lambda q: _rank(seed, q))[: missing[level]]]
    return sorted([*chosen.values(), *drawn], key=lambda q: q.id)


@dataclass(frozen=True, slots=True)
class ListedQuestion:
    """A row of a list that leaves some questions open: its level, and the ids of which it is one."""

    hardness: str
    ids: tuple[int, ...]


def _lines(ids_file: str | Path) -> list[str]:
    try:
        return read_text(ids_file).splitlines()
    except DataError as error:
        raise DataError(f"dataset.question_ids: {error}") from error


def read_listed(ids_file: str | Path, questions: Sequence[Question]) -> list[ListedQuestion]:
    """The rows of a TSV with the columns `hardness` and `question_ids` (0-based positions, separated by commas).

    Rows that have the same ids are that many of them. Raises DataError, naming file and line, for a row that cannot be
    read, and for an id that is no question of that hardness (one without a level may have any): the list is then of
    another dataset.
    """
    levels = {question.id: question.hardness for question in questions}
    rows = csv.DictReader(_lines(ids_file), delimiter="\t")
    listed, seen = [], Counter[int]()
    for row in rows:
        where = f"{ids_file}, line {rows.line_num}"
        hardness, ids = row.get("hardness") or "", (row.get("question_ids") or "").split(",")
        if not all(one.isdecimal() for one in ids):
            raise DataError(f"{where}: needs the columns hardness and question_ids (numbers separated by commas)")
        one = ListedQuestion(hardness, tuple(map(int, ids)))
        for number in one.ids:
            if levels.get(number) not in (hardness, NO_LEVEL):
                known = f"is {levels[number]} here" if number in levels else "does not exist here"
                what = f"{where}: question {number} is listed as {hardness}, but {known}: the list is of other data"
                raise DataError(f"{what}; set dataset.question_ids to '' for a sample, or list your own")
        seen.update(one.ids[:1])
        if seen[one.ids[0]] > len(one.ids):
            raise DataError(f"{where}: {row['question_ids']} is listed more often than there are ids; take one out")
        listed.append(one)
    if not listed:
        raise DataError(f"{ids_file}: lists no questions; a line for each is expected below the headings")
    return listed


def complete_list(
    listed: Sequence[ListedQuestion],
    usable: Sequence[Question],
    drawable: Sequence[Question],
    *,
    per_hardness: int,
    seed: int,
    levels: Sequence[str] = HARDNESS,
) -> list[Question]:
    """The first `per_hardness` listed questions of each of the `levels`, in order of id; what is open is drawn.

    Of the ids of a row, the free one of the first rank is taken (as in `sample_questions`). A listed question that is
    not among the `usable` ones is left out, and the log counts them. Where fewer are listed, the others are drawn from
    `drawable`. Raises DataError where those are too few.
    """
    by_id = {question.id: question for question in usable}
    missing = dict.fromkeys((*levels, NO_LEVEL), per_hardness)
    chosen: dict[int, Question] = {}
    lost = 0
    for row in listed:
        if missing.get(row.hardness):
            missing[row.hardness] -= 1
            free = [by_id[one] for one in row.ids if one in by_id and one not in chosen]
            first = min(free, key=lambda question: _rank(seed, question), default=None)
            lost += first is None
            if first:
                chosen[first.id] = first
    if lost:
        log.warning("of the list, left out and not replaced (see above why): %d", lost)
    del missing[NO_LEVEL]
    log.info("of the list: %d; drawn for those that it does not know: %d", len(chosen), sum(missing.values()))
    return _filled(chosen, missing, drawable, per_hardness, seed)


def pick_questions(questions: Sequence[Question], ids_file: str | Path) -> list[Question]:
    """The questions whose ids (0-based positions) a text file lists, one a line, in the file's order.

    Raises DataError, naming file and line, for what is not a number, not an id of the dataset, or listed twice.
    """
    by_id = {question.id: question for question in questions}
    picked: dict[int, Question] = {}
    for number, line in enumerate(_lines(ids_file), 1):
        if not line.strip():
            continue
        where = f"{ids_file}, line {number}: '{line.strip()}'"
        if not line.strip().isdecimal() or int(line) not in by_id:
            raise DataError(f"{where} is not a question id of this dataset (0 to {len(questions) - 1})")
        if int(line) in picked:
            raise DataError(f"{where} is listed twice; keep one")
        picked[int(line)] = by_id[int(line)]
    if not picked:
        raise DataError(f"{ids_file}: lists no question ids; one 0-based position a line is expected")
    return list(picked.values())


def write_sample(
    *,
    questions: str,
    tables: str,
    databases: str,
    ids: Sequence[str],
    sample: str,
    dataset_format: str,
    per_hardness: int,
    exclude: Sequence[str],
    empty_golds: bool,
    seed: int,
    limits: Mapping[str, Any],
    workers: int = 1,
) -> None:
    """Write the evaluation questions: those of a list (`ids`; a .tsv is completed by drawing), else a sample.

    A question whose gold query does not run within the limits of a query is left out; so is, of what is drawn, one
    whose gold query returns nothing, unless `empty_golds`. Raises DataError where nothing is left.
    """
    known = FORMATS[dataset_format]
    loaded = load_questions(questions, tables, known)
    if not loaded:
        what = "the dataset's source has no question file, only a pool; name one in dataset.questions_file"
        raise DataError(f"{what}, or make only tables that rest on the pool")
    checks: dict[str, Any] = {"comparison": known.comparison, "limits": Limits(**limits), "workers": workers}
    if ids and not ids[0].endswith(".tsv"):
        chosen, _ = with_running_golds(pick_questions(loaded, ids[0]), databases, **checks)
    else:
        asked = [question for question in loaded if question.db_id not in exclude]
        empty = empty_databases(asked, databases)
        if empty:
            log.info("left out, since their databases hold no rows: %s", ", ".join(sorted(empty)))
        kept = [question for question in asked if question.db_id not in empty]
        usable, void = with_running_golds(kept, databases, **checks)
        if void and not empty_golds:
            log.info("not drawn, since their gold queries return nothing: %d", len(void))
        drawable = [question for question in usable if empty_golds or question.id not in void]
        how: dict[str, Any] = {"per_hardness": per_hardness, "seed": seed, "levels": known.levels}
        if ids:
            broken = {question.id for question in kept} - {question.id for question in usable}
            levels = [dataclasses.replace(q, hardness=NO_LEVEL) if q.id in broken else q for q in loaded]
            chosen = complete_list(read_listed(ids[0], levels), usable, drawable, **how)
        else:
            chosen = sample_questions(drawable, **how)
    if not chosen:
        raise DataError("no question is left; see above why")
    log.info("%d of %d questions", len(chosen), len(loaded))
    if without := sum(question.hardness == NO_LEVEL for question in chosen):
        log.info(
            "of them of unknown hardness, since the official evaluator does not read their gold query: %d", without
        )
    write_jsonl(sample, chosen)
