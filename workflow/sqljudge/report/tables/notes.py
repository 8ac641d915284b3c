"""The sentences under a table: what it rests on, at which settings, how to read it. Knows tables and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sqljudge.core.planners import BESIDE
from sqljudge.report.tables.measures import Metric
from sqljudge.report.tables.model import Table
from sqljudge.report.tables.published import Published, context_key, published_name
from sqljudge.report.text import number
from sqljudge.sql.official.comparison import TEST_SUITE

INTERVALS = "In brackets: 95 % percentile bootstrap interval over questions."
CONTRASTED = "Difference to the first context"
WITHOUT_MODEL = "No model judges"
WITH_GOLD = "Bounds that look at the gold query"
READING = {
    "PwAcc": "PwAcc: share of the pairs of one question's candidates with different labels whose correct one scores "
    "higher. F1: mean of the F1 of the classes correct and wrong. Hit@1: share of questions whose highest-scored "
    "candidate is correct. MRR: mean of 1/rank of the first correct candidate.",
    "Failure rate": "Failure rate: mean over questions of the share of candidates that got no verdict.",
    "Repetition": "Reasoning quality, mean over responses. Repetition: sentences that occur more than once. "
    "1 − TTR: 1 − distinct sentences / sentences. Repeated bigrams: word bigrams that occur more than once. Entropy: "
    "of the response's sentences. Diversity: 1 − mean cosine similarity of the sentences' embeddings.",
    "Exact match (EM)": "EM: share of questions whose query's clauses equal the gold query's, by the official "
    "evaluator's rules, values left out.",
    "Partial match, all": "Partial match: mean over the evaluator's ten clause components, over all questions. A "
    "component's F1 is 1 where its accuracy and recall are both 0, as the official program has it.",
    "F1 fitted": "F1 at 0.5: as in Table 1. F1 fitted: each database at the threshold that gives the highest macro F1 "
    "on all other databases (of equally good ones, the one nearest to 0.5). Threshold: the median of these.",
    "AUROC": "AUROC: chance that a correct candidate scores above a wrong one, of any question, a tie counting half; "
    "0.5 is chance. It ranks all candidates: one without a verdict, or kept from the model, stands at its score, below "
    "all others.",
    "AP": "AP: average precision of the same ranking; the share of correct candidates is chance.",
    "ECE": "Brier: mean squared distance between probability and label. ECE: mean distance between probability and "
    "share of correct candidates, over bins of equal width; resampling raises it, so its interval may lie above it. "
    "Both are over candidates with a probability; None given: the share without one (no verdict, or kept from the "
    "model).",
    "Temperature": "Temperature scaled: the logit divided by the temperature, between 0.01 and 100, under which the "
    "labels of all other databases are most likely (Temperature: the median of these; at 100 every probability is "
    "near 0.5). It moves no score across 0.5. Intervals keep thresholds and temperatures as fitted.",
    "Adaptive, forced verdict": "Full thought: up to the last checkpoint, or its own end; scored by the verdict that "
    "the response gives, or by one that is forced there. Adaptive: stopped at the first checkpoint where the forced "
    "verdict's probability is above the confidence, or where it has been the same so many checkpoints in a row "
    "(patience), both chosen for each database as those that save the most on all other databases at no loss in PwAcc "
    "there; the medians are shown (a confidence of 1: none). Tokens: new tokens, mean over candidates that the model "
    "was asked about; reading a verdict writes none. Saved, difference: to the full thought with a forced verdict. "
    "Intervals keep what was chosen.",
    **{planner.heading: planner.reading for planner in BESIDE.values()},
    CONTRASTED: "Difference: to the same discriminator in the first of its contexts, on the same questions, in points "
    "(AUROC: as it is); the interval is paired (Hit@1: exact, by McNemar's test).",
    "Against re-ranking": "Against re-ranking the first samples by the same discriminator. Difference: in EX, p value: "
    "McNemar's exact test. Extra tokens: beyond those of re-ranking. Gain: points of EX for every thousand of them "
    "(none where a planner needs no more). Re-ranking itself and the generator alone have nothing to be compared with: "
    "no data.",
    "Both models": "Means over questions of what a planner needs were it run alone, answers from the journal included. "
    "Tokens: read (a prompt once a call) and written, by both models, whatever their sizes. Queries: distinct ones "
    "that it chose from. Executing queries is not counted.",
    WITHOUT_MODEL: "No model judges: a draw by seed; the first sampled; the first that executes; the result that most "
    "samples agree on; the highest mean token probability by the generator itself.",
    WITH_GOLD: "Oracle: knows whether a candidate is right and says so with probability p, else the opposite; p = 1 is "
    "the most that any choice among these candidates can reach. It uses the gold query and competes with no row.",
}

EXECUTION_ACCURACY = {
    "test_suite": "EX: share of questions whose query gives the gold query's result on the question's "
    "own database (one database, not the test suite's many; an empty result equals an empty one).",
    "set": "EX: share of questions whose query gives the same set of rows as the gold query on the question's own "
    "database (BIRD's rule: the order of rows and how often each occurs do not count, the order of columns does).",
}
"""What EX means, by the rule that results were compared by."""


def count(value: float) -> str:
    """A number with thousands separators."""
    return f"{value:,}"


def _range(metrics: Sequence[Metric], key: str) -> str | None:
    found = sorted({metric[key] for metric in metrics if metric.get(key) is not None})
    if not found:
        return None
    return count(found[0]) if len(found) == 1 else f"{count(found[0])} to {count(found[-1])}"


def _basis(used: Sequence[Metric]) -> str:
    if not used:
        return "Nothing of this table was run."
    words = {
        "questions": "questions",
        "candidates": "candidates",
        "correct": "correct ones",
        "databases": "databases",
        "pairs": "pairs with different labels",
        "bins": "bins",
        "policies": "policies tried",
    }
    parts = [f"{amount} {text}" for key, text in words.items() if (amount := _range(used, key))]
    if responses := _range(used, "responses"):
        parts.append(f"{responses} responses")
    return f"Rests on {', '.join(parts)}."


def _left_out(used: Sequence[Metric]) -> str | None:
    most = max((metric.get("left_out", 0) for metric in used), default=0)
    return f"Left out, since a model request got no answer: up to {count(most)} questions a row." if most else None


def _unreadable_gold(used: Sequence[Metric]) -> str | None:
    most = max((metric.get("unreadable_gold", 0) for metric in used), default=0)
    if not most:
        return None
    return (
        f"EM and partial match leave out up to {count(most)} questions a row, whose gold query is beyond the official "
        "evaluator's grammar; those that are left tend to be the plainer ones."
    )


def _execution_accuracy(used: Sequence[Metric]) -> str:
    rules = {metric["comparison"] for metric in used if "comparison" in metric} or {TEST_SUITE}
    return " ".join(EXECUTION_ACCURACY[rule] for rule in sorted(rules))


def setting_text(key: str, value: Any, display: Mapping[str, str]) -> str:
    """One setting in words, such as "budget 512 tokens" or "without schema"."""
    if key == "context":
        return {"no_schema": "without schema", "schema": "with schema"}.get(context_key(value), f"context {value}")
    if key == "decoding" and value == "greedy":
        return "true greedy decoding (the paper samples one sequence at temperature 0.1)"
    label = display.get(str(value), str(value))
    words = {"budget": f"budget {label} tokens", "scoring": f"{label} scores", "mode": _MODE_WORDS.get(value, label)}
    return words.get(key, f"{key} {label}")


_MODE_WORDS = {"naive": "every candidate scored (naive)", "check": "executability check"}


def _settings(axes: Mapping[str, tuple[Any, ...]], hidden: Sequence[str], display: Mapping[str, str]) -> str | None:
    parts = [setting_text(key, axes[key][0], display) for key in hidden]
    return f"Settings: {', '.join(parts)}." if parts else None


def _failures(used: Sequence[Metric], display: Mapping[str, str]) -> str | None:
    rates: dict[str, str] = {}
    for metric in used:
        rate = (metric["metrics"].get("failure_rate") or {}).get("value")
        if rate:
            name, mode = str(metric["settings"].get("discriminator")), metric["settings"].get("mode", "naive")
            rates[f"{display.get(name, name)}, {mode}"] = f"{number(100 * rate, 2)} %"
    parts = [f"{which}: {rate}" for which, rate in rates.items()]
    return f"Candidates without a verdict (scored −0.5): {'; '.join(parts)}." if parts else None


def unasked_notes(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """A note on each discriminator and context that have no row, since the context has no prompt of that kind."""
    return tuple(f"{who} is not asked in {context}: that context has no prompt of its kind." for who, context in pairs)


def differing_settings(
    name: str, axes: Mapping[str, tuple[Any, ...]], published: Published, display: Mapping[str, str]
) -> list[str]:
    """What the paper's table was made with where a run's single settings are not the paper's, each in words."""
    parts = []
    for key, paper in published.get("settings", {}).get(published_name(name), {}).items():
        ours = axes.get(key, ())
        same = (
            context_key(paper) == context_key(ours[0])
            if key == "context" and ours
            else [str(paper)] == [*map(str, ours)]
        )
        if len(ours) == 1 and not same:
            parts.append(f"{setting_text(key, paper, display)} (here: {setting_text(key, ours[0], display)})")
    return parts


def _published(
    table: Table, axes: Mapping[str, tuple[Any, ...]], published: Published, display: Mapping[str, str]
) -> list[str]:
    known = [cell for _, _, cell in table.cells() if cell.published is not None]
    if not known:
        return ["The paper gives no figure for any of these rows: not published."]
    notes = [
        f"Published: {published.get('citation', 'the paper')}. "
        "Differences are ours minus published, in points (entropy: in bits)."
    ]
    if differing := differing_settings(table.name, axes, published, display):
        notes.append(f"The paper's own settings: {'; '.join(differing)}: a difference is also one of settings.")
    return notes


def table_notes(
    table: Table,
    axes: Mapping[str, tuple[Any, ...]],
    used: Sequence[Metric],
    published: Published,
    display: Mapping[str, str],
) -> Table:
    """The table with its notes, those that it has last.

    `axes`: all settings of the rows; `used`: the metrics that its cells were read from.
    """
    hidden = [key for key in axes if len(axes[key]) == 1 and key not in ("discriminator", "pool")]
    notes: list[str | None] = [_settings(axes, hidden, display), _basis(used), _left_out(used)]
    if any(cell.low is not None for _, _, cell in table.cells()):
        notes.append(INTERVALS)
    names = {column.label for column in table.columns} | {column.group for column in table.columns}
    names |= {row.block for row in table.rows}
    if "Execution accuracy (EX)" in names:
        notes.append(_execution_accuracy(used))
    notes += [text for name, text in READING.items() if name in names]
    if "Exact match (EM)" in names:
        notes.append(_unreadable_gold(used))
    if "Failure rate" not in names:
        notes.append(_failures([metric for metric in used if "failure_rate" in metric["metrics"]], display))
    notes += _published(table, axes, published, display)
    return dataclasses.replace(table, notes=tuple(note for note in (*notes, *table.notes) if note))
