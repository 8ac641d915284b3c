"""The explorer in a real browser, opened from disk: what it shows, how it filters, and that no text in it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic import HOSTILE, synthetic, write_synthetic

pytestmark = pytest.mark.slow
QUESTIONS, DISCRIMINATORS = 40, 3
SHOWN = "#list li:not([hidden])"


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a small explorer."""
    return write_synthetic(tmp_path_factory.mktemp("plain"), synthetic(QUESTIONS, DISCRIMINATORS))


def count(page: Any) -> int:
    """How many questions the list shows, which is also what the page says."""
    shown = int(page.locator(SHOWN).count())
    assert page.locator("#count").inner_text().startswith(f"{shown} of ")
    return shown


def heading(page: Any) -> str:
    return str(page.locator("h2").inner_text())


def wait_for_heading(page: Any, number: int) -> None:
    page.wait_for_function("(n) => document.querySelector('h2')?.textContent.includes(`number ${n} of`)", arg=number)


def unfold(page: Any) -> None:
    """Open every fold, those that appear in another included."""
    page.wait_for_selector(".judgment")
    for _ in range(4):
        page.evaluate("document.querySelectorAll('main details').forEach((fold) => { fold.open = true; })")
        page.wait_for_timeout(50)
    assert page.locator(".thought[open]").count() > 0


def choose(page: Any, control: str, value: str) -> None:
    page.select_option(f"#{control}", value)
    page.wait_for_function(
        "([name, value]) => new URLSearchParams(location.hash.slice(1)).get(name) === value", arg=[control, value]
    )
    page.wait_for_timeout(30)


def test_a_question_shows_all_that_was_made_of_it(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    page.wait_for_selector(".judgment")
    assert count(page) == QUESTIONS
    titles = page.locator("main h3").all_inner_texts()
    assert titles == ["Gold query", "Candidates", "What each planner chose", "Scores and responses"]
    sql = page.locator(".candidate pre.sql").all_inner_texts()
    assert sql == ["SELECT wrong ;", "SELECT right ;", "SELECT broken ;"]
    assert page.locator("main > section pre.sql").first.inner_text().startswith("SELECT gold_0")
    assert page.locator(".candidate.right .rows tbody tr").count() == 5
    assert "no such table: gone" in page.locator(".candidate").nth(2).inner_text()
    for table in page.locator("main table").all():
        if table.is_visible():
            assert table.bounding_box()["height"] > 20
    assert page.locator("main table:visible").count() == 5, "gold, two candidates, choices, the first discriminator"
    page.locator(".discriminator > summary").nth(2).click()
    page.locator(".discriminator").nth(2).locator("table").wait_for(state="visible")


def test_a_response_is_folded_and_marked(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    page.locator(".judgment > summary").first.click()
    response = page.locator(".judgment").first
    assert response.locator(".readings li").all_inner_texts() == ["20: no verdict", "60: true, p 0.905, token 49"]
    verdict = response.locator("mark.verdict")
    assert verdict.inner_text() == "true p 0.905"
    assert "Verdict token 49" in verdict.get_attribute("title")
    assert not response.locator(".cut").is_visible()
    response.locator(".thought > summary").click()
    assert response.locator(".cut").inner_text() == "cut at 20"
    before = response.evaluate("fold => fold.querySelector('.cut').previousSibling.textContent.length")
    assert before == 20 * 48, "the text of the first twenty tokens stands before the mark"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"hardness": "easy"}, 10),
        ({"db": "db_3"}, 2),
        ({"discriminator": "judge-1"}, 40),
        ({"discriminator": "-", "outcome": "wrong"}, 10),
        ({"discriminator": "judge-1", "outcome": "right"}, 26),
        ({"discriminator": "judge-1", "outcome": "wrong"}, 14),
        ({"discriminator": "judge-1", "outcome": "rescued"}, 6),
        ({"discriminator": "judge-1", "outcome": "broken"}, 10),
        ({"discriminator": "judge-1", "outcome": "no_verdict"}, 0),
        ({"discriminator": "judge-0", "outcome": "no_verdict"}, 40),
        (
            {
                "discriminator": "judge-0",
                "setting": "rerank/judge-0/plain/writer.sample.b60.soft.naive",
                "outcome": "no_verdict",
            },
            0,
        ),
        ({"outcome": "some_no_verdict"}, 40),
        ({"hardness": "hard", "discriminator": "judge-1", "outcome": "broken"}, 3),
    ],
)
def test_filters_narrow_the_list(chosen: dict[str, str], expected: int, plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    for control, value in chosen.items():
        choose(page, control, value)
    assert count(page) == expected
    page.locator("button[type=reset]").click()
    page.wait_for_function(f"() => document.querySelectorAll('{SHOWN}').length === {QUESTIONS}")


def test_all_questions_as_a_table_with_the_outcomes_of_discriminators_in_columns(
    plain: str, opened: Callable[..., Any]
) -> None:
    page = opened(plain)
    page.click("#table")
    page.wait_for_selector(".overview")
    heads = page.locator(".overview thead th").all_inner_texts()
    assert [head.split()[0] for head in heads] == [
        "#",
        "Database",
        "Hardness",
        "Question",
        "none",
        "Judge",
        "Judge",
        "Judge",
    ]
    rows = page.locator(".overview tbody tr")
    assert rows.count() == QUESTIONS
    page.locator(".overview thead button").nth(6).click()
    assert "right" in rows.first.locator("td").nth(6).inner_text()
    page.locator(".overview thead button").nth(6).click()
    assert "wrong" in rows.first.locator("td").nth(6).inner_text()
    choose(page, "discriminator", "judge-0")
    page.wait_for_function("() => document.querySelectorAll('.overview thead th').length === 6")
    rows.first.locator("a").click()
    page.wait_for_selector(".judgment")


def test_an_address_names_its_view_and_counts_what_a_cell_counts(plain: str, opened: Callable[..., Any]) -> None:
    """Names, not positions, so that an address means the same when settings are added."""
    view = "q=table&discriminator=judge-1&setting=rerank/judge-1/plain/writer.sample.b20.soft.naive&outcome=right"
    page = opened(f"{plain}#{view}", wait=".overview")
    assert page.locator(".overview tbody tr").count() == count(page) == 26
    assert page.input_value("#setting").endswith("b20.soft.naive")


def test_the_page_says_what_was_run_and_shows_the_prompts_that_were_sent(
    plain: str, opened: Callable[..., Any]
) -> None:
    page = opened(plain)
    page.wait_for_selector(".judgment")
    assert page.locator("#run").inner_text().startswith("a run that never was")
    page.locator(".prompt > summary").first.click()
    page.wait_for_selector(".prompt pre")
    sent = page.locator(".prompt pre").first.inner_text()
    assert sent.startswith("Is SELECT wrong ; right for What is number 0 of the long list")
    assert "It costs $1. ${result}" in sent
    assert "Answer:" in sent
    assert "in the model's chat template" in page.locator(".prompt p").first.inner_text()


def test_no_box_scrolls_up_and_down_within_the_question(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    page.wait_for_selector(".judgment")
    inner = (
        "[...document.querySelectorAll('main .scroll')].filter((box) => box.scrollHeight > box.clientHeight + 1).length"
    )
    assert page.evaluate(inner) == 0
    assert page.locator(".choices tbody tr").count() > 3


def test_a_discriminator_shows_its_own_scores_only(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    choose(page, "discriminator", "judge-2")
    page.wait_for_function("() => document.querySelectorAll('.discriminator').length === 1")
    assert "Judge 2" in page.locator(".discriminator").inner_text()
    assert page.locator(".choices tbody tr").count() == 1


def test_the_search_reads_questions_sql_and_messages(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    for words, expected in (("number 7 of", 4), ("gold_12", 1), ("GONE table", 40), ("nowhere", 0)):
        page.fill("#s", words)
        page.wait_for_function("(s) => new URLSearchParams(location.hash.slice(1)).get('s') === s", arg=words)
        page.wait_for_timeout(30)
        assert count(page) == expected, words


def test_the_search_reads_responses_when_asked(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    page.fill("#s", "think")
    page.wait_for_function(f"() => document.querySelectorAll('{SHOWN}').length === 0")
    page.check("#r")
    page.wait_for_function(f"() => document.querySelectorAll('{SHOWN}').length === {QUESTIONS}")
    assert count(page) == QUESTIONS


def test_an_address_holds_the_whole_state(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    choose(page, "hardness", "hard")
    choose(page, "discriminator", "judge-1")
    choose(page, "outcome", "right")
    page.locator(SHOWN).nth(2).locator("a").click()
    wait_for_heading(page, 14)
    link = page.locator("#link").evaluate("link => link.href")
    assert link == page.url
    other = opened(link)
    wait_for_heading(other, 14)
    assert count(other) == count(page)
    values = [other.locator(f"#{name}").input_value() for name in ("hardness", "discriminator", "outcome")]
    assert values == ["hard", "judge-1", "right"]
    page.go_back()
    wait_for_heading(page, 0)


def test_an_address_names_no_file(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain + "#q=../../explorer/assets/loading", wait="main p")
    page.wait_for_function("() => document.querySelector('main').textContent.includes('no such question')")
    assert count(page) == QUESTIONS


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, opened: Callable[..., Any]) -> None:
    address = write_synthetic(tmp_path, synthetic(2, 1))
    (tmp_path / "data/responses/set-0.js").unlink()
    (tmp_path / "data/questions/set-1.js").unlink()
    page = opened(address, allow=True)
    page.wait_for_function("() => document.querySelector('.judgments').textContent.includes('set-0.js cannot be read')")
    page.locator(SHOWN).nth(1).locator("a").click()
    page.wait_for_function("() => document.querySelector('main').textContent.includes('set-1.js cannot be read')")


def test_keys_move_between_questions(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    for key, number in (("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        wait_for_heading(page, number)
    choose(page, "hardness", "hard")
    page.locator("h2").click()
    page.keyboard.press("j")
    wait_for_heading(page, 2)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "s"
    page.keyboard.type("jk")
    assert page.locator("#s").input_value() == "jk", "letters are letters while one types"
    page.fill("#s", "")
    page.wait_for_function(f"() => document.querySelectorAll('{SHOWN}').length === 10")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('#list') !== null")
    page.keyboard.press("ArrowDown")
    wait_for_heading(page, 6)
    assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "page"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "focus can be seen"


def test_all_can_be_reached_by_tab(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain)
    page.wait_for_selector(".judgment")
    page.locator("#skip").focus()
    seen = set()
    for _ in range(30):
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        page.keyboard.press("Tab")
    assert {"skip", "s", "r", "hardness", "db", "discriminator", "setting", "outcome", "link", "SUMMARY"} <= seen
    names = "[...document.querySelectorAll('input, select')].every((each) => each.labels.length === 1)"
    assert page.evaluate(names), "every control has a label"
    assert page.evaluate("['main', 'nav', 'header', 'aside'].every((name) => document.querySelector(name))")


def test_a_narrow_screen_scrolls_one_way_only(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain, viewport={"width": 380, "height": 700})
    page.wait_for_selector(".judgment")
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert page.locator("h2").bounding_box()["width"] <= 380
    page.evaluate("scrollTo(0, 0)")
    page.locator(SHOWN).nth(1).locator("a").click()
    wait_for_heading(page, 1)
    assert page.locator("h2").bounding_box()["y"] < 200, "the question comes into view"


def luminance(colour: str) -> float:
    """Relative luminance of rgb(r, g, b) (WCAG 2)."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_can_be_read(scheme: str, plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain, color_scheme=scheme)
    page.locator(".judgment > summary").first.click()
    page.locator(".thought > summary").first.click()
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper < 0.05) if scheme == "dark" else (paper > 0.9)
    colours = page.evaluate(
        """() => {
          const clear = "rgba(0, 0, 0, 0)";
          const style = (each) => getComputedStyle(each);
          const ground = (each) => (style(each).backgroundColor === clear ? ground(each.parentElement) : style(each));
          const words = "h2, .soft, .badge, .tag, .cut, mark, .score, .failed, a, kbd";
          return [...document.querySelectorAll(words)].map((each) =>
            [each.className || each.tagName, style(each).color, ground(each).backgroundColor]);
        }"""
    )
    assert len(colours) > 50
    for name, ink, ground in colours:
        dark, bright = sorted((luminance(ink), luminance(ground)))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, f"{name}: {ink} on {ground}"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_ever_runs(hostile: str, tmp_path: Path, opened: Callable[..., Any]) -> None:
    page = opened(write_synthetic(tmp_path, synthetic(3, 2, hostile), hostile))
    page.wait_for_selector(".judgment")
    page.fill("#s", hostile)
    page.check("#r")
    unfold(page)
    page.keyboard.press("j")
    page.wait_for_timeout(100)
    assert page.evaluate("typeof window.__pwned") == "undefined"
    assert page.locator("main img, main svg, main script, main iframe").count() == 0
    shown = page.evaluate("document.querySelector('main').textContent")
    assert hostile.replace("\ud83d", "\ufffd") in shown.replace("\ud83d", "\ufffd"), "the text is there, as text"


def test_script_in_the_page_is_forbidden_even_if_it_got_there(plain: str, opened: Callable[..., Any]) -> None:
    page = opened(plain, allow=True)
    refused = page.evaluate(
        """() => {
          try { document.body.innerHTML = "<img src=x onerror='window.__pwned = 1'>"; return "written"; }
          catch (error) { return error.name; }
        }"""
    )
    assert refused == "TypeError", "the page's policy refuses markup made from text"
    refused = page.evaluate(
        """() => {
          try { document.createElement("img").setAttribute("onerror", "window.__pwned = 1"); return "written"; }
          catch (error) { return error.name; }
        }"""
    )
    assert refused == "TypeError", "and code in an attribute"


def cpu_clock(page: Any) -> Callable[[], float]:
    """Tells the CPU seconds of the page's thread from now on; other work on the machine does not count."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        known = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
        return float(known["TaskDuration"])

    return seconds


def test_all_of_spider_and_six_discriminators_stay_fast(tmp_path: Path, opened: Callable[..., Any]) -> None:
    address = write_synthetic(tmp_path, synthetic(1034, 6))
    page = opened("about:blank", wait="html")
    clock = cpu_clock(page)
    page.goto(address)
    page.wait_for_selector("h2")
    opening = clock()
    assert count(page) == 1034
    changed = """async ([name, value]) => {
      const control = document.getElementById(name);
      const painted = (resolve) => requestAnimationFrame(() => setTimeout(resolve));
      const done = new Promise((resolve) => addEventListener("hashchange", () => painted(resolve), {once: true}));
      control.value = value;
      control.dispatchEvent(new Event("change", {bubbles: true}));
      await done;
    }"""
    times = []
    for name, value in (("hardness", "easy"), ("discriminator", "judge-3"), ("outcome", "broken"), ("hardness", "")):
        before = clock()
        page.evaluate(changed, [name, value])
        times.append(clock() - before)
    print(f"opened in {opening:.2f} CPU seconds; filtered in {times}")
    assert 0 < opening < 1
    assert 0 < min(times) < max(times) < 0.3
