"""A response as pieces to show: the thought apart, each budget's cut-off in its place, verdicts marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqljudge.core.records import Judgment
from sqljudge.stages.score import Reading, read_verdict

THOUGHT_CLOSES = "</think>"

Piece = dict[str, Any]
"""`text`, with `mark` (the number of a verdict) where it is one; or `cut`, the budgets whose text ends here."""


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
