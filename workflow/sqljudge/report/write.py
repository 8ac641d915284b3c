"""Writes a table and what stands beside every result: what made it, and what it says. Knows files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from sqljudge.core import provenance
from sqljudge.core.files import read_json, write_json, write_text
from sqljudge.core.variants import Experiment
from sqljudge.report import notes
from sqljudge.report.cells import Results, build_table, files
from sqljudge.report.render import write_formats
from sqljudge.report.specs import SPECS, TableSpec, experiment_from
from sqljudge.report.words import About


class Beside(TypedDict):
    """What stands beside every result: two files, and what a sidecar says of the run.

    `sidecar`, `findings`: their paths. `configuration`: which one was run. `code`: the digest of what made the result.
    """

    sidecar: str
    findings: str
    configuration: Mapping[str, str]
    seed: int
    code: str


def write_table(
    metrics: Sequence[str],
    runs: Sequence[str],
    published: str,
    *,
    html: str,
    csv: str,
    md: str,
    tex: str,
    name: str,
    experiment: Mapping[str, Any],
    display: Mapping[str, str],
    uses_gold: Sequence[str],
    about: Mapping[str, Sequence[Any]],
    question_ids: str,
    subject: str,
    **beside: Unpack[Beside],
) -> None:
    """Write a table in four formats.

    `metrics`: in the order of `files`. `experiment`: its fields as builtins. `runs`: what the model jobs behind it
    recorded of themselves. `uses_gold`: the baselines that look at the gold query. `about`: by discriminator, the
    fields of `words.About`. `question_ids`: the list of questions; "" for a sample. `subject`: what it is of.
    """
    spec, given = SPECS[name], experiment_from(experiment)
    table = build_table(spec, given, read_results(spec, given, metrics, published, display, uses_gold, about))
    origin = provenance.made_line(subject)
    table = replace(table, notes=(*table.notes, *notes.listed(question_ids)), origin=origin)
    write_formats(table, html=html, csv=csv, md=md, tex=tex)
    write_beside(notes.findings(table), inputs=[*metrics, published], runs=runs, settings={name: experiment}, **beside)


def read_results(
    spec: TableSpec,
    experiment: Experiment,
    metrics: Sequence[str],
    published: str,
    display: Mapping[str, str],
    uses_gold: Sequence[str],
    about: Mapping[str, Sequence[Any]],
) -> Results:
    """Read what a table and its figures are made of; `metrics` in the order of `files`, whatever stands before them."""
    read = dict(zip(files(spec, experiment), map(read_json, metrics), strict=True))
    return Results(read, read_json(published), display, uses_gold, {who: About(*said) for who, said in about.items()})


def write_beside(
    text: str, *, inputs: Sequence[str], runs: Sequence[str], settings: Any, **beside: Unpack[Beside]
) -> None:
    """Write what made a result, and what it says, in reStructuredText; a paragraph tells if the tree was dirty."""
    made = provenance.sidecar(
        inputs=inputs,
        settings=settings,
        configuration=beside["configuration"],
        code=beside["code"],
        seed=beside["seed"],
        runs=[read_json(path) for path in runs],
    )
    write_json(beside["sidecar"], made)
    write_text(beside["findings"], provenance.with_tree(text, made))
