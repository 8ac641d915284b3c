"""What is written from the configuration's types: the page that explains every key, and JSON schemas for editors.

`python -m sqljudge docs > config/README.md` writes the page, `python -m sqljudge docs --schemas` the schemas; a test
compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from sqljudge.experiments.config import KEYS, ROOT, TABLES, Config
from sqljudge.experiments.parts import ModelRow, Part

INTRODUCTION = """\
# Configuration

`config.yaml` is the paper's configuration; `demo.yaml` overrides what the embedded default needs. Give your own file
with `snakemake --configfile mine.yaml`: it is laid over `config.yaml`: mappings merge key by key, lists are replaced.
A single key can be set on the command line: `--config seed=7`. An unknown key or value stops the run before anything is
made, and names the nearest that exists. Paths are looked for below the working directory, then below this project.

Prompts are text files under `prompts/`: the request, a line `=== answer ===`, and the opening of the model's answer.
`${question}`, `${schema}`, `${db_id}`, `${sql}` and `${knowledge}` (what a dataset adds to a question, BIRD's evidence;
"none" where there is none) are filled in, and in a context the `extras` that it lists: `${result}`,
`${demonstrations}`. Put another wording in their place by naming another file under `contexts` or `generators`; what
was asked with the old wording stays in the journal.

This page is written from `workflow/sqljudge/experiments/parts.py` and `config.py` by `python -m sqljudge docs`, the
JSON schemas in `workflow/schemas/`, by which editors check a configuration, by `python -m sqljudge docs --schemas`.
"""


class _Untitled(GenerateJsonSchema):
    """JSON schemas without titles that only repeat a key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema(model: type[Part]) -> dict[str, Any]:
    """The JSON schema of a part of the configuration."""
    return model.model_json_schema(by_alias=True, schema_generator=_Untitled)


def schema_files() -> dict[str, str]:
    """The files of `workflow/schemas`, by name."""
    written = {"config.schema.json": schema(Config), "models.schema.json": schema(ModelRow)}
    return {name: json.dumps(found, indent=1, ensure_ascii=False) + "\n" for name, found in written.items()}


def _value(part: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if "enum" in part or "const" in part:
        return " or ".join(f"`{value}`" for value in part.get("enum") or [part["const"]])
    if part.get("type") == "array":
        return f"list of {_value(part['items'])}"
    limits = (("minimum", "at least"), ("exclusiveMinimum", "more than"), ("maximum", "at most"))
    return " ".join([part.get("type", "mapping"), *(f"{words} {part[key]}" for key, words in limits if key in part)])


def _rows(part: Mapping[str, Any], types: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A row for each key of a part, and below it those of the parts that it holds; `types`: the schema's own."""

    def resolved(entry: Mapping[str, Any]) -> dict[str, Any]:
        plain = next((one for one in entry.get("anyOf", ()) if one.get("type") != "null"), entry)
        return {**types.get(plain.get("$ref", "").rpartition("/")[2], {}), **plain, **entry}

    for key, entry in part["properties"].items():
        entry, name = resolved(entry), f"{prefix}{key}"
        held = [(f"{name}.", entry)] if "properties" in entry else []
        for one in entry.get("patternProperties", {}).values():
            held += [(f"{name}.NAME.", resolved(each)) for each in one.get("oneOf", [one])]
        default = "" if held or entry.get("default") is None else f"`{json.dumps(entry['default'])}`"
        text = " ".join(entry.get("description", "").split())
        yield f"| `{name}` | {'mapping' if held else _value(entry)} | {default} | {text} |"
        for below, inner in held:
            yield from _rows(inner, types, below)


def _table(head: str, rows: Iterable[str]) -> list[str]:
    return [f"| {head} |", "|---" * (head.count("|") + 1) + "|", *rows, ""]


def page() -> str:
    """The whole page, as Markdown."""
    whole = schema(Config)
    types, keys = whole["$defs"], whole["properties"]
    experiments = types[keys.pop("experiments")["$ref"].rpartition("/")[2]]
    given = {key: entry for table in TABLES for key, entry in types[table]["properties"].items()}
    settings = {key: given[key] for key in KEYS if key in given and key.removesuffix("s") not in {*given} - {key}}
    tables = (
        f"| `{name}` | {', '.join(table.settings)} | {', '.join(table.optional)} | {table.description} |"
        for name, table in TABLES.items()
    )
    lines = [INTRODUCTION, "## Keys of the configuration\n"]
    lines += _table("key | value | default | meaning", _rows(whole, types))
    lines += ["## Experiments\n", f"{experiments['description']} A setting in the plural is a list.\n"]
    lines += _table("table | settings | may have | what it shows", tables)
    lines += _table("setting | value | default | meaning", _rows({"properties": settings}, types))
    lines += ["## Columns of the models table\n", "Cells are separated by tabs.\n"]
    lines += _table("column | value | default | meaning", _rows(schema(ModelRow), {}))
    return "\n".join(lines)


def main(arguments: Sequence[str] = ()) -> None:
    """Print the page, or write the schemas."""
    if "--schemas" not in arguments:
        print(page(), end="")
        return
    for name, text in schema_files().items():
        (ROOT / "workflow/schemas" / name).write_text(text, encoding="utf-8")
