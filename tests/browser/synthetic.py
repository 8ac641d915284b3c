"""Runs that never were: a large one to time, and a small one whose every text is an attack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqljudge.core.records import Candidate, CandidateSet, Execution, Judgment, Question, Score, Selection
from sqljudge.core.variants import Variant, greedy_variant
from sqljudge.report.explorer.read import Run, index_run
from sqljudge.report.explorer.show import question_pages, summary
from sqljudge.report.explorer.site import write_site
from sqljudge.sql.sandbox import QueryResult

LEVELS = ("easy", "medium", "hard", "extra")
BUDGETS = (20, 60)
HOSTILE = (
    "</script><script>window.__pwned = 1</script>",
    '<img src=x onerror="window.__pwned = 1">',
    "<svg/onload=window.__pwned=1>",
    "javascript:window.__pwned=1",
    "line\u2028break, half \ud83d pair, '\"`${window.__pwned=1}",
)
GREEDY = greedy_variant("writer.greedy")


def synthetic(questions: int, discriminators: int, hostile: str = "") -> Run:
    """A run in which the candidate `right` is right; the first discriminator reasons and is silent at 20 tokens.

    The greedy query is wrong in every fourth question. Discriminator number d is wrong where id % (d + 2) is 0.
    `hostile` stands in every text that comes from a model, a dataset or a database.
    """
    ids = range(questions)
    judges = [f"judge-{number}" for number in range(discriminators)]
    jobs = {name: Variant("writer.sample", name, "plain") for name in judges}
    chosen = {
        (name, at): "wrong" if at % (number + 2) == 0 else "right" for number, name in enumerate(judges) for at in ids
    }
    names = {sql: f"SELECT {sql} {hostile};" for sql in ("right", "wrong", "broken")}
    scores: dict[Variant, list[Score]] = {}
    for name in judges:
        for budget in BUDGETS if name == "judge-0" else BUDGETS[:1]:
            silent = name == "judge-0" and budget == BUDGETS[0]
            variant = Variant("writer.sample", name, "plain", budget, "soft", "naive")
            scores[variant] = [_score(at, names, sql, chosen[name, at], silent) for at in ids for sql in names]
    return index_run(
        {"set": [_question(at, hostile) for at in ids]},
        candidates={
            Variant("writer.greedy"): [CandidateSet(at, (Candidate(names[_greedy(at)]),)) for at in ids],
            Variant("writer.sample"): [CandidateSet(at, tuple(Candidate(sql) for sql in names.values())) for at in ids],
        },
        executions={
            Variant("writer.greedy"): [_execution(at, names, _greedy(at), hostile) for at in ids],
            Variant("writer.sample"): [_execution(at, names, sql, hostile) for at in ids for sql in names],
        },
        judgments={
            job: [_judgment(name, at, names[sql], sql == chosen[name, at], hostile) for at in ids for sql in names]
            for name, job in jobs.items()
        },
        scores=scores,
        selections={
            GREEDY: [Selection(at, names[_greedy(at)], None, "first candidate") for at in ids],
            **{
                replace(variant, planner="rerank"): [
                    Selection(at, names[_best(variant, at, chosen)], 0.9, f"highest {hostile}") for at in ids
                ]
                for variant in scores
            },
        },
        end_to_end={},
    )


def write_synthetic(folder: Path, run: Run, hostile: str = "") -> str:
    """Write the explorer of such a run; returns the address of its page."""
    gold = QueryResult("ok", "", (f"column {hostile}",), tuple((f"row {at} {hostile}",) for at in range(5)), 5, 1, 0.1)
    golds = {("set", question.id): gold for question in run.questions["set"]}
    labels = {variant.discriminator: f"Judge {variant.discriminator[6:]} {hostile}" for variant in run.scores}
    template = {"user": "Is ${sql} right for $question? It costs $$1. ${result}", "opening": f"Answer: {hostile}"}
    prompt = {"discriminator": "judge-0", "context": "plain", **template, "format": "chat"}
    said = {"about": [f"a run that never was {hostile}", "generators: writer"], "prompts": [prompt]}
    write_site(folder, {**summary(run, labels), **said}, question_pages(run, golds))
    return (folder / "index.html").resolve().as_uri()


def _greedy(at: int) -> str:
    return "wrong" if at % 4 == 0 else "right"


def _best(variant: Variant, at: int, chosen: dict[tuple[str, int], str]) -> str:
    silent = variant.discriminator == "judge-0" and variant.budget == BUDGETS[0]
    return "broken" if silent else chosen[variant.discriminator, at]


def _question(at: int, hostile: str) -> Question:
    text = f"What is number {at} of the long list of things that are kept in here? {hostile}"
    return Question(
        at,
        f"db_{at % 20} {hostile}".strip(),
        text,
        f"SELECT gold_{at} {hostile}",
        f"-- Table t: {hostile}",
        LEVELS[at % 4],
    )


def _execution(at: int, names: dict[str, str], sql: str, hostile: str) -> Execution:
    if sql == "broken":
        return Execution(at, names[sql], "error", f"no such table: gone {hostile}", (), 0, 0, 0.1, False)
    rows = tuple((f"cell {hostile}", number, None) for number in range(5))
    return Execution(at, names[sql], "ok", "", rows, 9, 10, 0.2, sql == "right")


def _judgment(name: str, at: int, sql: str, best: bool, hostile: str) -> Judgment:
    if name != "judge-0":
        return Judgment(at, sql, p_yes=0.8 if best else 0.3)
    said = f'\nSo {{"correct": {str(best).lower()}}}'
    filler = (
        f"Let me think of number {at}. {hostile} ".encode("utf-8", "replace").decode()
        + "And so on, step by step. " * 60
    )
    words = [filler[start : start + 48] for start in range(0, len(filler), 48)] + [*said]
    ends, end = [], 0
    for word in words:
        end += len(word)
        ends.append(end)
    count = len(words)
    return Judgment(at, sql, None, "".join(words), tuple(range(count)), (-0.1,) * count, tuple(ends), "stop", 99)


def _score(at: int, names: dict[str, str], sql: str, best: str, silent: bool) -> Score:
    if silent:
        return Score(at, names[sql], -0.5, None, failure=True)
    return Score(at, names[sql], 0.9 if sql == best else 0.1, sql == best, failure=False)
