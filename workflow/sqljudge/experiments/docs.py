"""The page that explains every key of the configuration, written from the schemas. Knows schemas only.

`python -m sqljudge docs > config/README.md` writes it; a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqljudge.experiments.config import schema

INTRODUCTION = """\
# Configuration

`config.yaml` is the paper's configuration; `demo.yaml` overrides what the embedded default needs. Give your own file
with `snakemake --configfile mine.yaml`: it is laid over `config.yaml`: mappings merge key by key, lists are replaced.
A single key can be set on the command line: `--config seed=7`. An unknown key or value stops the run before anything is
made, and names the nearest that exists. Paths are looked for below the working directory, then below this project.

Prompts are text files under `prompts/`: the request, a line `=== answer ===`, and the opening of the model's answer.
`${question}`, `${schema}`, `${db_id}`, `${sql}` and `${knowledge}` (what a dataset adds to a question, BIRD's evidence;
"none" where there is none) are filled in, and in a context the `evidence` that it lists: `${result}`,
`${demonstrations}`. Put another wording in their place by naming another file under `contexts` or `generators`; what
was asked with the old wording stays in the journal.

This page is written from `workflow/schemas/` by `python -m sqljudge docs`.
"""


def _kind(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return " or ".join(f"`{value}`" for value in part["enum"])
    if part.get("type") == "array":
        inner = part.get("items", {})
        return f"list of {_kind(inner)}" if "$ref" not in inner else "list"
    limits = [
        f"{words} {part[key]}"
        for key, words in (("minimum", "at least"), ("exclusiveMinimum", "more than"))
        if key in part
    ]
    return " ".join([str(part.get("type", "value")), *limits])


def _resolved(part: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref", "")
    if reference.startswith("#/$defs/"):
        found: Mapping[str, Any] = {**root["$defs"][reference.removeprefix("#/$defs/")], **part}
        return found
    return part


def _rows(part: Mapping[str, Any], root: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, entry in part.get("properties", {}).items():
        entry = _resolved(entry, root)
        name = f"{prefix}{key}"
        if "$ref" in entry and not entry["$ref"].startswith("#"):
            continue
        nested = "properties" in entry or isinstance(entry.get("additionalProperties"), dict)
        default = entry.get("default")
        shown = "" if default is None or nested else f"`{json.dumps(default)}`"
        kind = "mapping" if nested else _kind(entry)
        yield f"| `{name}` | {kind} | {shown} | {entry.get('description', '')} |"
        yield from _rows(entry, root, f"{name}.")
        if isinstance(entry.get("additionalProperties"), dict):
            yield from _rows(entry["additionalProperties"], root, f"{name}.NAME.")


def _table(root: Mapping[str, Any], prefix: str = "") -> str:
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *_rows(root, root, prefix)])


def page() -> str:
    """The whole page, as Markdown."""
    models = "\n".join(
        f"| `{name}` | {_kind(part)} | {part.get('description', '')} |"
        for name, part in schema("models")["properties"].items()
    )
    return "\n".join(
        [
            INTRODUCTION,
            "## Keys of the configuration\n",
            _table(schema("config")),
            "\n## Experiments\n",
            schema("experiments")["description"] + "\n",
            _table(schema("experiments"), "experiments."),
            "\n## Columns of the models table\n",
            "Cells are separated by tabs.\n",
            "| column | value | meaning |\n|---|---|---|",
            models,
            "",
        ]
    )


def main(_arguments: Sequence[str] = ()) -> None:
    """Print the page."""
    print(page(), end="")
