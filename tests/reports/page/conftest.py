"""A browser, and the page of the nine trials in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.build import build_report
from reports.records import SweepRecord, TrialRecord
from reports.run_folder import RunFolder

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

Page = Any


@pytest.fixture(scope="module")  # two at a time would fight for one event loop
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def report(
    make_sweep: Callable[..., SweepRecord],
    make_trials: Callable[[], list[TrialRecord]],
    write_run: Callable[..., RunFolder],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The report of the nine trials."""
    run = write_run(tmp_path_factory.mktemp("page") / "digits", make_sweep(), make_trials())
    build_report(run.path)
    return run.report


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Page]:
    """The report, open; it notes what was asked for in `requests`, and errors in `complaints`."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.requests, page.complaints = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]")
    yield page
    outside = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    page.close()
    assert outside == [report.as_uri()]
    assert page.complaints == []
