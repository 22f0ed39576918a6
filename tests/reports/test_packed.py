"""A long table in a browser: all rows are there to be sorted and filtered, a few hundred drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from reports.build import build_report
from reports.packed import PACKED_FROM, SHOWN_ROWS, packed_rows
from reports.records import SweepRecord, TrialRecord
from reports.run_folder import RunFolder

CHROMIUM = Path("/usr/bin/chromium")


def test_short_table_is_left_as_it_is() -> None:
    rows = [Markup("<tr><td>1</td></tr>")] * (PACKED_FROM - 1)
    assert packed_rows(rows) == "\n".join(rows)


def test_long_table_is_smaller_and_the_same_each_time() -> None:
    rows = [Markup("<tr><td>1</td></tr>")] * PACKED_FROM
    assert packed_rows(rows) == packed_rows(rows)
    assert packed_rows(rows).count("<tr>") == SHOWN_ROWS


@pytest.mark.slow
def test_all_rows_are_sorted_filtered_and_drawn_when_asked_for(
    make_sweep: Callable[..., SweepRecord],
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., object],
    write_run: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium")
    num = PACKED_FROM + 100
    trials = [make_trial(n, kimg=20.0, scores=make_scores(5.0 + n, until=20.0)) for n in range(num)]
    trials = [
        trial.model_copy(update={"total_kimg": 20.0, "started_at": None, "ended_at": None})
        for trial in trials
    ]
    run = write_run(tmp_path / "long", make_sweep(num_trials=num), [])
    for trial in trials:
        run.trial(trial.trial).path.mkdir()
        run.trial(trial.trial).write(trial)
    build_report(run.path)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(run.report.as_uri())
        page.wait_for_selector("html[data-ready]")
        _check_window(page, num)
        assert complaints == []
        browser.close()


def _drawn(page: Any) -> int:
    count: int = page.locator("#board tbody tr[data-trial]:visible").count()
    return count


def _check_window(page: Any, num: int) -> None:
    note = page.locator(".drawn-rows")
    assert _drawn(page) == SHOWN_ROWS
    assert note.locator("span").text_content() == f"{SHOWN_ROWS} of {num} rows are drawn."
    note.locator("button").press("Enter")
    assert _drawn(page) == 2 * SHOWN_ROWS
    head = page.locator("#board th button[data-column='4']")
    head.click()
    head.click()
    first = page.locator("#board tbody tr[data-trial]").first
    assert first.get_attribute("data-trial") == f"{num - 1:04d}"
    note.locator("span", has_text=f"{SHOWN_ROWS} of {num}").wait_for()
    assert _drawn(page) == SHOWN_ROWS
    page.fill("#filter", f"{num - 3:04d}")
    page.locator(f"#board tbody tr[data-trial='{num - 3:04d}']").wait_for()
    assert 0 < _drawn(page) < 9  # the digits may be in other numbers, too
    note.wait_for(state="hidden")
    page.fill("#filter", "")
    note.locator("span", has_text=f"{SHOWN_ROWS} of {num}").wait_for()
    assert _drawn(page) == SHOWN_ROWS
