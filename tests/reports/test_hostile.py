"""Hostile text wherever users or programs may put some: nothing runs, nothing breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.build import build_report, sweeps_steps
from reports.csv_cells import plain_text
from reports.records import (
    Segment,
    SettingDomain,
    SweepRecord,
    TrialFinding,
    TrialRecord,
    TrialState,
)
from reports.run_folder import RunFolder

pytestmark = pytest.mark.slow

SCRIPT = "</title></style></pre></script><script>alert('pwned')</script>"
IMAGE = "<img src=x onerror=alert(1)><svg onload=alert(2)><a href=javascript:alert(3)>x</a>"
TEXTS = {
    "script": SCRIPT,
    "image": IMAGE,
    "quotes": "\" ' ` ' onmouseover=alert(1) x=\" &quot; &lt; \\ </ <!-- --> ]]>",
    "formula": '=HYPERLINK("http://evil.test","x");=1+1',
    "plotly": "<b>bold</b> %{x} %{text} $\\alpha$ <a href='javascript:alert(4)'>x</a>",
    "jinja": "{{ 7 * 7 }}{% include 'x' %}{# no #}",
    "long": "W" * 20_000,
    "long words": "wide word " * 500,
    "bidi": "שלום \u202e\u2066dlrow \u200f\u0627\u0644",
    "emoji": "💥👩‍👩‍👧‍👦🏳️‍🌈\ufe0f\u20e3",
    "lines": "a\nb\r\nc\td\u2028e\u2029f\x0b\x0c\x85",
    "controls": "nul\x00bell\x07escape\x1b[31mred\x7f",
}


def hostile_sweep(text: str, sweep: SweepRecord) -> SweepRecord:
    """The sweep with the text in every string that comes from outside."""
    _, *others = sweep.metrics
    objective = sweep.metrics[0].model_copy(update={"label": text, "note": text})
    segment = Segment(started_at=text, ended_at=text, command=text, outcome=text, seconds=1.0)
    space = (
        SettingDomain(path=text, kind="choice", values=(text, 1, None)),
        SettingDomain(
            path="loss.name", kind="choice", values=(text, "hinge"), when={text: (text,)}
        ),
    )
    return sweep.model_copy(
        update=dict.fromkeys(
            ("name", "data", "sampler", "early_stopping", "extractor", "extractor_note"), text
        )
        | {
            "resources": text,
            "versions": {text: text},
            "metrics": (objective, *others),
            "segments": (*sweep.segments, segment),
            "space": space,
        }
    )


def hostile_trials(text: str, trials: list[TrialRecord]) -> list[TrialRecord]:
    """The trials with the text in every string that comes from outside."""
    return [
        record.model_copy(
            update={
                "settings": {
                    text: text if place % 2 else "plain",
                    "loss.name": (text, place, None),
                },
                "cause": text if record.state.is_failure else None,
                "findings": (TrialFinding(name=text, kimg=3.0, message=text),),
                "started_at": record.started_at if place else text,
                "checkpoint_path": text,
                "snapshot_path": text,
                "scores": tuple(
                    rung.model_copy(update={"fakes_path": text} if place == 1 else {})
                    for rung in record.scores
                ),
            }
        )
        for place, record in enumerate(trials)
    ]


def _shown(text: str) -> str:
    """The text as HTML can carry it: without NULs, and with one kind of line end."""
    return text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_nothing_runs_and_nothing_breaks(
    text: str,
    open_page: Callable[[Path], Any],
    make_sweep: Callable[..., SweepRecord],
    make_trials: Callable[[], list[TrialRecord]],
    write_run: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    sweep, trials = hostile_sweep(text, make_sweep()), make_trials()
    run = write_run(tmp_path / "hostile", sweep, trials)
    for record in hostile_trials(text, trials):
        run.trial(record.trial).write(record)
    run.spec.write_text(f"# {text}\n", encoding="utf-8")
    run.trial("0008").record.write_text('{"trial": "0008", "cause": ' + text)
    build_report(run.path)

    page = open_page(run.report)
    assert page.complaints == []
    asked = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert asked == [run.report.as_uri()]
    assert (
        page.query_selector("img[src=x], svg[onload], a[href^=javascript], [onmouseover]") is None
    )
    # Every part of the page is still there, in its place, and the text is shown as text.
    assert page.locator("main > section").count() == page.locator("section").count() >= 8
    assert page.locator("h1").text_content() == _shown(text)
    # Of a cause the first line.
    line = _shown(text.strip().splitlines()[0])
    assert any(line in block for block in page.locator("#failures pre").all_text_contents())
    assert page.locator("#board tbody tr[data-trial]").count() == 8
    page.hover(".plot")
    page.locator(".chip").first.click()
    page.locator("#board thead button").nth(4).click()
    for place in range(page.locator("button:visible").count()):
        page.locator("button:visible").nth(place).focus()
    for width in (1000, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []

    table = pd.read_csv(run.results)
    assert len(table) == 8
    failed = table[table["state"] == TrialState.FAILED.value]
    assert [plain_text(cell) for cell in failed["cause"]] == [text]
    assert len(pd.read_csv(run.curves)) > 8
    for path in (run.results, run.curves):
        header = path.read_text(encoding="utf-8")
        assert not header.startswith(("=", "+", "-", "@"))


def test_page_of_several_sweeps_is_as_safe(
    open_page: Callable[[Path], Any],
    make_sweep: Callable[..., SweepRecord],
    make_trials: Callable[[], list[TrialRecord]],
    write_run: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    text = "".join(value for key, value in TEXTS.items() if not key.startswith("long"))
    runs = []
    for place in range(2):
        sweep = hostile_sweep(text, make_sweep())
        trials = hostile_trials(text, make_trials())
        run = write_run(tmp_path / str(place), make_sweep(), make_trials())
        run.write_sweep(sweep)
        for record in trials:
            run.trial(record.trial).write(record)
        runs.append(run.path)
    target = tmp_path / "sweeps.html"
    for _ in sweeps_steps(runs, target, tmp_path / "sweeps.csv"):
        pass
    page = open_page(target)
    asked = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert asked == [target.as_uri()]
    names = page.locator("#side-by-side thead th").all_text_contents()
    assert names[1].strip() == f"{_shown(text)} (1)".strip()
    assert page.locator(".js-plotly-plot").count() == 3
    page.hover(".plot")
    assert page.query_selector("img[src=x], svg[onload], a[href^=javascript]") is None
    for width in (1000, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    table = pd.read_csv(tmp_path / "sweeps.csv")
    assert {plain_text(cell) for cell in table["sweep"]} == {f"{text} (1)", f"{text} (2)"}
