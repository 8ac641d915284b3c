"""The report in a real browser, opened from disk: its front page, and that every table and figure opens and is seen."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Project

pytestmark = pytest.mark.slow
KNOWN = "cdn.tailwindcss.com should not be used in production"
TABLES = [*map(str, range(1, 9)), "thresholds"]
FIGURES = ["4", "5", "forest", "reliability"]
CELLS = {"Claims": "not decidable", "Costs": "judge", "Provenance": "table1"}
ROWS = "nav table tbody tr"


@pytest.fixture(scope="module")
def report(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of a finished run."""
    run = finished.snakemake("--report", "report.zip")
    assert run.code == 0, run.output
    folder = tmp_path_factory.mktemp("report")
    zipfile.ZipFile(finished.folder / "report.zip").extractall(folder)
    (page,) = folder.rglob("report.html")
    return page.as_uri()


@pytest.fixture
def front(report: str, opened: Callable[..., Any]) -> Any:
    """The report's front page."""
    return opened(report, wait="nav >> text=Tables", known=KNOWN, viewport={"width": 1300, "height": 900})


def rows(page: Any, category: str) -> list[str]:
    """Opens a category; what its rows are called."""
    page.click(f"nav >> text={category}")
    page.wait_for_selector(ROWS)
    return [row.locator("td").first.inner_text().strip() for row in page.locator(ROWS).all()]


def test_the_front_page_says_what_was_run(front: Any) -> None:
    text = front.inner_text("#app")
    assert not front.locator("#rulegraph").is_visible()
    assert front.locator("img[alt^='From the dataset']").bounding_box()["width"] > 500
    for said in (
        "The answer of this run",
        "What was run",
        "mini_spider",
        "seed 42",
        "actor (scripted)",
        "tokens",
        "Commit",
        "numpy",
    ):
        assert said in text, said
    assert "System Message" not in text
    assert front.locator("h1", has_text="Reasoning or scale").bounding_box()["y"] >= 0, "the top is in reach"


def test_every_table_opens_and_is_seen(front: Any) -> None:
    assert rows(front, "Tables") == TABLES
    for at, name in enumerate(TABLES):
        front.locator(ROWS).nth(at).locator("a").first.click()
        wanted = "thresholds" if name == "thresholds" else f"table{name}"
        page = front.frame_locator(f"iframe[src$='{wanted}.html']")
        page.locator("h1").wait_for(state="visible")
        assert page.locator("td").first.is_visible()
        assert page.locator("td").count() >= 4, name


@pytest.mark.parametrize(("category", "cell"), [("Claims", "holds"), ("Costs", "judge"), ("Provenance", "table1")])
def test_claims_costs_and_provenance_open_and_are_seen(category: str, cell: str, front: Any) -> None:
    assert rows(front, category) == ["page", "values (csv)"]
    front.locator(ROWS).first.locator("a").first.click()
    page = front.frame_locator("iframe")
    page.locator("h1").wait_for(state="visible")
    assert page.locator("td", has_text=cell).first.is_visible()


def test_every_figure_opens_and_is_drawn(front: Any) -> None:
    assert rows(front, "Figures") == FIGURES
    for at in range(len(FIGURES)):
        front.locator(ROWS).nth(at).locator("a").first.click()
        front.wait_for_function(
            "document.querySelector('img.w-full, #app > div > div:last-child img')?.naturalWidth > 100"
        )


def test_captions_give_numbers_and_settings_of_the_run(front: Any) -> None:
    rows(front, "Tables")
    front.locator(ROWS).first.locator("a").nth(1).click()
    front.wait_for_selector("text=In this run PwAcc")
    text = front.inner_text("#app")
    for said in ("cut at 60 tokens", "200 random weights", "resources/mini_spider/pool.json"):
        assert said in text, said
    assert "System Message" not in text


def test_values_can_be_taken_away(front: Any) -> None:
    rows(front, "Tables")
    front.locator("label", has_text="values (csv)").click()
    link = front.locator(ROWS).first.locator("a").first
    front.wait_for_function(f"document.querySelector('{ROWS} a').getAttribute('download') === 'table1.csv'")
    with front.expect_download() as saved:
        link.click()
    assert Path(saved.value.path()).read_text(encoding="utf-8").startswith("discriminator,")
