"""The claims as a table of text. Knows claims, no metric and no format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from sqljudge.report.claims.evaluate import TIE_MARGIN, UNDECIDED, Claim
from sqljudge.report.claims.statements import ROLES
from sqljudge.report.grid import Column, Grid, Row
from sqljudge.report.text import number, signed

_PARTS = {"reasoning": "the reasoning discriminator", "7b": "CodeLlama-7B", "13b": "CodeLlama-13B"}
_NOTES = (
    "A claim of the paper is split into statements that one test can decide. A difference has a sign: in per cent "
    "(%) of the system named second, or in percentage points (pp). A level has none. Published figures are of Spider.",
    "A comparison holds, or does not, when its two-sided test has p < 0.05 and the interval has the claimed sign, or "
    "the other one, whatever its size: read the interval for the size. A bound holds, or does not, when the whole "
    f"interval lies on one side of it; a tie when the interval lies within {TIE_MARGIN:g} points of zero. All else is "
    "not decidable with this many questions.",
    "Claim 1 is judged twice: at the paper's threshold of 0.5, and with each database at the threshold that suits all "
    "other databases best. A model whose score never passes 0.5 calls nothing correct, so the first may be a fact "
    "about the threshold; the second is about the scores. The paper's CodeLlama-13B, with the check, calls none of the "
    "1,221 candidates correct (its notebook prints an F1 of 0 for that class): its F1 of 37.1 is that of calling "
    "everything wrong.",
    "Claim 8 rests on one run of a generator that is right on 29 of 400 questions. In another published run of it 36 "
    "are right, with which the three figures would be 25.0, 433.3 and 541.7 %.",
    "Tests: exact; McNemar's for EX and Hit@1, for the rest all ways to swap the two systems' answers to the deciding "
    "questions (a random choice of them where they are too many to try). Five deciding questions give no p below 0.05. "
    "Intervals: 95 %, over questions, paired; how they are made and what they hold: docs/method.md#intervals.",
    "Deciding: questions on which the two systems differ, of those that the comparison rests on.",
)


def claims_summary(claims: Sequence[Claim]) -> str:
    """How the statements fared, in a sentence."""
    counts = Counter(claim.verdict for claim in claims)
    fared = ", ".join(f"{verdict}: {count}" for verdict, count in counts.most_common())
    return f"Verdicts on the {len(claims)} statements: {fared}."


TONES = {"holds": "good", "does not hold": "bad", UNDECIDED: "open", "not run": ""}
"""The verdicts as a page colours them, in the order in which it groups the statements."""
_UNIT_WORDS = {"% relative": "%", "points": "pp", "%": "%"}


def _figure(value: float, unit: str) -> str:
    text = number(value, 2) if unit == "%" else signed(value, 2 if unit == "points" else 1)
    return f"{text} {_UNIT_WORDS[unit]}"


def _published(row: Row) -> str:
    return "not published" if row["published"] is None else _figure(row["published"], row["unit"])


def _ours(row: Row) -> str:
    if row["value"] is not None:
        return _figure(row["value"], row["unit"])
    return "not run" if row["verdict"] == "not run" else "no data"


def _interval(row: Row) -> str:
    if row["low"] is None or row["high"] is None:
        return "–"
    places = 1 if row["unit"] == "% relative" else 2
    return f"[{number(row['low'], places)}, {number(row['high'], places)}]"


def _deciding(row: Row) -> str:
    if row["questions"] is None:
        return "–"
    return " of ".join(f"{row[name]:,}" for name in ("deciding", "questions") if row[name] is not None)


def _p(row: Row) -> str:
    if row["p"] is None:
        return "–"
    return "< 0.001" if row["p"] < 0.001 else number(row["p"], 3)


COLUMNS = (
    Column("Claim", "claim"),
    Column("Statement", "statement", "w"),
    Column("Published", _published, "r"),
    Column("Ours", _ours, "r"),
    Column("95 % interval", _interval, "r"),
    Column("Deciding", _deciding, "r"),
    Column("p", _p, "r"),
    Column(
        "Verdict",
        lambda row: f"{row['verdict']}: {row['reason']}".removesuffix(": "),
        "w",
        tone=lambda row: TONES[row["verdict"]],
    ),
)
FIELDS = (
    *("claim", "statement", "unit", "published", "value", "low", "high", "published_in_interval"),
    *("questions", "deciding", "p", "test", "verdict", "reason"),
)


def _cast(roles: Mapping[str, Any], display: Mapping[str, str]) -> tuple[str, ...]:
    """Who plays another's part in this run, in one sentence; none where all are the paper's."""
    parts = [
        f"{display.get(name := roles[part], name)} plays {words}"
        for part, words in _PARTS.items()
        if roles.get(part, ROLES[part]) != ROLES[part]
    ]
    return (f"The published figures are of the paper's models; here {', '.join(parts)}.",) if parts else ()


def claims_grid(
    claims: Sequence[Claim], roles: Mapping[str, Any] | None = None, display: Mapping[str, str] | None = None
) -> Grid:
    """The claims, a row per statement; `roles` and `display` as in `evaluate_claims`."""
    words = {None: "", True: "yes", False: "no"}
    records = [
        {**asdict(claim), "claim": claim.number, "p": claim.p_value, "published_in_interval": words[claim.agrees]}
        for claim in claims
    ]
    data = pd.DataFrame(records, columns=FIELDS, dtype=object)
    notes = (*_cast(roles or {}, display or {}), *_NOTES)
    verdicts = {verdict: f"{verdict[0].upper()}{verdict[1:]}" for verdict in TONES}
    return Grid(
        "claims",
        "The paper's claims, checked",
        data,
        COLUMNS,
        notes,
        block=lambda row: verdicts[row["verdict"]],
        order=tuple(verdicts.values()),
    )
