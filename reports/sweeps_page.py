"""The page of several sweeps side by side; like a report, it needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from evaluation.whole_files import write_atomically
from reports import formats
from reports.charts import Chart
from reports.expected_best import MIN_TRIALS
from reports.figures.sweeps import (
    best_learning_figure,
    budgets_figure,
    sweep_colour,
    sweep_dash,
    sweeps_best_so_far_figure,
)
from reports.html import content_policy, environment, inline_json
from reports.packed import packed_script
from reports.ranking import finite_measurement
from reports.side_by_side import SideBySide, sweep_words
from reports.sweep_budgets import best_interval_text


@dataclass(frozen=True)
class NotedChart:
    """A chart, and what has to be said of the sweeps that it shows badly or not at all."""

    chart: Chart
    note: str


def write_sweeps_page(compared: SideBySide, gaps: Sequence[Sequence[str]], path: Path) -> None:
    """Write the page to `path` atomically.

    Args:
        compared: what it says.
        gaps: what is missing of each sweep, in whole sentences.
        path: where it goes.
    """
    write_atomically(path, render_sweeps(compared, gaps).encode())


def render_sweeps(compared: SideBySide, gaps: Sequence[Sequence[str]]) -> str:
    """The page as one self-contained HTML document."""
    page = resources.files("reports") / "page"
    start, report = (
        (page / name).read_text(encoding="utf-8") for name in ("start.js", "report.js")
    )
    charts = noted_charts(compared)
    plotly = get_plotlyjs()
    scripts = [plotly, report]
    return (
        environment()
        .get_template("sweeps.html.j2")
        .render(
            compared=compared,
            colours=[sweep_colour(place) for place in range(len(compared.sweeps))],
            dashes=[sweep_dash(place) for place in range(len(compared.sweeps))],
            bests=[sweep.comparison.best for sweep in compared.sweeps],
            charts=charts,
            charts_json=inline_json([noted.chart for noted in charts]),
            gaps=list(zip([sweep.name for sweep in compared.sweeps], gaps, strict=True)),
            words=sweep_words,
            measurement_text=formats.measurement_text,
            interval_text=formats.interval_text,
            value_text=formats.value_text,
            best_interval_text=best_interval_text,
            min_trials=MIN_TRIALS,
            content_policy=content_policy([start, *scripts]),
            # Trusted: these are this program's own files and its plotly's.
            styles=Markup((page / "report.css").read_text(encoding="utf-8")),
            start=Markup(start),
            scripts=[packed_script(script, is_heavy=script is plotly) for script in scripts],
        )
    )


def noted_charts(compared: SideBySide) -> list[NotedChart]:
    """The charts that there is anything to draw for."""
    label = compared.objective.label
    drawn = (
        (
            "learning",
            "Learning curves of the best trials",
            best_learning_figure(compared),
            _learning_note(compared),
        ),
        (
            "budget",
            "Expected best against budget",
            budgets_figure(compared),
            _budget_note(compared),
        ),
        ("best", "Best so far", sweeps_best_so_far_figure(compared), _best_so_far_note(compared)),
    )
    text = f"{label} of {formats.counted(len(compared.sweeps), 'sweep')}"
    return [
        NotedChart(Chart(key, title, figure, 380, f"{title}: {text}. {note}".strip()), note)
        for key, title, figure, note in drawn
        if figure is not None
    ]


def _learning_note(compared: SideBySide) -> str:
    once, never = [], []
    for sweep in compared.sweeps:
        best = sweep.comparison.best
        name = sweep.comparison.objective.name
        kimgs = [
            rung.kimg
            for rung in (best.record.scores if best else ())
            if finite_measurement(rung, name)
        ]
        if not kimgs:
            never.append(sweep.name)
        elif len(kimgs) == 1:
            once.append(f"{sweep.name} at {formats.kimg_text(kimgs[0])}")
    parts = []
    if once:
        parts.append(f"Scored once, and so a dot without a curve: {formats.listed(once)}.")
    if never:
        parts.append(f"Without a scored trial: {formats.listed(never)}.")
    return " ".join(parts)


def _budget_note(compared: SideBySide) -> str:
    few, none = [], []
    for sweep, budgets in zip(compared.sweeps, compared.budgets, strict=True):
        if not budgets:
            none.append(sweep.name)
        elif budgets[0].interval is None:
            few.append(f"{sweep.name} has {budgets[-1].num_drawn:,.0f}")
    parts = []
    if few:
        parts.append(
            f"An interval takes {MIN_TRIALS} completed trials, so there is no band where there are "
            f"fewer: {formats.listed(few)}."
        )
    if none:
        parts.append(f"Without a completed trial whose time is recorded: {formats.listed(none)}.")
    return " ".join(parts)


def _best_so_far_note(compared: SideBySide) -> str:
    none = [sweep.name for sweep in compared.sweeps if not sweep.comparison.milestones]
    return (
        f"Without a completed trial whose end is recorded: {formats.listed(none)}." if none else ""
    )
