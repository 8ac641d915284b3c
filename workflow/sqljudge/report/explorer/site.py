"""Writes the explorer's folder: its page, and the data as scripts that the page loads when it needs them.

A page that is opened from disk may not fetch files, but may load scripts; so each data file is one call with JSON.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqljudge.core.files import write_text
from sqljudge.core.provenance import made_line
from sqljudge.report.explorer.read import gold_results, read_run
from sqljudge.report.explorer.show import Page, question_pages, summary
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.echoes import DIVIDER, read_text
from sqljudge.stages.score import Rules

log = logging.getLogger(__name__)

PAGE = "index.html"
TEMPLATES = Path(__file__).parent / "templates"
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def as_script(kind: str, key: str, value: Any) -> str:
    """A value as a script that hands it to the page.

    ASCII only, half surrogate pairs included, and without <, > and &: whatever the value's texts say, the file holds
    one call and its data. Raises ValueError for a number that JSON does not have.
    """
    arguments = (json.dumps(part, allow_nan=False, separators=(",", ":")) for part in (kind, key, value))
    return f"explorer.register({','.join(arguments)});\n".translate(_UNSAFE)


def write_site(folder: Path, overview: Mapping[str, Any], pages: Iterable[Page]) -> int:
    """Write the explorer into a folder, over one that is there; returns the number of questions.

    `overview`: of the run, see `summary`. `data/index.js` holds what lists, filters and the search need; each question
    has one file of its own below `data/questions`, and one below `data/responses` with the responses.
    """
    for old in ("assets", "data"):
        shutil.rmtree(folder / old, ignore_errors=True)
    lines = []
    for page in pages:
        write_text(folder / "data/questions" / f"{page.key}.js", as_script("question", page.key, page.data))
        write_text(folder / "data/responses" / f"{page.key}.js", as_script("responses", page.key, page.responses))
        lines.append(page.line)
    write_text(folder / "data/index.js", as_script("index", "", {**overview, "questions": lines}))
    for part in TEMPLATES.iterdir():
        place = folder if part.name == PAGE else folder / "assets"
        write_text(place / part.name, part.read_text(encoding="utf-8"))
    return len(lines)


def shown_prompt(discriminator: str, context: str, file: str, prompt_format: str) -> dict[str, str]:
    """The template that a discriminator is asked with in a context, for the page to fill."""
    user, _, opening = read_text(file).partition(f"\n{DIVIDER}\n")
    parts = {"user": user, "opening": opening.removesuffix("\n"), "format": prompt_format}
    return {"discriminator": discriminator, "context": context, **parts}


def write_explorer(
    *,
    page: str,
    assets: str,
    data: str,
    databases: str,
    display: Mapping[str, str],
    levels: Sequence[str],
    limits: Mapping[str, Any],
    prompts: Sequence[tuple[str, str, str, str]],
    verdicts: str,
    subject: str,
    workers: int = 1,
    **files: Sequence[str],
) -> None:
    """Make the explorer of a run: its `page`, and beside it the folders `assets` and `data`.

    `files`: by kind, as `explorer_inputs` names them. `display`: what to call planners, generators and discriminators.
    `levels`: of hardness, in order. `limits`: of a query, see `Limits`. `prompts`: of each discriminator and
    context the template file and how it is framed; `verdicts`: how responses are read, see `Rules`. `subject`: what
    all is of.
    """
    rules = {(who, context): Rules(verdicts, read_text(prompt)) for who, context, prompt, _ in prompts}
    run = replace(read_run(files), rules=rules)
    golds = gold_results(run.questions, Path(databases), workers=workers, limits=Limits(**limits))
    overview = {**summary(run, display, levels), "about": made_line(subject)}
    overview["prompts"] = [shown_prompt(*each) for each in prompts]
    count = write_site(Path(page).parent, overview, question_pages(run, golds))
    log.info("%d questions; open %s", count, page)
