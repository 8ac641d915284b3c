"""Scores of chosen queries: execution, exact and partial match, by level (evaluator rules, section 5). Runs no SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sqljudge.core.errors import DataError, UnreadableSql
from sqljudge.core.files import write_json
from sqljudge.core.records import EMPTY_SQL, HARDNESS, UNANSWERED, Execution, Question, Selection, read_jsonl
from sqljudge.metrics.intervals import share_interval
from sqljudge.sql.official.execution import TEST_SUITE
from sqljudge.sql.official.matching import COMPONENTS, Match, PartialScores, match
from sqljudge.sql.official.schema import Schema, load_schemas
from sqljudge.stages.plan import plan_pool

ALL = "all"
LEVELS = (*HARDNESS, ALL)
Interval = Callable[[Sequence[float]], tuple[float, float]]
"""From one number a question (0 or 1) to the interval of their mean."""


@dataclass(frozen=True)
class Scored:
    """What is known of one prediction: None, which counts nowhere, where something could not be decided.

    `executes_right`: whether its result is right. `exact`, `partial`: None where the gold query cannot be read.
    `at_random`: how often a result is right if the choice among queries of equal score is drawn; None without such.
    """

    hardness: str
    executes_right: bool | None
    exact: bool | None
    partial: PartialScores | None
    at_random: float | None = None


def end_to_end(
    scored: Sequence[Scored], interval: Interval | None = None, levels: Sequence[str] = HARDNESS
) -> dict[str, Any]:
    """The metrics by level (`levels`, by default easy, medium, hard, extra; and all), as fractions.

    `metrics`: level -> ex, em (each value, n and, with `interval`, low and high; EX also `at_random`, its mean if the
    choice among queries of equal score is drawn, where there are such), partial_acc, partial_recall and
    partial_f1 (each the paper's mean over the ten components, and n). `components`: level -> component -> acc, rec,
    f1. A value that rests on no question is None.
    """
    groups = {level: [one for one in scored if level in (one.hardness, ALL)] for level in (*levels, ALL)}
    components = {level: _components(group) for level, group in groups.items()}
    metrics = {level: _metrics(group, components[level], interval) for level, group in groups.items()}
    return {"metrics": metrics, "components": components}


def _metrics(
    group: Sequence[Scored], components: Mapping[str, Mapping[str, float | None]], interval: Interval | None
) -> dict[str, dict[str, float | int | None]]:
    decided = [float(one.executes_right) for one in group if one.executes_right is not None]
    compared = [float(one.exact) for one in group if one.exact is not None]
    metrics = {"ex": _mean(decided, interval), "em": _mean(compared, interval)}
    if any(one.at_random is not None for one in group):
        known = [one for one in group if one.executes_right is not None]
        drawn = [float(one.executes_right or 0) if one.at_random is None else one.at_random for one in known]
        metrics["ex"]["at_random"] = _average(drawn)
    for name, field in (("partial_acc", "acc"), ("partial_recall", "rec"), ("partial_f1", "f1")):
        values = [value for component in components.values() if (value := component[field]) is not None]
        metrics[name] = {"value": sum(values) / len(values) if values else None, "n": len(compared)}
    return metrics


def _mean(values: Sequence[float], interval: Interval | None) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = {"value": _average(values) if values else None, "n": len(values)}
    if interval is not None:
        found["low"], found["high"] = interval(values) if values else (None, None)
    return found


def _components(group: Sequence[Scored]) -> dict[str, dict[str, float | None]]:
    known = [one.partial for one in group if one.partial is not None]
    return {name: component_scores(partial[name] for partial in known) for name in COMPONENTS}


def component_scores(components: Iterable[tuple[int, int, int, int, int]]) -> dict[str, float | None]:
    """One component over many predictions, each as (acc, rec, f1, counted in gold, counted in prediction).

    Accuracy: mean over predictions that have the component; recall: over gold queries that have it; 0 if there is
    none. F1: their harmonic mean and, as in the official program, 1 if both are 0. All None for no prediction at all.
    """
    some = list(components)
    if not some:
        return {"acc": None, "rec": None, "f1": None}
    acc = _average([score for score, _, _, _, pred in some if pred > 0])
    rec = _average([score for _, score, _, gold, _ in some if gold > 0])
    return {"acc": acc, "rec": rec, "f1": 2 * acc * rec / (acc + rec) if acc + rec else 1.0}


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


EvaluationResult = dict[str, Any]
"""What stands in a file of end-to-end metrics.

questions, left_out, unreadable_gold (questions), levels, comparison (the rule behind EX), metrics and components (see
`end_to_end`), per_question (question_id, hardness, exec, exact).
"""


def evaluate_selections(
    questions: Sequence[Question],
    selections: Sequence[Selection],
    executions: Sequence[Execution],
    schemas: Mapping[str, Schema],
    *,
    interval: Interval | None = None,
    levels: Sequence[str] = HARDNESS,
    comparison: str = TEST_SUITE,
) -> EvaluationResult:
    """Score what a planner chose: one selection for each question, in any order; the result follows the questions.

    Whether a choice executes right is read from `executions`; it is left out of EX where that says None. An empty
    choice is wrong, but a question of which a request failed is left out and counted in `left_out`. A question whose
    gold query the official parser cannot read is left out of exact and partial match and counted in `unreadable_gold`.
    `levels`: of the dataset's format; `comparison`: the rule that `executions` were compared by. Raises DataError if a
    question has no selection or several, if a chosen query has no execution, or if a schema is missing.
    """
    chosen = _by_question(questions, selections)
    right = {(execution.question_id, execution.sql): execution.correct for execution in executions}
    undecided = _undecided_databases(questions, executions)
    scored, rows = [], []
    answered = [question for question in questions if chosen[question.id].reason != UNANSWERED]

    def is_right(question: Question, sql: str) -> bool | None:
        if (question.id, sql) in right:
            return right[question.id, sql]
        if sql == EMPTY_SQL:
            return None if question.db_id in undecided else False
        what = f"question {question.id}: the chosen query has no execution: {sql!r}"
        raise DataError(f"{what}; re-run the execute stage on the pool that the choice was made from")

    for question in answered:
        selection = chosen[question.id]
        correct, found = is_right(question, selection.sql), _match(question, selection.sql, schemas)
        exact, partial = (found.exact, found.partial) if found else (None, None)
        tied = [each for sql in selection.ties if (each := is_right(question, sql)) is not None]
        at_random = fmean(tied) if tied and correct is not None else None
        scored.append(Scored(question.hardness, correct, exact, partial, at_random))
        rows.append({"question_id": question.id, "hardness": question.hardness, "exec": correct, "exact": exact})
    return {
        "questions": len(answered),
        "left_out": len(questions) - len(answered),
        "unreadable_gold": sum(one.exact is None for one in scored),
        "levels": list(levels),
        "comparison": comparison,
        **end_to_end(scored, interval, levels),
        "per_question": rows,
    }


def _by_question(questions: Sequence[Question], selections: Sequence[Selection]) -> dict[int, Selection]:
    chosen: dict[int, Selection] = {}
    known = {question.id for question in questions}
    for selection in selections:
        if selection.question_id not in known:
            raise DataError(f"a selection for question {selection.question_id}, which is not among the questions")
        if selection.question_id in chosen:
            raise DataError(f"question {selection.question_id}: more than one selection; re-run the plan stage")
        chosen[selection.question_id] = selection
    for question in questions:
        if question.id not in chosen:
            raise DataError(f"question {question.id}: no selection; re-run the plan stage on the same questions")
    return chosen


def _undecided_databases(questions: Sequence[Question], executions: Sequence[Execution]) -> set[str]:
    """The databases on which no execution was decided, since they hold no rows."""
    database = {question.id: question.db_id for question in questions}
    seen = {(database.get(execution.question_id, ""), execution.correct is None) for execution in executions}
    return {db_id for db_id, undecided in seen if undecided and (db_id, False) not in seen}


def _match(question: Question, sql: str, schemas: Mapping[str, Schema]) -> Match | None:
    if question.db_id not in schemas:
        raise DataError(f"question {question.id}: the database {question.db_id!r} is not in tables.json")
    try:
        return match(question.gold_sql, sql, schemas[question.db_id])
    except UnreadableSql:
        return None


def write_end_to_end(
    *,
    questions: str,
    tables: str,
    selections: str,
    executions: str,
    metrics: str,
    settings: Mapping[str, Any],
    levels: Sequence[str],
    comparison: str,
) -> None:
    """Write the metrics of a planner's choices, with their settings."""
    found = evaluate_selections(
        read_jsonl(questions, Question),
        read_jsonl(selections, Selection),
        read_jsonl(executions, Execution),
        load_schemas(Path(tables)),
        interval=lambda values: share_interval(round(sum(values)), len(values)),
        levels=levels,
        comparison=comparison,
    )
    write_json(metrics, {"settings": settings, **found})


def write_plan(
    *, candidates: str, scores: Sequence[str], groups: Sequence[str], selections: str, planner: str, **measured: Any
) -> None:
    """Write what a planner chooses as `stages.plan.plan_pool` does, and its metrics as `write_end_to_end` does."""
    plan_pool(candidates=candidates, scores=scores, groups=groups, selections=selections, planner=planner)
    write_end_to_end(selections=selections, **measured)
