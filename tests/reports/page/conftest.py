"""The page of the nine trials in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.build import build_report
from reports.records import SweepRecord, TrialRecord
from reports.run_folder import RunFolder


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
def page(open_page: Callable[[Path], Any], report: Path) -> Iterator[Any]:
    """The report, open; whatever is done with it, it loads nothing and complains of nothing."""
    page = open_page(report)
    yield page
    outside = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert outside == [report.as_uri()]
    assert page.complaints == []
