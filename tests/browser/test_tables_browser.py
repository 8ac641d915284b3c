"""Tables in a real browser: none scrolls sideways at 1,400 px or on paper, and a phone shows the first value.

Pages of text (answer, claims, costs, provenance) do not scroll sideways on a phone either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from metric_files import filled
from sqljudge.core.files import read_json
from sqljudge.experiments.config import experiments_of, load_config
from sqljudge.report.answer import answer_grid
from sqljudge.report.cells import Results, build_table
from sqljudge.report.claims.evaluate import UNDECIDED, Claim
from sqljudge.report.claims.grid import claims_grid
from sqljudge.report.costs import costs_grid
from sqljudge.report.grid import Grid
from sqljudge.report.provenance import provenance_grid
from sqljudge.report.render import render
from sqljudge.report.specs import SPECS, tables_of
from sqljudge.report.words import About

from tests.report.test_costs import RUN
from tests.report.test_figures_fit import SHAPES, configuration
from tests.report.test_provenance_page import run, sidecar

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAPER_LANDSCAPE = 1032  # pixels of A4 between margins of 12 mm
BEYOND = """() => [...document.querySelectorAll("body *")].filter((each) => !each.closest(".scroll")
  && each.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length"""
TIED = {"at_random": 0.4444, "without_verdict": 0.1111}
WIDER = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth + 1).length"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The addresses of all tables of three configurations, with values in every cell."""
    folder, found = tmp_path_factory.mktemp("tables"), {}
    for shape, names in SHAPES.items():
        config = load_config(configuration(*names))
        experiments = experiments_of(config)
        entries = {**config.generators, **config.discriminators, **config.planners}
        display = {key: entry.label or key for key, entry in entries.items()}
        about = {
            key: About("1.5B", each.responds) for key, each in config.discriminators.items() if not each.is_baseline
        }
        for name, given in tables_of(experiments).items():
            spec, published = SPECS[name], read_json(ROOT / "resources/published.json")
            results = Results(tied(filled(spec, given)), published, display, ("oracle-1",), about)
            file = folder / f"{shape}-{name}.html"
            file.write_text(render(build_table(spec, given, results), "html"), encoding="utf-8")
            found[file.stem] = file.as_uri()
        for grid in grids(experiments, display, about):
            file = folder / f"{shape}-{grid.name}.html"
            file.write_text(grid.render("html"), encoding="utf-8")
            found[file.stem] = file.as_uri()
    return found


def tied(metrics: dict[str, Any]) -> dict[str, Any]:
    """The same metrics, with what equal scores do to each value beside it."""
    more = TIED if "low" in metrics and "high" in metrics else {}
    return {**{key: tied(value) if isinstance(value, dict) else value for key, value in metrics.items()}, **more}


def grids(experiments: dict[str, Any], display: dict[str, str], about: dict[str, About]) -> list[Grid]:
    """The pages of text of a run: its answer, claims, costs and provenance."""
    known = {
        file: one for name, given in tables_of(experiments).items() for file, one in filled(SPECS[name], given).items()
    }
    results = Results(known, {}, display, ("oracle-1",), about)
    answer = answer_grid(experiments["table3"], results, "spider")
    claim = Claim(5, "From 1024 to 2048 tokens PwAcc gains less than 0.4 points", "points", -0.24, 9.38, -31.43, 45.64)
    claims = claims_grid(
        [replace(claim, verdict=UNDECIDED, reason="with 3 deciding questions no p-value can do", p_value=0.75)]
    )
    job = "tree_search / distill-r1-1.5b-fenced / no_schema / stable-code-3b.sample.b512.soft.check.discriminator"
    costs = costs_grid([("search", job, {**RUN, "requests": 123456, "prompt_tokens": 123456789})], {"table1": 1})
    long = {"config": "a375a7674430cb31", "code": "e995eee1ed3efb7f", "tokens": 163776, "seconds": 1449.9}
    models = [run("SmolLM2-135M-Instruct.Q4_1.gguf"), run("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B")]
    made = provenance_grid({"planner_costs": sidecar(**long, dirty=None, runs=models)})
    origin = "Dataset spider; labelled pool resources/spider/pool.json; discriminators one, another; seed 42; no commit"
    return [replace(grid, origin=origin) for grid in (answer, replace(claims, above=answer), costs, made)]


def test_tables_fit_a_screen_a_sheet_and_a_phone(pages: dict[str, str], opened: Callable[..., Any]) -> None:
    wrong = []
    page = None
    for name, address in pages.items():
        page = opened(address, wait="table", viewport={"width": 1400, "height": 900}) if page is None else page
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto(address)
        wrong += [f"{name}: scrolls sideways at 1400"] * bool(page.evaluate(WIDER) or page.evaluate(BEYOND))
        page.emulate_media(media="print")
        page.set_viewport_size({"width": PAPER_LANDSCAPE, "height": 700})
        wrong += [f"{name}: loses columns on paper"] * bool(page.evaluate(WIDER) or page.evaluate(BEYOND))
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 390, "height": 800})
        wrong += [f"{name}: something is wider than a phone"] * bool(page.evaluate(BEYOND))
        wrong += [f"{name}: scrolls sideways at 390"] * bool(page.locator(".cards").count() and page.evaluate(WIDER))
        value = page.locator("td.num").first.bounding_box()
        wrong += [f"{name}: no value is seen at 390"] * (value["x"] + value["width"] > 390)
    assert not wrong, "\n".join(wrong)


def test_a_click_sorts_its_own_part_alone(pages: dict[str, str], opened: Callable[..., Any]) -> None:
    page = opened(pages["paper-table2"], wait="table", viewport={"width": 1400, "height": 900})
    first, second = page.locator("table").nth(0), page.locator("table").nth(1)
    before = second.locator("tbody th.first").all_inner_texts()
    first.locator("th[data-column] button").first.click()
    names = first.locator("tbody").first.locator("th.first").all_inner_texts()
    assert names != before[: len(names)]
    assert second.locator("tbody th.first").all_inner_texts() == before
