"""What is shown of each question: plain values for JSON, made from records. Knows no file and no page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqljudge.core.records import EMPTY_SQL, HARDNESS, CandidateSet, Execution, Judgment, Question, Score, Selection
from sqljudge.core.variants import GREEDY, NONE, POOL, RERANK, Variant, only, setting_name
from sqljudge.report.explorer.read import Run
from sqljudge.report.words import LABELS, MODES
from sqljudge.sql.sandbox import QueryResult
from sqljudge.stages.execute import SHOWN_CHARACTERS, as_cell
from sqljudge.stages.plan import rerank
from sqljudge.stages.prompts import NO_KNOWLEDGE
from sqljudge.stages.score import AS_IT_STANDS, Reading, Rules, read_verdict

TAGS = ("right", "wrong", "rescued", "broken", "no_verdict", "some_no_verdict")
"""What may be said of a choice; several may hold at once."""
THOUGHT_CLOSES = "</think>"

Numbered = Sequence[tuple[int, Variant]]
"""Ways of choosing, each with its place in the list of all."""


def shown_settings(variant: Variant) -> dict[str, Any]:
    """A variant's settings as pages show them: those that a baseline, or a greedy query, does not have are empty."""
    names = ("discriminator", "context", "pool", "budget", "scoring", "mode", "planner")
    shown = {name: getattr(variant, name) for name in names}
    if variant.context == NONE:
        shown |= {"context": "", "budget": 0, "scoring": ""}
    if variant.discriminator == NONE:
        shown |= {"discriminator": "", "mode": ""}
    return shown


def variants_of(run: Run) -> list[Variant]:
    """All ways of choosing: greedy queries first, baselines last. Scores stand for the re-ranking by them."""

    def order(variant: Variant) -> tuple[Any, ...]:
        shown = shown_settings(variant)
        return bool(shown["discriminator"] and not shown["context"]), *shown.values()

    return sorted({*(replace(variant, planner=RERANK) for variant in run.scores), *run.selections}, key=order)


def summary(run: Run, display: Mapping[str, str], levels: Sequence[str] = HARDNESS) -> dict[str, Any]:
    """What the pages need beside the questions: the settings, what to call them, the levels in order, and the tags.

    Of a setting: `name`, as addresses have it; `planned`, whether a planner chose by it; `reasons`, whether its
    discriminator wrote responses.
    """
    wrote = {
        job for job, by in run.judgments.items() if any(each.p_yes is None for some in by.values() for each in some)
    }
    settings = [
        {
            **shown_settings(variant),
            "name": setting_name(variant),
            "planned": variant in run.selections,
            "reasons": only("judgments", variant) in wrote,
        }
        for variant in variants_of(run)
    ]
    words = {
        "context": LABELS["context"],
        "scoring": {name: f"{label.lower()} scores" for name, label in LABELS["scoring"].items()},
        "mode": {name: mode.phrase for name, mode in MODES.items()},
    }
    names = {"names": dict(display), "words": words}
    return {"tags": TAGS, **names, "settings": settings, "labelled": POOL, "levels": list(levels)}


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
        yield _Question(run, entry).page(variants, golds[entry.sources[0], entry.question.id])


Record = TypeVar("Record")


class _Question:
    """The records of one question, and what is shown of them."""

    def __init__(self, run: Run, entry: Entry) -> None:
        def of(records: Mapping[Variant, Mapping[int, Sequence[Record]]]) -> dict[Variant, Sequence[Record]]:
            return {key: found[entry.question.id] for key, found in records.items() if entry.question.id in found}

        self.run, self.entry, self.id = run, entry, entry.question.id
        self.candidates = {key.pool: some[0].candidates for key, some in of(run.candidates).items()}
        self.executions = {(key.pool, each.sql): each for key, some in of(run.executions).items() for each in some}
        self.judgments = {(key, each.sql): each for key, some in of(run.judgments).items() for each in some}
        self.scores = of(run.scores)
        self.selections = {key: some[0] for key, some in of(run.selections).items()}
        self.verdicts = {key: some[0] for key, some in of(run.end_to_end).items()}
        dataset = next((name for name in run.questions if name != POOL), POOL)
        pools = (pool for pool in self.candidates if (pool if pool == POOL else dataset) in entry.sources)
        self.pools = sorted(pools, key=lambda pool: (pool != POOL, pool))  # the labelled one first
        self.sql = list(dict.fromkeys(each.sql for pool in self.pools for each in self.candidates[pool]))

    def page(self, variants: Numbered, gold: QueryResult) -> Page:
        """All that is shown."""
        question = self.entry.question
        here = [(number, variant) for number, variant in variants if variant.pool in self.pools]
        shown = ((number, self.choice(variant)) for number, variant in here)
        choices = [(number, choice) for number, choice in shown if choice]
        scored = [(number, variant) for number, variant in here if variant.planner == RERANK]
        scored = [(number, variant) for number, variant in scored if only("scores", variant) in self.run.scores]
        candidates = [self.candidate(sql) for sql in self.sql]
        named = {"key": self.entry.key, "id": self.id, "db": question.db_id, "hardness": question.hardness}
        named["question"] = question.question
        data = {
            **named,
            "schema": question.schema_text,
            "knowledge": question.knowledge or NO_KNOWLEDGE,
            "gold": {
                "sql": question.gold_sql,
                "outcome": gold.outcome,
                "message": gold.message,
                "columns": list(gold.columns),
                "rows": [[as_cell(cell, SHOWN_CHARACTERS) for cell in row] for row in gold.rows],
                "row_count": gold.row_count,
            },
            "candidates": candidates,
            "scores": [[number, [self.score(each) for each in self.scores_of(variant)]] for number, variant in scored],
            "choices": choices,
        }
        line = {
            **named,
            "gold": question.gold_sql,
            "sql": self.sql,
            "messages": sorted({each["message"] for each in candidates} - {""}),
            "tags": [[number, bits(choice["tags"])] for number, choice in choices],
        }
        return Page(self.entry.key, line, data, self.responses(scored))

    def candidate(self, sql: str) -> dict[str, Any]:
        """One candidate, with the pools that hold it and what came of running it."""
        found = [(pool, each) for pool in self.pools for each in self.candidates[pool] if each.sql == sql]
        ran = [self.executions[pool, sql] for pool, _ in found if (pool, sql) in self.executions]
        execution = ran[0] if ran else Execution(self.id, sql, "error", "not executed", (), 0, 0, 0.0, None)
        return {
            "sql": sql,
            "pools": [[pool, each.count, each.label, each.mean_logprob] for pool, each in found],
            "right": self.right(found[0][0], sql),
            "executed_right": execution.correct,
            "outcome": execution.outcome,
            "message": execution.message,
            "rows": execution.rows,
            "row_count": execution.row_count,
            "ms": execution.ms,
        }

    def right(self, pool: str, sql: str) -> bool | None:
        """Whether a candidate is right: by its label, or by its execution where the pool has no labels."""
        labels = [each.label for each in self.candidates.get(pool, ()) if each.sql == sql and each.label is not None]
        if labels:
            return bool(labels[0])
        execution = self.executions.get((pool, sql))
        return execution.correct if execution else False if sql == EMPTY_SQL else None

    def scores_of(self, variant: Variant) -> Sequence[Score]:
        """The scores that a choice rests on; none where no discriminator was asked."""
        return self.scores.get(only("scores", variant), ())

    def score(self, score: Score) -> list[Any]:
        """Candidate, score, what the model said: yes, no, none (no verdict), unasked, unanswered; "" if no model."""
        said = {True: "yes", False: "no", None: "none" if score.failure else ""}[score.verdict]
        if not (score.asked and score.answered):
            said = "unanswered" if score.asked else "unasked"
        return [self.sql.index(score.sql), score.score, said]

    def choice(self, variant: Variant) -> dict[str, Any] | None:
        """What a variant chose, and what came of it."""
        choice = self.selected(variant)
        if choice is None:
            return None
        right, verdict = self.chosen_right(variant, choice.sql), self.verdicts.get(variant)
        first = right if variant.discriminator == NONE else self.first_right(variant)
        return {
            "candidate": self.sql.index(choice.sql) if choice.sql in self.sql else None,
            "sql": "" if choice.sql in (*self.sql, EMPTY_SQL) else choice.sql,
            "score": choice.score,
            "reason": choice.reason,
            "right": right,
            "exact": verdict.exact if verdict else None,
            "tags": outcome(right, first, self.scores_of(variant)),
        }

    def selected(self, variant: Variant) -> Selection | None:
        """The planner's choice; on the labelled pool, where no planner works, the candidate that Hit@1 looks at."""
        if variant in self.run.selections:
            return self.selections.get(variant)
        scores = self.scores_of(variant)
        group = CandidateSet(self.id, self.candidates[variant.pool])
        return rerank([group], scores, as_listed=variant.pool == POOL)[0] if scores else None

    def chosen_right(self, variant: Variant, sql: str) -> bool | None:
        """Whether a choice is right, as it was evaluated, or else as a candidate."""
        verdict = self.verdicts.get(variant)
        return verdict.execution if verdict else self.right(variant.pool, sql)

    def first_right(self, variant: Variant) -> bool | None:
        """Whether the query is right that would be taken without a discriminator.

        That is the same generator's greedy query where the run has one, else the pool's first candidate.
        """
        for other, chosen in self.selections.items():
            if other.planner == GREEDY and variant.generator and other.generator == variant.generator:
                return self.chosen_right(other, chosen.sql)
        some = self.candidates[variant.pool]
        return self.right(variant.pool, some[0].sql) if some else None

    def responses(self, scored: Numbered) -> list[dict[str, Any]]:
        """Every response that scores were cut from, read at their budgets."""
        budgets: dict[Variant, list[int]] = {}
        for _, variant in scored:
            budgets.setdefault(only("judgments", variant), []).append(variant.budget)
        return [
            {
                "candidate": number,
                **{name: getattr(job, name) for name in ("discriminator", "context", "pool")},
                **shown_response(
                    judgment, budgets[job], self.run.rules.get((job.discriminator, job.context), AS_IT_STANDS)
                ),
            }
            for job in budgets
            for number, sql in enumerate(self.sql)
            if (judgment := self.judgments.get((job, sql))) is not None and judgment.p_yes is None
        ]


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


Span = tuple[int, int]
Piece = dict[str, Any]
"""`text`, with `mark` (the number of a verdict) where it is one; or `cut`, the budgets whose text ends here."""


def shown_response(judgment: Judgment, budgets: Iterable[int], rules: Rules = AS_IT_STANDS) -> dict[str, Any]:
    """A judgment's response, read at each of some budgets.

    `thought` and `answer`: lists of pieces that give the response when joined. `closed`: whether the model closed its
    thought; where it did not, what comes before the verdict's line (or before the last line) counts as thought.
    `readings`: for each budget the verdict, or None. `verdicts`: each with its value, rho, token and the token's text.
    `rules`: how it is read. Raises DataError as `read_verdict` does.
    """
    text = judgment.response
    readings = {budget: read_verdict(judgment, budget, rules) for budget in sorted(set(budgets))}
    verdicts = {reading.span: reading for reading in readings.values() if reading.span}
    spans = [span for span in verdicts if span]
    closes = text.find(THOUGHT_CLOSES)
    split = closes + len(THOUGHT_CLOSES)
    if closes < 0:
        split = text.rfind("\n", 0, spans[-1][0] if spans else len(text.rstrip())) + 1
    pieces = _pieces(text, _cuts(judgment, readings), spans, split)
    return {
        "tokens": len(judgment.token_ends),
        "budget": judgment.budget,
        "finish": judgment.finish_reason,
        "closed": closes >= 0,
        "thought": [piece for at, piece in pieces if at < split],
        "answer": [piece for at, piece in pieces if at >= split],
        "verdicts": [_verdict(judgment, verdict) for verdict in verdicts.values()],
        "readings": [[budget, spans.index(each.span) if each.span else None] for budget, each in readings.items()],
    }


def _cuts(judgment: Judgment, budgets: Iterable[int]) -> dict[int, list[int]]:
    """Where the text of each budget ends, in characters; budgets that the response does not fill have no end."""
    cuts: dict[int, list[int]] = {}
    length = len(judgment.token_ends)
    for budget in budgets:
        if budget < length or (budget == length and judgment.finish_reason == "length"):
            cuts.setdefault(judgment.token_ends[budget - 1] if budget else 0, []).append(budget)
    return cuts


def _pieces(text: str, cuts: dict[int, list[int]], spans: Sequence[Span], split: int) -> list[tuple[int, Piece]]:
    """The response in order, each piece with the position that it starts at. `spans`: of verdicts."""
    marks = {at: number for number, span in enumerate(spans) for at in range(*span)}
    edges = sorted({0, split, len(text), *cuts, *(at for span in spans for at in span)})
    pieces: list[tuple[int, Piece]] = []
    for start, end in zip(edges, [*edges[1:], len(text)], strict=True):
        if start in cuts:
            pieces.append((start, {"cut": cuts[start]}))
        if start < end:
            mark = {"mark": marks[start]} if start in marks else {}
            pieces.append((start, {"text": text[start:end], **mark}))
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
