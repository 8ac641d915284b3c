"""What a training learns from: items, their file, and what an item asks of a model. Knows no method and no model.

The file is JSON Lines. Beside it lies a note of where the data are from, their licence, and the databases in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError
from sqljudge.core.files import parse_json, write_json, write_text
from sqljudge.core.records import Question, to_json
from sqljudge.training.methods import JUDGE, QUERY, SAT

NOTE = ".note.json"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to learn from.

    `id`: distinct in the file. `group`: what several items have in common, a question or a SAT step. Of a judge's item:
    a candidate `sql` and its `label`, 1 if it is right, else 0; `result`: what it gives, in words. Of a generator's:
    the `gold` query. Of a SAT task: `prompt`, what is asked, and `answer`, what the reward needs to know. `response`: a
    trace, and `right` whether it came to the right end. `validation`: it is kept for choosing, and not trained on.
    """

    id: str
    group: str
    db_id: str = ""
    question: str = ""
    schema: str = ""
    knowledge: str = ""
    sql: str = ""
    label: int | None = None
    result: str = ""
    gold: str = ""
    prompt: str = ""
    answer: str = ""
    response: str = ""
    right: bool | None = None
    validation: bool = False

    @property
    def task(self) -> str:
        """What it asks: JUDGE, QUERY or SAT."""
        return SAT if self.answer else JUDGE if self.label is not None else QUERY

    def as_question(self) -> Question:
        """The question as prompts are filled from it."""
        return Question(0, self.db_id, self.question, self.gold, self.schema, "", self.knowledge)


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int | None": (int, type(None)),
    "bool | None": (bool, type(None)),
}


def read_items(path: str | Path) -> list[Item]:
    """All items of a file.

    Raises DataError naming file and line where it is missing, a line is no item, or an id stands twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); name a file of training items") from error
    found: dict[str, Item] = {}
    for number, line in enumerate(lines, 1):
        try:
            item = _item(parse_json(line))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}, line {number}: not a training item ({error}); correct or delete it") from error
        if found.setdefault(item.id, item) is not item:
            raise DataError(f"{path}, line {number}: the id {item.id!r} stands twice; give each item its own")
    if not found:
        raise DataError(f"{path}: holds no training items; name another file")
    return list(found.values())


def _item(row: Any) -> Item:
    if not isinstance(row, Mapping):
        raise ValueError("it must be an object")
    item = Item(**row)
    for field in fields(Item):
        value = getattr(item, field.name)
        kind = _KINDS[str(field.type)]
        if not isinstance(value, kind) or (isinstance(value, bool) and "bool" not in str(field.type)):
            raise ValueError(f"{field.name} is {value!r}")
    if item.label not in (None, 0, 1):
        raise ValueError(f"label is {item.label!r}; it must be 0 or 1")
    if not (item.answer or item.question):
        raise ValueError("it has neither a question nor an answer")
    return item


def write_items(path: str | Path, items: Sequence[Item], note: Mapping[str, Any]) -> None:
    """Write items, and the note beside them: `origin`, `licence`, and what else is known of them."""
    write_text(path, "".join(to_json(item) + "\n" for item in items))
    counts = {"items": len(items), "databases": sorted({item.db_id for item in items if item.db_id})}
    write_json(f"{path}{NOTE}", {**note, **counts})


def read_note(path: str | Path) -> dict[str, Any]:
    """The note beside a file of items. Raises DataError where there is none."""
    try:
        note: dict[str, Any] = parse_json(Path(f"{path}{NOTE}").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}{NOTE}: cannot be read ({error}); re-run the rule that makes it") from error
    return note


def as_row(item: Item) -> dict[str, Any]:
    """An item as plain values."""
    return asdict(item)
