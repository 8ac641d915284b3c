"""Tables in a real browser: none scrolls sideways at 1,400 px or on paper, and a phone shows the first value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from metric_files import filled
from sqljudge.core.records import read_json
from sqljudge.experiments.config import experiments_of, load_config
from sqljudge.report.cells import Results, build_table
from sqljudge.report.render import render
from sqljudge.report.specs import SPECS
from sqljudge.report.words import About

from tests.report.test_figures_fit import SHAPES, configuration

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAPER_LANDSCAPE = 1032  # pixels of A4 between margins of 12 mm
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
        for name, spec in SPECS.items():
            published = read_json(ROOT / "resources/published.json")
            given = experiments[spec.source]
            results = Results(filled(spec, given), published, display, ("oracle-1",), about)
            file = folder / f"{shape}-{name}.html"
            file.write_text(render(build_table(spec, given, results), "html"), encoding="utf-8")
            found[file.stem] = file.as_uri()
    return found


def test_tables_fit_a_screen_a_sheet_and_a_phone(pages: dict[str, str], opened: Callable[..., Any]) -> None:
    wrong = []
    page = None
    for name, address in pages.items():
        page = opened(address, wait="table", viewport={"width": 1400, "height": 900}) if page is None else page
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto(address)
        wrong += [f"{name}: scrolls sideways at 1400"] * bool(page.evaluate(WIDER))
        page.emulate_media(media="print")
        page.set_viewport_size({"width": PAPER_LANDSCAPE, "height": 700})
        wrong += [f"{name}: loses columns on paper"] * bool(page.evaluate(WIDER))
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 390, "height": 800})
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
