"""The labelled pool of a user: read, and labelled by execution where it has no labels. Knows no model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.records import write_jsonl
from sqljudge.data.datasets import FORMATS
from sqljudge.data.pool import label_candidates, read_pool
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.execute import execute_candidates

log = logging.getLogger(__name__)


def import_pool(
    *,
    pool: str,
    tables: str,
    databases: str,
    questions: str,
    candidates: str,
    dataset_format: str,
    comparison: str,
    limits: Mapping[str, Any],
    limit: int,
    seed: int,
    workers: int,
) -> None:
    """Write a user's labelled pool as questions and candidates. `limit`: keep only so many questions (0: all).

    Questions with a candidate that has no label are executed, and it gets the label of its execution against the gold
    query; one whose results say nothing (an empty database, too large to compare) is left out, and the log counts them.
    Raises DataError as `read_pool` and `execute_candidates` do, and where no question is left.
    """
    found, groups = read_pool(pool, tables, questions=limit, seed=seed, dataset_format=FORMATS[dataset_format])
    unlabelled = [group for group in groups if any(candidate.label is None for candidate in group.candidates)]
    if unlabelled:
        runs = execute_candidates(
            found, unlabelled, Path(databases), comparison=comparison, workers=workers, limits=Limits(**limits)
        )
        labelled = {group.question_id: group for group in label_candidates(unlabelled, runs)}
        lost = {group.question_id for group in unlabelled} - labelled.keys()
        groups = [labelled.get(group.question_id, group) for group in groups if group.question_id not in lost]
        found = [question for question in found if question.id not in lost]
        log.info("labelled by execution: %d questions; left out, since it says nothing: %d", len(labelled), len(lost))
        if not found:
            raise DataError(f"{pool}: no question is left; its databases hold no rows, by which a label could be found")
    log.info("%d questions, %d candidates", len(found), sum(len(group.candidates) for group in groups))
    write_jsonl(questions, found)
    write_jsonl(candidates, groups)
