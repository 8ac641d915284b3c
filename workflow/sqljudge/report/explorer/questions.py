"""What is shown of each question: plain values for JSON, made from records. Knows no file and no page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqljudge.core.artefacts import POOL, Judged
from sqljudge.core.records import (
    EMPTY_SQL,
    HARDNESS,
    Candidate,
    CandidateSet,
    Execution,
    Judgment,
    Question,
    Score,
    Selection,
)
from sqljudge.report.explorer.outcomes import TAGS, bits, outcome
from sqljudge.report.explorer.reading import Made, Setting, source_of
from sqljudge.report.explorer.responses import shown_response
from sqljudge.sql.sandbox import QueryResult
from sqljudge.stages.execute import SHOWN_CHARACTERS, as_cell
from sqljudge.stages.plan import rerank

Golds = Mapping[tuple[str, int], QueryResult]


@dataclass(frozen=True, slots=True)
class Entry:
    """A question, and the questions files that it stands in; `key` is a plain file name."""

    key: str
    question: Question
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of one question: a line of the index, the page's data, and the responses, which load last."""

    key: str
    line: dict[str, Any]
    page: dict[str, Any]
    responses: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A run's records by question."""

    made: Made
    candidates: Mapping[str, Mapping[int, Sequence[Candidate]]]
    executions: Mapping[str, Mapping[tuple[int, str], Execution]]
    judgments: Mapping[Judged, Mapping[tuple[int, str], Judgment]]
    scores: Mapping[Setting, Mapping[int, Sequence[Score]]]
    selections: Mapping[Setting, Mapping[int, Selection]]


def entries(questions: Mapping[str, Sequence[Question]]) -> list[Entry]:
    """Every question once: one that the labelled pool shares with the dataset, word for word, is the same."""
    found: dict[Question, list[str]] = {}
    for name, some in questions.items():
        for question in some:
            found.setdefault(question, []).append(name)
    return [Entry(f"{names[0]}-{question.id}", question, tuple(names)) for question, names in found.items()]


def settings_of(made: Made) -> list[Setting]:
    """All ways of choosing: those without a discriminator first, those whose discriminator is no model last."""
    return sorted({*made.scores, *made.selections}, key=_order)


def _order(setting: Setting) -> tuple[bool, Setting]:
    return bool(setting.discriminator and not setting.context), setting


def summary(made: Made, display: Mapping[str, str], levels: Sequence[str] = HARDNESS) -> dict[str, Any]:
    """What the pages need beside the questions: the settings, the names to show, the levels in order, and the tags.

    Of a setting: `planned`, whether a planner chose by it; `reasons`, whether its discriminator wrote responses.
    """
    settings = [
        {**asdict(each), "planned": each in made.selections, "reasons": _reasons(made.judgments.get(each.job, ()))}
        for each in settings_of(made)
    ]
    return {"tags": TAGS, "names": dict(display), "settings": settings, "labelled": POOL, "levels": list(levels)}


def _reasons(judgments: Sequence[Judgment]) -> bool:
    return any(judgment.p_yes is None for judgment in judgments)


def shown_questions(made: Made, golds: Golds) -> Iterator[Shown]:
    """What is shown of each question, in order. Raises DataError where a judgment does not fit its scores' budgets."""
    shelf = _shelf(made)
    for entry in entries(made.questions):
        yield _shown(entry, shelf, golds)


def _shelf(made: Made) -> _Shelf:
    scores: dict[Setting, dict[int, list[Score]]] = {setting: {} for setting in made.scores}
    for setting, some in made.scores.items():
        for score in some:
            scores[setting].setdefault(score.question_id, []).append(score)
    return _Shelf(
        made,
        {pool: {group.question_id: group.candidates for group in groups} for pool, groups in made.candidates.items()},
        {pool: {(run.question_id, run.sql): run for run in runs} for pool, runs in made.executions.items()},
        {job: {(each.question_id, each.sql): each for each in some} for job, some in made.judgments.items()},
        scores,
        {setting: {each.question_id: each for each in some} for setting, some in made.selections.items()},
    )


def _shown(entry: Entry, shelf: _Shelf, golds: Golds) -> Shown:
    question = entry.question
    pools = {pool: shelf.candidates[pool][question.id] for pool in _pools(shelf, entry)}
    order = list(dict.fromkeys(candidate.sql for some in pools.values() for candidate in some))
    settings = [(number, each) for number, each in enumerate(settings_of(shelf.made)) if each.pool in pools]
    shown = [(number, _shown_choice(shelf, setting, question.id, order)) for number, setting in settings]
    choices = [(number, choice) for number, choice in shown if choice]
    named = {"key": entry.key, "id": question.id, "db": question.db_id, "hardness": question.hardness}
    named["question"] = question.question
    candidates = [_candidate(shelf, question.id, sql, pools) for sql in order]
    page = {
        **named,
        "schema": question.schema_text,
        "gold": _gold(question, golds[entry.sources[0], question.id]),
        "candidates": candidates,
        "scores": [
            [number, [_score(score, order) for score in shelf.scores[setting].get(question.id, ())]]
            for number, setting in settings
            if setting in shelf.scores
        ],
        "choices": choices,
    }
    line = {
        **named,
        "gold": question.gold_sql,
        "sql": order,
        "messages": sorted({each["message"] for each in candidates} - {""}),
        "tags": [[number, bits(choice["tags"])] for number, choice in choices],
    }
    return Shown(entry.key, line, page, _responses(shelf, question.id, order, list(pools)))


def _pools(shelf: _Shelf, entry: Entry) -> list[str]:
    """The pools that hold this question, the labelled one first."""
    belonging = [pool for pool in shelf.candidates if source_of(pool, list(shelf.made.questions)) in entry.sources]
    return sorted((p for p in belonging if entry.question.id in shelf.candidates[p]), key=lambda p: (p != POOL, p))


def _right(shelf: _Shelf, pool: str, question_id: int, sql: str) -> bool | None:
    """Whether a candidate is right: by its label, or by its execution where the pool has no labels."""
    for candidate in shelf.candidates[pool].get(question_id, ()):
        if candidate.sql == sql and candidate.label is not None:
            return bool(candidate.label)
    run = shelf.executions[pool].get((question_id, sql))
    if run is None:
        return False if sql == EMPTY_SQL else None
    return run.correct


def _choice(shelf: _Shelf, setting: Setting, question_id: int) -> Selection | None:
    """The planner's choice; on the labelled pool, where no planner works, the candidate that one would choose."""
    if setting in shelf.selections:
        return shelf.selections[setting].get(question_id)
    group = CandidateSet(question_id, tuple(shelf.candidates[setting.pool].get(question_id, ())))
    scores = shelf.scores[setting].get(question_id, [])
    return rerank([group], scores)[0] if scores else None


def _chosen_right(shelf: _Shelf, setting: Setting, question_id: int, sql: str) -> bool | None:
    evaluated = shelf.made.evaluated.get(setting, {}).get(question_id)
    return evaluated[0] if evaluated else _right(shelf, setting.pool, question_id, sql)


def _first_right(shelf: _Shelf, setting: Setting, question_id: int) -> bool | None:
    """Whether the query is right that would be taken without a discriminator.

    That is the same generator's greedy query where the run has one, else the pool's first candidate.
    """
    generator = setting.pool.rpartition(".")[0]
    for other, chosen in shelf.selections.items():
        same = not other.discriminator and generator and other.pool.rpartition(".")[0] == generator
        if same and question_id in chosen:
            return _chosen_right(shelf, other, question_id, chosen[question_id].sql)
    some = shelf.candidates[setting.pool].get(question_id, ())
    return _right(shelf, setting.pool, question_id, some[0].sql) if some else None


def _shown_choice(shelf: _Shelf, setting: Setting, question_id: int, order: Sequence[str]) -> dict[str, Any] | None:
    choice = _choice(shelf, setting, question_id)
    if choice is None:
        return None
    right = _chosen_right(shelf, setting, question_id, choice.sql)
    first = _first_right(shelf, setting, question_id) if setting.discriminator else right
    evaluated = shelf.made.evaluated.get(setting, {}).get(question_id)
    return {
        "candidate": order.index(choice.sql) if choice.sql in order else None,
        "sql": "" if choice.sql in (*order, EMPTY_SQL) else choice.sql,
        "score": choice.score,
        "reason": choice.reason,
        "right": right,
        "exact": evaluated[1] if evaluated else None,
        "tags": outcome(right, first, shelf.scores.get(setting.scored, {}).get(question_id, ())),
    }


def _gold(question: Question, result: QueryResult) -> dict[str, Any]:
    return {
        "sql": question.gold_sql,
        "outcome": result.outcome,
        "message": result.message,
        "columns": list(result.columns),
        "rows": [[as_cell(cell, SHOWN_CHARACTERS) for cell in row] for row in result.rows],
        "row_count": result.row_count,
    }


def _candidate(shelf: _Shelf, question_id: int, sql: str, pools: Mapping[str, Sequence[Candidate]]) -> dict[str, Any]:
    found = [(pool, each) for pool, some in pools.items() for each in some if each.sql == sql]
    runs = [
        shelf.executions[pool][question_id, sql] for pool, _ in found if (question_id, sql) in shelf.executions[pool]
    ]
    run = runs[0] if runs else Execution(question_id, sql, "error", "not executed", (), 0, 0, 0.0, None)
    return {
        "sql": sql,
        "pools": [[pool, each.count, each.label, each.mean_logprob] for pool, each in found],
        "right": _right(shelf, found[0][0], question_id, sql),
        "executed_right": run.correct,
        "outcome": run.outcome,
        "message": run.message,
        "rows": run.rows,
        "row_count": run.row_count,
        "ms": run.ms,
    }


def _score(score: Score, order: Sequence[str]) -> list[Any]:
    """Candidate, score, and what the model said: yes, no, none (no verdict), unasked, unanswered; "" if no model."""
    said = {True: "yes", False: "no", None: "none" if score.failure else ""}[score.verdict]
    if not (score.asked and score.answered):
        said = "unanswered" if score.asked else "unasked"
    return [order.index(score.sql), score.score, said]


def _responses(shelf: _Shelf, question_id: int, order: Sequence[str], pools: Sequence[str]) -> list[dict[str, Any]]:
    budgets: dict[Judged, set[int]] = {}
    for setting in shelf.scores:
        if setting.pool in pools:
            budgets.setdefault(setting.job, set()).add(setting.budget)
    return [
        {"candidate": number, **asdict(job), **shown_response(judgment, read_at)}
        for job, read_at in budgets.items()
        for number, sql in enumerate(order)
        if (judgment := shelf.judgments.get(job, {}).get((question_id, sql))) is not None and judgment.p_yes is None
    ]
