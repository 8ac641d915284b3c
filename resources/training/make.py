"""Makes questions.json and tables.json, which trainings learn from, out of schemas.txt and the templates below.

python resources/training/make.py [FOLDER]
"""

from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
QUESTIONS = 60
"""Questions of each database."""

# Wordings, and queries that answer them. {a} is a table, {as} the word for many of it; {aL} the column of its names,
# {al} one of those; {ac} a text column, {av} and {aw} two of its values; {an} a number, {ax} and {ay} values of it;
# {am} another number, {az} a value; {aN}: its names, or a number where it has none. {b}: a table that {a} refers to, by
# {fk}, a column of {a}, and {pk}, its key; {c}: what {b} refers to, by {gk} and {qk}. {op}: a comparison; {most}: an
# extreme; {way}: a direction; {mean}: an aggregate; {k}: a small number.
TEMPLATES: tuple[tuple[str, str], ...] = (
    (
        "How many {as} are there?|Count all {as}.|What is the number of {as}?",
        "SELECT count(*) FROM {a}",
    ),
    (
        "How many {as} have the {ac} {av}?|"
        "Count the {as} whose {ac} is {av}.|What is the number of {as} with {ac} {av}?",
        "SELECT count(*) FROM {a} WHERE {ac} = '{av}'",
    ),
    (
        "How many {as} have {an} {op} {ax}?|Count the {as} with {an} {op} {ax}.",
        "SELECT count(*) FROM {a} WHERE {an} {op} {ax}",
    ),
    (
        "What are the {aL}s of the {as} whose {ac} is {av}?|List the {aL} of every {a} with {ac} {av}.|"
        "Which {as} have the {ac} {av}? Give the {aL}.",
        "SELECT {aL} FROM {a} WHERE {ac} = '{av}'",
    ),
    (
        "Give the {aL} and the {ac} of the {as} with {an} {op} {ax}.|"
        "Which {as} have {an} {op} {ax}? Show {aL} and {ac}.",
        "SELECT {aL} , {ac} FROM {a} WHERE {an} {op} {ax}",
    ),
    (
        "List the {aL}s of all {as} in {way} order of {an}.|Show every {a}'s {aL}, sorted by {an}, {way}.",
        "SELECT {aL} FROM {a} ORDER BY {an} {way}",
    ),
    (
        "Which {a} has the {most} {an}? Give its {aL}.|What is the {aL} of the {a} with the {most} {an}?",
        "SELECT {aL} FROM {a} ORDER BY {an} {most} LIMIT 1",
    ),
    (
        "Among the {as} with {ac} {av}, which has the {most} {an}? Give the {aL}.|"
        "Find the {aL} of the {a} of {ac} {av} whose {an} is {most}.",
        "SELECT {aL} FROM {a} WHERE {ac} = '{av}' ORDER BY {an} {most} LIMIT 1",
    ),
    (
        "What are the {aL}s of the {k} {as} with the {most} {an}?|Show the {k} {as} of {most} {an}, by {aL}.",
        "SELECT {aL} FROM {a} ORDER BY {an} {most} LIMIT {k}",
    ),
    (
        "What is the {mean} {an} of all {as}?|Find the {mean} {an} over the {as}.",
        "SELECT {mean}({an}) FROM {a}",
    ),
    (
        "What is the {mean} {an} of the {as} whose {ac} is {av}?|For {as} with {ac} {av}, what is the {mean} {an}?",
        "SELECT {mean}({an}) FROM {a} WHERE {ac} = '{av}'",
    ),
    (
        "What are the average {an} and the largest {am} of the {as}?|"
        "Show the mean {an} and the maximum {am} of all {as}.",
        "SELECT avg({an}) , max({am}) FROM {a}",
    ),
    (
        "What different values of {ac} do the {as} have?|List each {ac} of the {as} once.",
        "SELECT DISTINCT {ac} FROM {a}",
    ),
    (
        "How many different values of {ac} are there among the {as}?|Count the distinct {ac} entries of the {as}.",
        "SELECT count(DISTINCT {ac}) FROM {a}",
    ),
    (
        "How many {as} are there of each {ac}?|For each {ac}, show how many {as} have it.",
        "SELECT {ac} , count(*) FROM {a} GROUP BY {ac}",
    ),
    (
        "What is the {mean} {an} of the {as} for each {ac}?|Show each {ac} with the {mean} {an} of its {as}.",
        "SELECT {ac} , {mean}({an}) FROM {a} GROUP BY {ac}",
    ),
    (
        "Which {ac} values occur for at least {k} {as}?|Show every {ac} that {k} or more {as} share.",
        "SELECT {ac} FROM {a} GROUP BY {ac} HAVING count(*) >= {k}",
    ),
    (
        "Which {ac} has the most {as}?|What is the most common {ac} of the {as}?",
        "SELECT {ac} FROM {a} GROUP BY {ac} ORDER BY count(*) DESC LIMIT 1",
    ),
    (
        "Which {as} have {an} above the average? Give the {aL}.|"
        "List the {aL} of each {a} whose {an} exceeds the mean {an}.",
        "SELECT {aL} FROM {a} WHERE {an} > (SELECT avg({an}) FROM {a})",
    ),
    (
        "Which {as} have {an} between {ax} and {ay}? Give the {aL}.|"
        "List the {aL} of the {as} with {an} from {ax} to {ay}.",
        "SELECT {aL} FROM {a} WHERE {an} BETWEEN {ax} AND {ay}",
    ),
    (
        "What are the {aL}s of the {as} with {ac} {av} and {an} {op} {ax}?|"
        "Which {as} have the {ac} {av} and also {an} {op} {ax}? Show the {aL}.",
        "SELECT {aL} FROM {a} WHERE {ac} = '{av}' AND {an} {op} {ax}",
    ),
    (
        "What are the {aL}s of the {as} that have the {ac} {av} or {an} {op} {ax}?|"
        "List the {aL} of every {a} with {ac} {av} or with {an} {op} {ax}.",
        "SELECT {aL} FROM {a} WHERE {ac} = '{av}' OR {an} {op} {ax}",
    ),
    (
        "What are the {aL}s of the {as} whose {ac} is not {av}?|Which {as} have another {ac} than {av}? Give the {aL}.",
        "SELECT {aL} FROM {a} WHERE {ac} != '{av}'",
    ),
    (
        "Which {ac} values are found both among {as} with {an} {op} {ax} and among {as} with {am} above {az}?|"
        "Show the {ac} shared by {as} of {an} {op} {ax} and {as} whose {am} is above {az}.",
        "SELECT {ac} FROM {a} WHERE {an} {op} {ax} INTERSECT SELECT {ac} FROM {a} WHERE {am} > {az}",
    ),
    (
        "Which {ac} values do {as} have, but none with {an} {op} {ax}?|"
        "Show each {ac} of the {as} that does not occur where {an} is {op} {ax}.",
        "SELECT {ac} FROM {a} EXCEPT SELECT {ac} FROM {a} WHERE {an} {op} {ax}",
    ),
    (
        "What are the {aN}s of the {as} of the {b} {bl}?|List the {aN} of each {a} that belongs to the {b} {bl}.",
        "SELECT T1.{aN} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T2.{bL} = '{bl}'",
    ),
    (
        "How many {as} does the {b} {bl} have?|Count the {as} of the {b} {bl}.",
        "SELECT count(*) FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T2.{bL} = '{bl}'",
    ),
    (
        "Show the {aN} of each {a} with the {bL} of its {b}.|List all {as} by {aN}, together with their {b}'s {bL}.",
        "SELECT T1.{aN} , T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk}",
    ),
    (
        "How many {as} does each {b} have? Show the {bL} and the number.|"
        "For each {b} with {as}, give its {bL} and how many {as} it has.",
        "SELECT T2.{bL} , count(*) FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} GROUP BY T2.{pk}",
    ),
    (
        "Which {b} has the most {as}? Give its {bL}.|What is the {bL} of the {b} with the largest number of {as}?",
        "SELECT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk}"
        " GROUP BY T2.{pk} ORDER BY count(*) DESC LIMIT 1",
    ),
    (
        "Which {bs} have at least {k} {as}? Give the {bL}.|Show the {bL} of every {b} with {k} or more {as}.",
        "SELECT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} GROUP BY T2.{pk} HAVING count(*) >= {k}",
    ),
    (
        "Which {bs} have no {a}? Give the {bL}.|List the {bL} of each {b} without any {as}.",
        "SELECT {bL} FROM {b} WHERE {pk} NOT IN (SELECT {fk} FROM {a})",
    ),
    (
        "How many {bs} have no {as}?|Count the {bs} without a single {a}.",
        "SELECT count(*) FROM {b} WHERE {pk} NOT IN (SELECT {fk} FROM {a})",
    ),
    (
        "Which {bs} have no {a} with {ac} {av}? Give the {bL}.|Show the {bL} of the {bs} that lack {as} of {ac} {av}.",
        "SELECT {bL} FROM {b} WHERE {pk} NOT IN (SELECT {fk} FROM {a} WHERE {ac} = '{av}')",
    ),
    (
        "Which {bs} have at least one {a} with {ac} {av}? Give each {bL} once.|"
        "Show the distinct {bL} of {bs} that have {as} of {ac} {av}.",
        "SELECT DISTINCT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T1.{ac} = '{av}'",
    ),
    (
        "Which {bs} have a {a} with {an} {op} {ax}? Give the {bL}.|"
        "Show the {bL} of the {bs} with some {a} of {an} {op} {ax}.",
        "SELECT {bL} FROM {b} WHERE {pk} IN (SELECT {fk} FROM {a} WHERE {an} {op} {ax})",
    ),
    (
        "What are the {aN}s of the {as} whose {b} has {bn} {bop} {bx}?|"
        "List the {aN} of every {a} that belongs to a {b} with {bn} {bop} {bx}.",
        "SELECT T1.{aN} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T2.{bn} {bop} {bx}",
    ),
    (
        "How many {as} belong to a {b} whose {bc} is {bv}?|Count the {as} of {bs} with {bc} {bv}.",
        "SELECT count(*) FROM {a} WHERE {fk} IN (SELECT {pk} FROM {b} WHERE {bc} = '{bv}')",
    ),
    (
        "What is the {mean} {an} of the {as} of {bs} with {bc} {bv}?|"
        "For {bs} whose {bc} is {bv}, give the {mean} {an} of their {as}.",
        "SELECT {mean}(T1.{an}) FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T2.{bc} = '{bv}'",
    ),
    (
        "Show each {b}'s {bL} with the {mean} {an} of its {as}.|"
        "What is the {mean} {an} of the {as} of each {b}? Give the {bL} too.",
        "SELECT T2.{bL} , {mean}(T1.{an}) FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} GROUP BY T2.{pk}",
    ),
    (
        "Which {b} has the {a} with the {most} {an}? Give its {bL}.|"
        "What is the {bL} of the {b} whose {a} has the {most} {an} of all?",
        "SELECT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} ORDER BY T1.{an} {most} LIMIT 1",
    ),
    (
        "Which {bs} have both {as} with {ac} {av} and {as} with {ac} {aw}? Give the {bL}.|"
        "Show the {bL} of {bs} that have a {a} of {ac} {av} as well as one of {ac} {aw}.",
        "SELECT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T1.{ac} = '{av}' INTERSECT "
        "SELECT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T1.{ac} = '{aw}'",
    ),
    (
        "Which {bs} have the {bc} {bv} or a {a} with {an} {op} {ax}? Give the {bL}.|"
        "List the {bL} of the {bs} that have {bc} {bv}, or {as} of {an} {op} {ax}.",
        "SELECT {bL} FROM {b} WHERE {bc} = '{bv}' UNION "
        "SELECT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T1.{an} {op} {ax}",
    ),
    (
        "How many different {bs} have {as} with {ac} {av}?|Count the {bs} that have at least one {a} of {ac} {av}.",
        "SELECT count(DISTINCT {fk}) FROM {a} WHERE {ac} = '{av}'",
    ),
    (
        "Which {bs} with {bc} {bv} have the most {as}? Give the {bL} of the first.|"
        "Of the {bs} of {bc} {bv}, which one has most {as}? Show the {bL}.",
        "SELECT T2.{bL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} WHERE T2.{bc} = '{bv}' "
        "GROUP BY T2.{pk} ORDER BY count(*) DESC LIMIT 1",
    ),
    (
        "How many {as} belong to the {c} {cl}?|Count the {as} of all {bs} of the {c} {cl}.",
        "SELECT count(*) FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} JOIN {c} AS T3 ON T2.{gk} = T3.{qk} "
        "WHERE T3.{cL} = '{cl}'",
    ),
    (
        "What is the {mean} {an} of the {as} for each {c}? Show the {cL} too.|"
        "Give each {c}'s {cL} and the {mean} {an} of the {as} of its {bs}.",
        "SELECT T3.{cL} , {mean}(T1.{an}) FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} "
        "JOIN {c} AS T3 ON T2.{gk} = T3.{qk} GROUP BY T3.{qk}",
    ),
    (
        "Which {cs} have {as} with {ac} {av}? Give each {cL} once.|"
        "List, without repeats, the {cL} of {cs} with {as} of {ac} {av}.",
        "SELECT DISTINCT T3.{cL} FROM {a} AS T1 JOIN {b} AS T2 ON T1.{fk} = T2.{pk} "
        "JOIN {c} AS T3 ON T2.{gk} = T3.{qk} WHERE T1.{ac} = '{av}'",
    ),
)
CHOICES: dict[str, tuple[tuple[str, str], ...]] = {
    "op": (("above", ">"), ("of at least", ">="), ("below", "<"), ("of at most", "<=")),
    "most": (("highest", "DESC"), ("largest", "DESC"), ("lowest", "ASC"), ("smallest", "ASC")),
    "way": (("descending", "DESC"), ("falling", "DESC"), ("ascending", "ASC"), ("rising", "ASC")),
    "mean": (("average", "avg"), ("total", "sum"), ("smallest", "min"), ("largest", "max")),
    "k": (("2", "2"), ("3", "3")),
}
"""Words, and what they are in SQL."""


@dataclass
class Table:
    """A table: its name, the word for many of it, its key, and its columns by kind."""

    name: str
    many: str
    key: str
    columns: list[tuple[str, str]] = field(default_factory=list)
    label: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, tuple[int, int]] = field(default_factory=dict)
    refers: dict[str, str] = field(default_factory=dict)


def read_schemas(text: str) -> dict[str, list[Table]]:
    """The databases of schemas.txt, by name."""
    found: dict[str, list[Table]] = {}
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            tables = found.setdefault(line.strip(), [])
            continue
        (name, many), columns = line.strip().partition(": ")[0].split("/"), line.partition(": ")[2].split(", ")
        table = Table(name, many, columns[0], [(columns[0], "number")])
        for column in columns[1:]:
            word, kind, rest = re.match(r"(\w+)([=*#>])(.*)", column).groups()  # type: ignore[union-attr]
            table.columns.append((word, "number" if kind in "#>" else "text"))
            if kind == "#":
                low, high = rest.split("-")
                table.numbers[word] = (int(low), int(high))
            elif kind == ">":
                table.refers[word] = rest
            else:
                table.values[word] = rest.split("|")
                table.label = word if kind == "*" else table.label
        tables.append(table)
    return found


def spider_form(name: str, tables: list[Table]) -> dict[str, Any]:
    """A schema as an entry of Spider's tables.json."""
    columns = [(i, column, kind) for i, table in enumerate(tables) for column, kind in table.columns]
    place = {(i, column): number for number, (i, column, _) in enumerate(columns, 1)}
    of = {table.name: i for i, table in enumerate(tables)}
    names = [[-1, "*"], *([i, column] for i, column, _ in columns)]
    return {
        "db_id": name,
        "table_names": [table.name.replace("_", " ") for table in tables],
        "table_names_original": [table.name for table in tables],
        "column_names": [[i, column.replace("_", " ")] for i, column in names],
        "column_names_original": names,
        "column_types": ["text", *(kind for _, _, kind in columns)],
        "primary_keys": [place[i, table.key] for i, table in enumerate(tables)],
        "foreign_keys": [
            [place[i, column], place[of[other], tables[of[other]].key]]
            for i, table in enumerate(tables)
            for column, other in table.refers.items()
        ],
    }


def slots(draw: random.Random, tables: list[Table]) -> dict[str, tuple[str, str]]:
    """What a draw of tables, columns and values puts into a template: for each slot, words and SQL."""
    found = {name: draw.choice(choices) for name, choices in CHOICES.items()}
    found["bop"] = draw.choice(CHOICES["op"])
    by_name = {table.name: table for table in tables}
    first = draw.choice(tables)
    chain, links = [first], (("fk", "pk"), ("gk", "qk"))
    while chain[-1].refers and len(chain) < 3:
        column, other = draw.choice(sorted(chain[-1].refers.items()))
        found |= {links[len(chain) - 1][0]: ("", column), links[len(chain) - 1][1]: ("", by_name[other].key)}
        chain.append(by_name[other])
    for letter, table in zip("abc", chain, strict=False):
        texts = [column for column in table.values if column != table.label]
        numbers = draw.sample(sorted(table.numbers), len(table.numbers))
        own = {"": table.name, "s": table.many}
        if table.label:
            own |= {"L": table.label, "l": draw.choice(table.values[table.label])}
        if texts:
            own["c"] = draw.choice(texts)
            own["v"], own["w"] = draw.sample(table.values[own["c"]], 2)
        if numbers:
            low, high = table.numbers[numbers[0]]
            one, two = sorted(draw.sample(range(low, high + 1), 2))
            own |= {"n": numbers[0], "x": str(one), "y": str(two)}
        if len(numbers) > 1:
            own |= {"m": numbers[1], "z": str(draw.randint(*table.numbers[numbers[1]]))}
        own["N"] = own.get("L") or own.get("n", "")
        found |= {letter + slot: (value.replace("_", " "), value) for slot, value in own.items() if value}
    return found


def questions_of(name: str, tables: list[Table], count: int) -> list[dict[str, str]]:
    """Questions of a database: templates in turn, from a start that the database's name decides, no question twice."""
    draw = random.Random(name)
    order = draw.sample(range(len(TEMPLATES)), len(TEMPLATES))
    made: dict[str, dict[str, str]] = {}
    place = 0
    while len(made) < count:
        wordings, query = TEMPLATES[order[place % len(order)]]
        place += 1
        wording = draw.choice(wordings.split("|"))
        needed = set(re.findall(r"{(\w+)}", wording + query))
        filled = next((s for s in (slots(draw, tables) for _ in range(50)) if needed <= s.keys()), None)
        if filled is None:
            continue
        said = wording.format(**{slot: words for slot, (words, _) in filled.items()})
        said = re.sub(r"\b([Aa])(?= [aeio])", r"\1n", re.sub(r"ss\b(?=s?\b)", "s", said))
        sql = query.format(**{slot: written for slot, (_, written) in filled.items()})
        made.setdefault(said, {"db_id": name, "question": said, "query": sql})
    return list(made.values())


def main(folder: Path) -> None:
    """Write both files."""
    schemas = read_schemas((HERE / "schemas.txt").read_text(encoding="utf-8"))
    questions = [row for name, tables in schemas.items() for row in questions_of(name, tables, QUESTIONS)]
    for file, rows in (
        ("questions.json", questions),
        ("tables.json", [spider_form(*each) for each in schemas.items()]),
    ):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / file).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
