"""The page in a browser: it loads nothing, runs nothing hostile, sorts, filters and fits."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.build import build_report
from reports.records import SweepRecord, TrialCost, TrialRecord, TrialState
from reports.run_folder import RunFolder
from tests.reports.schemes import show_in

pytestmark = pytest.mark.slow

Page = Any


def _trials(page: Page) -> list[str]:
    return [
        row.get_attribute("data-trial")
        for row in page.query_selector_all("#board tbody tr[data-trial]")
    ]


def test_page_requests_nothing_but_itself_and_does_not_complain(page: Page, report: Path) -> None:
    page.click(".chip")
    page.hover(".plot")
    page.wait_for_timeout(200)
    outside = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert outside == [report.as_uri()]
    assert page.complaints == []


def test_hostile_cause_is_shown_as_text_and_does_nothing(page: Page, hostile_text: str) -> None:
    shown = [block.text_content() for block in page.query_selector_all("#failures pre")]
    assert hostile_text in shown
    assert page.query_selector("img[onerror]") is None
    assert page.complaints == []


def test_header_sorts_both_ways_with_missing_values_last(page: Page) -> None:
    head = page.locator("#board th button[data-column='4']")
    head.click()
    rising = _trials(page)
    assert rising[:2] == ["0004", "0003"]
    assert rising[-1] == "0005"
    assert page.locator("#board th[aria-sort]").get_attribute("aria-sort") == "ascending"
    head.press("Enter")
    falling = _trials(page)
    assert falling[:-1] == rising[-2::-1]
    assert falling[-1] == "0005"
    assert page.locator("#board th[aria-sort]").get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_labels_among_lines_stand_on_the_chart_s_own_ground(page: Page, scheme: str) -> None:
    show_in(page, scheme)
    grounds = page.locator("[data-chart=parallel] .annotation .bg").evaluate_all(
        """grounds => grounds.map(one => {
          const style = getComputedStyle(one);
          return style.fill + style.fillOpacity;
        })"""
    )
    card = page.locator(".card").first.evaluate("card => getComputedStyle(card).backgroundColor")
    # Under the ticks; the axes' names stand below the lines, on nothing.
    assert f"{card}1" in grounds
    assert sum(ground == f"{card}1" for ground in grounds) == len(grounds) - 6


def test_table_starts_in_the_order_of_the_ranking(page: Page) -> None:
    assert _trials(page)[:6] == ["0003", "0001", "0000", "0007", "0004", "0002"]
    assert page.locator("#board th[aria-sort]").text_content().strip() == "rank"


def test_filter_hides_the_other_trials_and_says_how_many(page: Page) -> None:
    page.fill("#filter", "stopped")
    visible = page.locator("#board tbody tr[data-trial]:visible")
    assert [row.get_attribute("data-trial") for row in visible.all()] == ["0004", "0002"]
    assert page.text_content("#shown") == "2 of 9 shown"
    page.fill("#filter", "")
    assert page.text_content("#shown") == "9 trials"


def test_page_never_scrolls_sideways(page: Page) -> None:
    for width in (1920, 768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_interval_is_read_out_and_stands_under_the_score(page: Page) -> None:
    assert "(95% interval 3.28 to 4.52)" in page.text_content(".headline")
    for place in ("#board tr[data-trial='0003'] td.col-5", ".quality tbody tr:first-child .value"):
        shown = page.locator(f"{place} .interval")
        assert shown.text_content() == "95% interval 3.28 to 4.52"
        assert shown.get_attribute("title") == "95% interval"
        assert shown.bounding_box()["y"] > page.locator(place).bounding_box()["y"]
    assert page.locator("#board tr[data-trial='0003'] td.col-6 .interval").count() == 0
    assert "infinitely many images of the same generator" in page.text_content("#leaderboard")


def test_sweep_stopped_before_it_cost_anything_has_a_page(
    make_sweep: Callable[..., SweepRecord],
    make_trial: Callable[..., TrialRecord],
    write_run: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    trials = [
        make_trial(number, TrialState.INTERRUPTED, kimg=0.0, scores=(), cost=TrialCost())
        for number in range(2)
    ]
    run = write_run(tmp_path / "digits", make_sweep(), trials)
    build_report(run.path)
    text = " ".join(run.report.read_text(encoding="utf-8").split())
    assert "Times of trials add up to more than the wall time" in text


def test_page_without_intervals_explains_none(
    open_page: Callable[[Path], Any],
    make_sweep: Callable[..., SweepRecord],
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., object],
    write_run: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    trial = make_trial(0, scores=make_scores(5.0, error=None))
    run = write_run(tmp_path / "digits", make_sweep(), [trial])
    build_report(run.path)
    page = open_page(run.report)
    assert page.locator(".interval").count() == 0
    assert "interval" not in page.text_content("body main")


def test_highlight_fades_the_other_trials_and_lets_go(page: Page) -> None:
    # The bands of the curves, which have no points, fade with them.
    opacities = (
        "[...document.querySelectorAll('.plot[data-chart=learning] .trace.scatter')]"
        ".filter(t => t.querySelector('.points path'))"
        ".filter(t => Number(getComputedStyle(t).opacity) < 0.5).length"
    )
    chip = page.locator(".chip[data-trial='0003']")
    chip.click()
    assert page.evaluate(opacities) == 7
    assert chip.get_attribute("aria-pressed") == "true"
    chip.click()
    assert page.evaluate(opacities) == 0


def test_select_changes_which_two_settings_are_drawn(page: Page) -> None:
    select = page.locator("#pair")
    plot = page.locator("#pairs .plot")
    shown = "document.querySelector('#pairs .plot').layout.xaxis.title.text"
    before, words = page.evaluate(shown), plot.get_attribute("aria-label")
    title = page.text_content("#pairs h3")
    select.focus()
    for _ in range(4):
        select.press("ArrowDown")
    select.press("Enter")
    assert page.evaluate("document.getElementById('pair').selectedIndex") == 4
    assert page.evaluate(shown) != before
    assert plot.get_attribute("aria-label") != words
    assert page.text_content("#pairs h3") == page.locator("#pair option").nth(4).text_content()
    assert page.text_content("#pairs h3") != title
    assert page.complaints == []


def test_every_chart_says_in_words_what_it_shows(page: Page) -> None:
    plots = page.query_selector_all(".plot")
    assert len(plots) > 12
    assert all(len(plot.get_attribute("aria-label")) > 20 for plot in plots)
    assert all(plot.query_selector(".main-svg") for plot in plots)


def test_charts_follow_the_theme(page: Page) -> None:
    colour = "document.querySelector('.plot[data-chart=learning]').layout.font.color"
    show_in(page, "light")
    light = page.evaluate(colour)
    show_in(page, "dark")
    assert page.evaluate(colour) != light
    assert page.complaints == []


def test_own_part_of_the_page_names_no_address_and_no_path(report: Path) -> None:
    text = report.read_text()
    scripts = re.findall(r"<script>.*?</script>", text, flags=re.DOTALL)
    own = text.replace(max(scripts, key=len), "")
    assert not re.search(r"https?://|//cdn|file:|@import|url\(", own)
    assert str(report.parent.parent) not in own
    assert "default-src &#39;none&#39;; script-src &#39;sha256-" in own
