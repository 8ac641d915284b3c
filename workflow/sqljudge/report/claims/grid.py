"""The claims as a table of text that `sqljudge.report.tables` renders. Knows claims, no metric and no format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqljudge.report.claims.evaluate import TIE_MARGIN, Claim
from sqljudge.report.claims.statements import ROLES
from sqljudge.report.tables.model import Grid, number, signed

_HEADERS = ("Claim", "Statement", "Published", "Ours", "95 % interval", "Deciding", "p", "Verdict")
_FIELDS: dict[str, Callable[[Claim], str | int | float | None]] = {
    "claim": lambda claim: claim.number,
    "statement": lambda claim: claim.statement,
    "unit": lambda claim: claim.unit,
    "published": lambda claim: claim.published,
    "value": lambda claim: _rounded(claim.value),
    "low": lambda claim: _rounded(claim.low),
    "high": lambda claim: _rounded(claim.high),
    "published_in_interval": lambda claim: {None: "", True: "yes", False: "no"}[claim.agrees],
    "questions": lambda claim: claim.questions,
    "deciding": lambda claim: claim.deciding,
    "p": lambda claim: _rounded(claim.p_value),
    "test": lambda claim: claim.test,
    "verdict": lambda claim: claim.verdict,
    "reason": lambda claim: claim.reason,
}
_PARTS = {"reasoning": "the reasoning discriminator", "7b": "CodeLlama-7B", "13b": "CodeLlama-13B"}
_NOTES = (
    "A claim of the paper is split into statements that one test can decide. A difference has a sign: in per cent "
    "(%) of the system named second, or in percentage points (pp). A level has none. Published figures are of Spider.",
    "A comparison holds, or does not, when its two-sided test has p < 0.05 and the difference has the claimed sign, or "
    "the other one, whatever its size: read the interval for the size. A bound holds, or does not, when the whole "
    f"interval lies on one side of it; a tie when the interval lies within {TIE_MARGIN:g} points of zero. All else is "
    "not decidable with this many questions.",
    "Claim 1 is judged twice: at the paper's threshold of 0.5, and with each database at the threshold that suits all "
    "other databases best. A model whose score never passes 0.5 calls nothing correct, so the first may be a fact "
    "about the threshold; the second is about the scores.",
    "Tests: McNemar, exact, for EX and Hit@1; paired bootstrap over questions for the rest. Intervals: 95 % percentile "
    "bootstrap over questions, both systems on the same resampled questions. An interval of no width over n questions "
    "decides nothing that is nearer than 3/n.",
    "Deciding: questions on which the two systems differ, of those that the comparison rests on.",
)


def claims_found(claims: Sequence[Claim]) -> str:
    """How the statements fared, in a sentence."""
    counts = Counter(claim.verdict for claim in claims)
    fared = ", ".join(f"{verdict}: {count}" for verdict, count in counts.most_common())
    return f"Verdicts on the {len(claims)} statements: {fared}."


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


_UNIT_WORDS = {"% relative": "%", "points": "pp", "%": "%"}


def _figure(value: float, unit: str) -> str:
    text = number(value, 2) if unit == "%" else signed(value, 2 if unit == "points" else 1)
    return f"{text} {_UNIT_WORDS[unit]}"


def _ours(claim: Claim) -> str:
    if claim.value is not None:
        return _figure(claim.value, claim.unit)
    return "not run" if claim.verdict == "not run" else "no data"


def _interval(claim: Claim) -> str:
    if claim.low is None or claim.high is None:
        return "–"
    places = 1 if claim.unit == "% relative" else 2
    return f"[{number(claim.low, places)}, {number(claim.high, places)}]"


def _deciding(claim: Claim) -> str:
    if claim.questions is None:
        return "–"
    return f"{claim.questions:,}" if claim.deciding is None else f"{claim.deciding:,} of {claim.questions:,}"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else number(value, 3)


def _row(claim: Claim) -> tuple[str, ...]:
    published = "not published" if claim.published is None else _figure(claim.published, claim.unit)
    numbers = (published, _ours(claim), _interval(claim), _deciding(claim), _p(claim.p_value))
    return (str(claim.number), claim.statement, *numbers, f"{claim.verdict}: {claim.reason}".removesuffix(": "))


def _cast(roles: Mapping[str, Any], display: Mapping[str, str]) -> str | None:
    """Who plays another's part in this run, in one sentence; None where all are the paper's."""
    parts = [
        f"{display.get(name := roles[part], name)} plays {words}"
        for part, words in _PARTS.items()
        if roles.get(part, ROLES[part]) != ROLES[part]
    ]
    return f"The published figures are of the paper's models; here {', '.join(parts)}." if parts else None


def claims_grid(
    claims: Sequence[Claim], roles: Mapping[str, Any] | None = None, display: Mapping[str, str] | None = None
) -> Grid:
    """The claims, a row per statement, for `render`; `roles` and `display` as in `evaluate_claims`."""
    data = (tuple(_FIELDS), *(tuple(read(claim) for read in _FIELDS.values()) for claim in claims))
    cast = _cast(roles or {}, display or {})
    notes = _NOTES if cast is None else (cast, *_NOTES)
    return Grid("claims", "The paper's claims, checked", _HEADERS, "lwrrrrrw", tuple(map(_row, claims)), data, notes)
