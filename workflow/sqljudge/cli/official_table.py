"""The table that the official evaluator prints. Knows no SQL and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqljudge.metrics.end_to_end import LEVELS
from sqljudge.sql.official.matching import COMPONENTS

TURNS = ("turn 1", "turn 2", "turn 3", "turn 4", "turn > 4")
PARTIAL = (
    ("\n---------------------PARTIAL MATCHING ACCURACY----------------------", "acc"),
    ("---------------------- PARTIAL MATCHING RECALL ----------------------", "rec"),
    ("---------------------- PARTIAL MATCHING F1 --------------------------", "f1"),
)


@dataclass(frozen=True)
class Turn:
    """One prediction in a dialogue, by the dialogue's number and its place in it, from 0."""

    dialogue: int
    turn: int
    executes_right: bool | None
    exact: bool


def official_table(result: Mapping[str, Any], counts: Mapping[str, int], etype: str, turns: Sequence[Turn]) -> str:
    """The table for `etype` all, exec or match.

    `result`: as `end_to_end` gives it; `counts`: questions by level. `turns`: of data with dialogues, else empty; they
    add the column joint_all (dialogues with every turn right) and a table by turn. What rests on nothing prints as 0.
    """
    metrics, components = result["metrics"], result["components"]
    joint = _joint(turns)
    names = [*LEVELS, "joint_all"] if turns else list(LEVELS)
    lines = [_row("", names), _row("count", [*(counts[level] for level in LEVELS), *joint["count"]])]
    if etype in ("all", "exec"):
        lines.append("=====================   EXECUTION ACCURACY     =====================")
        lines.append(_row("execution", [*(metrics[level]["ex"]["value"] for level in LEVELS), *joint["exec"]]))
    if etype in ("all", "match"):
        lines.append("\n====================== EXACT MATCHING ACCURACY =====================")
        lines.append(_row("exact match", [*(metrics[level]["em"]["value"] for level in LEVELS), *joint["exact"]]))
        for title, field in PARTIAL:
            lines.append(title)
            lines += [_row(name, [components[level][name][field] for level in LEVELS]) for name in COMPONENTS]
    return "\n".join([*lines, *(_turn_table(turns, etype) if turns else [])])


def _turn_table(turns: Sequence[Turn], etype: str) -> list[str]:
    groups = [[turn for turn in turns if min(turn.turn, 4) == at] for at in range(len(TURNS))]
    lines = ["", "", _row("", TURNS), _row("count", list(map(len, groups)))]
    if etype in ("all", "exec"):
        lines.append("=====================   TURN EXECUTION ACCURACY     =====================")
        decided = [[turn.executes_right for turn in group if turn.executes_right is not None] for group in groups]
        lines.append(_row("execution", list(map(_share, decided))))
    if etype in ("all", "match"):
        lines.append("\n====================== TURN EXACT MATCHING ACCURACY =====================")
        lines.append(_row("exact match", [_share([turn.exact for turn in group]) for group in groups]))
    return lines


def _joint(turns: Sequence[Turn]) -> dict[str, list[float | None]]:
    """The column joint_all: empty lists where there are no dialogues."""
    dialogues: dict[int, list[Turn]] = {}
    for turn in turns:
        dialogues.setdefault(turn.dialogue, []).append(turn)
    if not dialogues:
        return {"count": [], "exec": [], "exact": []}
    groups = dialogues.values()
    return {
        "count": [len(dialogues)],
        "exec": [_share([all(turn.executes_right is not False for turn in group) for group in groups])],
        "exact": [_share([all(turn.exact for turn in group) for group in groups])],
    }


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _row(name: str, cells: Sequence[str | int | float | None]) -> str:
    return " ".join([f"{name:20}", *(f"{_cell(cell):20}" for cell in cells)])


def _cell(cell: str | int | float | None) -> str:
    if isinstance(cell, (str, int)):
        return str(cell)
    return f"{cell or 0.0:.3f}"
