"""The paper's eight claims: the published figure, ours, an interval, a test and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from sqljudge.core.files import read_json
from sqljudge.core.provenance import made_line
from sqljudge.report.answer import TABLE, answer_grid
from sqljudge.report.cells import Results, all_files
from sqljudge.report.claims.evaluate import Claim, evaluate_claims
from sqljudge.report.claims.grid import claims_grid, claims_summary
from sqljudge.report.claims.statements import ROLES
from sqljudge.report.specs import experiment_from
from sqljudge.report.words import About
from sqljudge.report.write import Beside, write_beside

__all__ = ["ROLES", "Claim", "claims_grid", "claims_summary", "evaluate_claims", "write_claims"]


def write_claims(
    metrics: Sequence[str],
    runs: Sequence[str],
    published: str,
    *,
    html: str,
    csv: str,
    md: str,
    tex: str,
    experiments: Mapping[str, Mapping[str, Any]],
    roles: Mapping[str, Any],
    display: Mapping[str, str],
    uses_gold: Sequence[str],
    about: Mapping[str, Sequence[Any]],
    dataset: str,
    resamples: int,
    subject: str,
    **beside: Unpack[Beside],
) -> None:
    """Write the claims, below the answer, in four formats.

    `metrics`: in the order of `all_files` of the experiments. `uses_gold`, `about`: as in `write_table`.
    """
    given = {name: experiment_from(settings) for name, settings in experiments.items()}
    names = all_files(given)
    known = dict(zip(names, map(read_json, metrics), strict=True))
    claims = evaluate_claims(
        known, read_json(published), roles, display=display, seed=beside["seed"], resamples=resamples
    )
    grid = replace(claims_grid(claims, roles, display), origin=made_line(subject))
    if TABLE in given:
        results = Results(known, {}, display, uses_gold, {who: About(*said) for who, said in about.items()})
        grid = replace(grid, above=answer_grid(given[TABLE], results, dataset))
    grid.write(html=html, csv=csv, md=md, tex=tex)
    write_beside(
        claims_summary(claims),
        inputs=[*metrics, published],
        runs=runs,
        settings={"roles": roles, "resamples": resamples},
        **beside,
    )
