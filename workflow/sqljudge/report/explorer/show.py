"""What is shown of each question: plain values for JSON, made from records. Knows no file and no page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from sqljudge.core.variants import GREEDY, NONE, POOL, RERANK, Variant, only
from sqljudge.report.explorer.read import Run
from sqljudge.sql.sandbox import QueryResult
from sqljudge.stages.execute import SHOWN_CHARACTERS, as_cell
from sqljudge.stages.plan import rerank
from sqljudge.stages.score import Reading, read_verdict

TAGS = ("right", "wrong", "rescued", "broken", "no_verdict", "some_no_verdict")
"""What may be said of a choice; several may hold at once."""
THOUGHT_CLOSES = "</think>"


# --- a run's ways of choosing -----------------------------------------------------------------------------------------


def shown_settings(variant: Variant) -> dict[str, Any]:
    """A variant's settings as pages show them: those that a baseline, or a greedy query, does not have are empty."""
    names = ("discriminator", "context", "pool", "budget", "scoring", "mode", "planner")
    shown = {name: getattr(variant, name) for name in names}
    if variant.context == NONE:
        shown |= {"context": "", "budget": 0, "scoring": ""}
    if variant.discriminator == NONE:
        shown |= {"discriminator": "", "mode": ""}
    return shown


def _order(variant: Variant) -> tuple[Any, ...]:
    """Greedy queries first, baselines last."""
    shown = shown_settings(variant)
    return bool(shown["discriminator"] and not shown["context"]), *shown.values()


def variants_of(run: Run) -> list[Variant]:
    """All ways of choosing, in the order of the pages; scores stand for the re-ranking by them."""
    return sorted({*(replace(variant, planner=RERANK) for variant in run.scores), *run.selections}, key=_order)


def summary(run: Run, display: Mapping[str, str], levels: Sequence[str] = HARDNESS) -> dict[str, Any]:
    """What the pages need beside the questions: the settings, the names to show, the levels in order, and the tags.

    Of a setting: `planned`, whether a planner chose by it; `reasons`, whether its discriminator wrote responses.
    """

    def reasons(variant: Variant) -> bool:
        return any(each.p_yes is None for each in run.judgments.get(only("judgments", variant), {}).values())

    settings = [
        {**shown_settings(variant), "planned": variant in run.selections, "reasons": reasons(variant)}
        for variant in variants_of(run)
    ]
    return {"tags": TAGS, "names": dict(display), "settings": settings, "labelled": POOL, "levels": list(levels)}


# --- a question -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A question, and the questions files that it stands in; `key` is a plain file name."""

    key: str
    question: Question
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown of one question: a line of the index, the page's data, and the responses, which load last."""

    key: str
    line: dict[str, Any]
    data: dict[str, Any]
    responses: list[dict[str, Any]]


def entries(questions: Mapping[str, Sequence[Question]]) -> list[Entry]:
    """Every question once: one that the labelled pool shares with the dataset, word for word, is the same."""
    found: dict[Question, list[str]] = {}
    for name, some in questions.items():
        for question in some:
            found.setdefault(question, []).append(name)
    return [Entry(f"{names[0]}-{question.id}", question, tuple(names)) for question, names in found.items()]


def question_pages(run: Run, golds: Mapping[tuple[str, int], QueryResult]) -> Iterator[Page]:
    """What is shown of each question, in order. `golds`: as `gold_results` gives them.

    Raises DataError where a judgment does not fit its scores' budgets.
    """
    variants = list(enumerate(variants_of(run)))
    for entry in entries(run.questions):
        yield _page(run, variants, entry, golds[entry.sources[0], entry.question.id])


def _page(run: Run, variants: Sequence[tuple[int, Variant]], entry: Entry, gold: QueryResult) -> Page:
    question = entry.question
    pools = {pool: run.candidates[pool][question.id] for pool in _pools(run, entry)}
    order = list(dict.fromkeys(candidate.sql for some in pools.values() for candidate in some))
    here = [(number, variant) for number, variant in variants if variant.pool in pools]
    shown = [(number, _shown_choice(run, variant, question.id, order)) for number, variant in here]
    choices = [(number, choice) for number, choice in shown if choice]
    named = {"key": entry.key, "id": question.id, "db": question.db_id, "hardness": question.hardness}
    named["question"] = question.question
    candidates = [_candidate(run, question.id, sql, pools) for sql in order]
    data = {
        **named,
        "schema": question.schema_text,
        "gold": {
            "sql": question.gold_sql,
            "outcome": gold.outcome,
            "message": gold.message,
            "columns": list(gold.columns),
            "rows": [[as_cell(cell, SHOWN_CHARACTERS) for cell in row] for row in gold.rows],
            "row_count": gold.row_count,
        },
        "candidates": candidates,
        "scores": [
            [number, [_score(score, order) for score in run.scores[scored].get(question.id, ())]]
            for number, variant in here
            if variant.planner == RERANK and (scored := only("scores", variant)) in run.scores
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
    return Page(entry.key, line, data, _responses(run, here, question.id, order))


def _pools(run: Run, entry: Entry) -> list[str]:
    """The pools that hold this question, the labelled one first."""
    dataset = next((name for name in run.questions if name != POOL), POOL)
    sources = {pool: POOL if pool == POOL else dataset for pool in run.candidates}
    found = (p for p in sources if sources[p] in entry.sources and entry.question.id in run.candidates[p])
    return sorted(found, key=lambda pool: (pool != POOL, pool))


def _candidate(run: Run, question_id: int, sql: str, pools: Mapping[str, Sequence[Candidate]]) -> dict[str, Any]:
    found = [(pool, each) for pool, some in pools.items() for each in some if each.sql == sql]
    ran = [execution for pool, _ in found if (execution := run.executions[pool].get((question_id, sql)))]
    execution = ran[0] if ran else Execution(question_id, sql, "error", "not executed", (), 0, 0, 0.0, None)
    return {
        "sql": sql,
        "pools": [[pool, each.count, each.label, each.mean_logprob] for pool, each in found],
        "right": _right(run, found[0][0], question_id, sql),
        "executed_right": execution.correct,
        "outcome": execution.outcome,
        "message": execution.message,
        "rows": execution.rows,
        "row_count": execution.row_count,
        "ms": execution.ms,
    }


def _right(run: Run, pool: str, question_id: int, sql: str) -> bool | None:
    """Whether a candidate is right: by its label, or by its execution where the pool has no labels."""
    for candidate in run.candidates[pool].get(question_id, ()):
        if candidate.sql == sql and candidate.label is not None:
            return bool(candidate.label)
    execution = run.executions[pool].get((question_id, sql))
    if execution is None:
        return False if sql == EMPTY_SQL else None
    return execution.correct


def _score(score: Score, order: Sequence[str]) -> list[Any]:
    """Candidate, score, and what the model said: yes, no, none (no verdict), unasked, unanswered; "" if no model."""
    said = {True: "yes", False: "no", None: "none" if score.failure else ""}[score.verdict]
    if not (score.asked and score.answered):
        said = "unanswered" if score.asked else "unasked"
    return [order.index(score.sql), score.score, said]


# --- a choice ---------------------------------------------------------------------------------------------------------


def _shown_choice(run: Run, variant: Variant, question_id: int, order: Sequence[str]) -> dict[str, Any] | None:
    scores = run.scores.get(only("scores", variant), {}).get(question_id, [])
    choice = _choice(run, variant, question_id, scores)
    if choice is None:
        return None
    right = _chosen_right(run, variant, question_id, choice.sql)
    first = right if variant.discriminator == NONE else _first_right(run, variant, question_id)
    evaluated = run.evaluated.get(variant, {}).get(question_id)
    return {
        "candidate": order.index(choice.sql) if choice.sql in order else None,
        "sql": "" if choice.sql in (*order, EMPTY_SQL) else choice.sql,
        "score": choice.score,
        "reason": choice.reason,
        "right": right,
        "exact": evaluated[1] if evaluated else None,
        "tags": outcome(right, first, scores),
    }


def _choice(run: Run, variant: Variant, question_id: int, scores: Sequence[Score]) -> Selection | None:
    """The planner's choice; on the labelled pool, where no planner works, the candidate that one would choose."""
    if variant in run.selections:
        return run.selections[variant].get(question_id)
    group = CandidateSet(question_id, tuple(run.candidates[variant.pool].get(question_id, ())))
    return rerank([group], scores)[0] if scores else None


def _chosen_right(run: Run, variant: Variant, question_id: int, sql: str) -> bool | None:
    evaluated = run.evaluated.get(variant, {}).get(question_id)
    return evaluated[0] if evaluated else _right(run, variant.pool, question_id, sql)


def _first_right(run: Run, variant: Variant, question_id: int) -> bool | None:
    """Whether the query is right that would be taken without a discriminator.

    That is the same generator's greedy query where the run has one, else the pool's first candidate.
    """
    for other, chosen in run.selections.items():
        same = other.planner == GREEDY and variant.generator and other.generator == variant.generator
        if same and question_id in chosen:
            return _chosen_right(run, other, question_id, chosen[question_id].sql)
    some = run.candidates[variant.pool].get(question_id, ())
    return _right(run, variant.pool, question_id, some[0].sql) if some else None


def outcome(chosen: bool | None, first: bool | None, scores: Sequence[Score]) -> list[str]:
    """What came of one choice among a question's candidates, in the order of TAGS.

    `chosen`, `first`: whether the choice, and the query that would have been taken without a discriminator, execute
    right (None: undecided). `scores`: of all candidates, empty where no discriminator was asked. The choice is
    `rescued` where it is right and the first is not, `broken` the other way round. `no_verdict`: the model was asked,
    and gave a readable verdict of no candidate, so that the choice is the tie rule's; `some_no_verdict`: of at least
    one it gave none.
    """
    failures = [score.failure for score in scores if score.asked]
    holds = {
        "right": chosen is True,
        "wrong": chosen is False,
        "rescued": chosen is True and first is False,
        "broken": chosen is False and first is True,
        "no_verdict": bool(failures) and all(failures),
        "some_no_verdict": any(failures),
    }
    return [tag for tag in TAGS if holds[tag]]


def bits(tags: Sequence[str]) -> int:
    """Tags as one number: bit i is set where TAGS[i] holds."""
    return sum(1 << TAGS.index(tag) for tag in tags)


# --- a response -------------------------------------------------------------------------------------------------------

Piece = dict[str, Any]
"""`text`, with `mark` (the number of a verdict) where it is one; or `cut`, the budgets whose text ends here."""


def _responses(
    run: Run, variants: Sequence[tuple[int, Variant]], question_id: int, order: Sequence[str]
) -> list[dict[str, Any]]:
    budgets: dict[Variant, list[int]] = {}
    for _, variant in variants:
        if variant.planner == RERANK and only("scores", variant) in run.scores:
            budgets.setdefault(only("judgments", variant), []).append(variant.budget)
    return [
        {
            "candidate": number,
            **{name: getattr(job, name) for name in ("discriminator", "context", "pool")},
            **shown_response(judgment, budgets[job]),
        }
        for job in budgets
        for number, sql in enumerate(order)
        if (judgment := run.judgments.get(job, {}).get((question_id, sql))) is not None and judgment.p_yes is None
    ]


def shown_response(judgment: Judgment, budgets: Iterable[int]) -> dict[str, Any]:
    """A judgment's response, read at each of some budgets.

    `thought` and `answer`: lists of pieces that give the response when joined. `closed`: whether the model closed its
    thought; where it did not, what comes before the verdict's line (or before the last line) counts as thought.
    `readings`: for each budget the verdict, or None. `verdicts`: each with its value, rho, token and the token's text.
    Raises DataError as `read_verdict` does.
    """
    ordered = sorted(set(budgets))
    readings = [(budget, read_verdict(judgment, budget)) for budget in ordered]
    verdicts = list({reading.span: reading for _, reading in readings if reading.span}.values())
    closes = judgment.response.find(THOUGHT_CLOSES)
    split = closes + len(THOUGHT_CLOSES) if closes >= 0 else _last_line(judgment.response, verdicts[-1:])
    pieces = _pieces(judgment, _cuts(judgment, ordered), verdicts, split)
    return {
        "tokens": len(judgment.token_ends),
        "budget": judgment.budget,
        "finish": judgment.finish_reason,
        "closed": closes >= 0,
        "thought": [piece for at, piece in pieces if at < split],
        "answer": [piece for at, piece in pieces if at >= split],
        "verdicts": [_verdict(judgment, verdict) for verdict in verdicts],
        "readings": [[budget, verdicts.index(each) if each.span else None] for budget, each in readings],
    }


def _last_line(text: str, verdict: Sequence[Reading]) -> int:
    spans = [reading.span for reading in verdict if reading.span]
    return text.rfind("\n", 0, spans[0][0] if spans else len(text.rstrip())) + 1


def _cuts(judgment: Judgment, budgets: Iterable[int]) -> dict[int, list[int]]:
    """Where the text of each budget ends, in characters; budgets that the response does not fill have no end."""
    cuts: dict[int, list[int]] = {}
    length = len(judgment.token_ends)
    for budget in budgets:
        if budget < length or (budget == length and judgment.finish_reason == "length"):
            cuts.setdefault(judgment.token_ends[budget - 1] if budget else 0, []).append(budget)
    return cuts


def _pieces(
    judgment: Judgment, cuts: dict[int, list[int]], verdicts: Sequence[Reading], split: int
) -> list[tuple[int, Piece]]:
    """The response in order, each piece with the position that it starts at."""
    marks = {at: number for number, reading in enumerate(verdicts) for at in range(*(reading.span or (0, 0)))}
    edges = {0, split, len(judgment.response), *cuts}
    edges |= {at for reading in verdicts for at in reading.span or ()}
    pieces: list[tuple[int, Piece]] = []
    ordered = sorted(edges)
    for start, end in zip(ordered, [*ordered[1:], len(judgment.response)], strict=True):
        if start in cuts:
            pieces.append((start, {"cut": cuts[start]}))
        if start < end:
            mark = {"mark": marks[start]} if start in marks else {}
            pieces.append((start, {"text": judgment.response[start:end], **mark}))
    return pieces


def _verdict(judgment: Judgment, reading: Reading) -> dict[str, Any]:
    token = reading.token or 0
    start = judgment.token_ends[token - 1] if token else 0
    return {
        "value": reading.value,
        "probability": reading.probability,
        "token": token + 1,
        "token_text": judgment.response[start : judgment.token_ends[token]],
    }
