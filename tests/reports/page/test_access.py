"""Anyone can read the page: axe finds nothing serious, tab reaches all, paper and phone suffice."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.reports.schemes import show_in

pytestmark = pytest.mark.slow

Page = Any

OUTLINE = """element => {
  const style = getComputedStyle(element);
  return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
}"""
SIDEWAYS = """() => [...document.querySelectorAll('body *')].filter((element) => {
  if (element.closest('.scroll, svg, .sr, pre, .js-plotly-plot')) return false;
  const box = element.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((element) => element.outerHTML.slice(0, 90))"""


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """Gives axe's serious and critical violations of a page, with the places."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def found(page: Page) -> list[str]:
        results = axe.run(page).response
        assert results["testEngine"]["name"] == "axe-core"
        return [
            f"{violation['id']}: {node['html'][:120]} {node['failureSummary']}"
            for violation in results["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(
    page: Page, violations: Callable[[Page], list[str]], scheme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    show_in(page, scheme)
    page.click("#column-toggle")
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert violations(page) == []


def test_axe_would_find_a_fault(page: Page, violations: Callable[[Page], list[str]]) -> None:
    """Else the test above could not fail."""
    page.evaluate("document.querySelector('.lead').style.color = '#ccc'")
    page.evaluate("document.getElementById('filter').labels[0].remove()")
    page.evaluate("document.getElementById('filter').placeholder = ''")
    kinds = {found.split(":")[0] for found in violations(page)}
    assert kinds == {"color-contrast", "label"}


def test_tab_reaches_every_control_in_the_order_of_the_page_and_shows_where_it_is(
    page: Page,
) -> None:
    page.click("#column-toggle")
    page.evaluate("document.body.focus()")
    page.evaluate("document.activeElement.blur()")
    wanted = page.locator(
        "a[href]:visible, button:visible, input:visible, select:visible, summary:visible, "
        "[tabindex='0']:visible"
    )
    page.evaluate("window.scrollTo(0, 0)")
    marked = wanted.evaluate_all("all => all.map((one, place) => { one.dataset.stop = place; })")
    page.locator("h1").click()  # from where Tab goes on
    reached = []
    for _ in marked:
        page.keyboard.press("Tab")
        reached.append(int(page.evaluate("document.activeElement.dataset.stop ?? -1")))
        assert page.locator(":focus").evaluate(OUTLINE), page.locator(":focus").evaluate(
            "one => one.outerHTML.slice(0, 120)"
        )
    assert reached == list(range(len(marked)))
    assert len(marked) > 40


def test_headings_have_levels_without_a_gap(page: Page) -> None:
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map((one) => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_links_of_the_navigation_lead_to_sections(page: Page) -> None:
    targets = page.locator("nav a").evaluate_all("all => all.map((one) => one.hash.slice(1))")
    assert len(targets) >= 7
    for target in targets:
        assert page.locator(f"section[id='{target}']").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_page_never_scrolls_sideways_whatever_is_open(page: Page, scheme: str) -> None:
    show_in(page, scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    page.click("#column-toggle")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(SIDEWAYS) == []


def test_printed_page_has_light_paper_and_cuts_nothing(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 718, "height": 1040})  # A4 less its margins
    page.wait_for_timeout(200)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert max(map(int, re.findall(r"\d+", ink))) < 60
    assert page.evaluate(SIDEWAYS) == []
    cut = page.locator(".scroll, pre").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth + 1 "
        "|| one.scrollHeight > one.clientHeight + 1).map((one) => one.outerHTML.slice(0, 90))"
    )
    assert cut == []


def test_charts_are_drawn_for_light_paper_of_its_width_and_back_again(page: Page) -> None:
    """Before it is printed a page is still that of the screen: dark, and wide."""
    show_in(page, "dark")
    ink = "document.querySelector('.plot[data-chart=learning]').layout.font.color"
    width = "document.querySelector('.plot[data-chart=learning] .main-svg').clientWidth"
    room = "document.querySelector('.plot[data-chart=learning]').clientWidth"
    assert page.evaluate(ink) == "#e9eaec"
    before = page.evaluate(width)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(ink) == "#1c1f23"
    drawn = page.evaluate(width)
    assert 600 < drawn < 703
    page.set_viewport_size({"width": 703, "height": 900})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(room) == pytest.approx(drawn, abs=2)
    page.emulate_media(media="screen", color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(ink) == "#e9eaec"
    assert page.evaluate(width) == before


def test_page_prints_to_few_sheets_the_wide_table_on_one_turned(page: Page) -> None:
    pdf = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    sizes = [(float(width), float(height)) for width, height in boxes]
    assert 4 <= len(sizes) <= 20
    turned = [width > height for width, height in sizes]
    assert 1 <= sum(turned) <= 2
    assert not turned[0]
