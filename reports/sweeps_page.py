"""The page of several sweeps side by side; like a report, it needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from evaluation.whole_files import write_atomically
from reports import formats
from reports.charts import Chart
from reports.figures.palette import PALETTE
from reports.html import content_policy, environment, inline_json
from reports.packed import packed_script
from reports.ranking import finite_measurement
from reports.side_by_side import NamedSweep, SideBySide, sweep_words

DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Line:
    """One sweep's line in a chart."""

    sweep: int
    x: tuple[float, ...]
    y: tuple[float, ...]


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
    charts = _charts(compared)
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
            charts_json=inline_json(charts),
            gaps=list(zip([sweep.name for sweep in compared.sweeps], gaps, strict=True)),
            words=sweep_words,
            measurement_text=formats.measurement_text,
            interval_text=formats.interval_text,
            value_text=formats.value_text,
            content_policy=content_policy([start, *scripts]),
            # Trusted: these are this program's own files and its plotly's.
            styles=Markup((page / "report.css").read_text(encoding="utf-8")),
            start=Markup(start),
            scripts=[packed_script(script, is_heavy=script is plotly) for script in scripts],
        )
    )


def sweep_colour(place: int) -> str:
    """The colour of the sweep that was given as number `place`, the same in all charts."""
    return PALETTE[place % len(PALETTE)]


def sweep_dash(place: int) -> str:
    """Its line, which tells apart those that share a colour."""
    return DASHES[place // len(PALETTE) % len(DASHES)]


def _charts(compared: SideBySide) -> list[Chart]:
    label = compared.objective.label
    drawn = (
        (
            "learning",
            "Learning curves of the best trials",
            "kimg",
            "linear",
            [_learning(place, sweep) for place, sweep in enumerate(compared.sweeps)],
        ),
        (
            "budget",
            "Expected best against budget",
            "time of trials (h)",
            "log",
            [
                Line(
                    place,
                    tuple(budget.seconds / 3600 for budget in budgets),
                    tuple(budget.expected_best for budget in budgets),
                )
                for place, budgets in enumerate(compared.budgets)
            ],
        ),
        (
            "best",
            "Best so far",
            "working time (h)",
            "linear",
            [_best_so_far(place, sweep) for place, sweep in enumerate(compared.sweeps)],
        ),
    )
    charts = []
    for key, title, x_title, x_type, lines in drawn:
        there = [line for line in lines if line.x]
        if there:
            figure = _figure(compared, there, x_title, x_type, is_stepped=key == "best")
            text = f"{title}: {label} of {formats.counted(len(there), 'sweep')}"
            charts.append(Chart(key, title, figure, 380, text))
    return charts


def _learning(place: int, sweep: NamedSweep) -> Line:
    comparison = sweep.comparison
    points = [
        (rung.kimg, measurement.value)
        for rung in (comparison.best.record.scores if comparison.best else ())
        if (measurement := finite_measurement(rung, comparison.objective.name))
    ]
    return Line(place, tuple(kimg for kimg, _ in points), tuple(value for _, value in points))


def _best_so_far(place: int, sweep: NamedSweep) -> Line:
    """The times at which a sweep had a new best, and its end."""
    points: list[tuple[float, float]] = []
    milestones = sweep.comparison.milestones
    for milestone in milestones:
        if not points or milestone.best != points[-1][1] or milestone is milestones[-1]:
            points.append((milestone.work_seconds / 3600, milestone.best))
    return Line(place, tuple(x for x, _ in points), tuple(y for _, y in points))


def _figure(
    compared: SideBySide, lines: Sequence[Line], x_title: str, x_type: str, *, is_stepped: bool
) -> go.Figure:
    values = [value for line in lines for value in line.y]
    is_log = min(values) > 0 and max(values) > 10 * min(values)
    axis = {"automargin": True, "zeroline": False, "ticks": "", "exponentformat": "power"}
    figure = go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "dragmode": False,
            "hovermode": "closest",
            "margin": {"l": 8, "r": 12, "t": 10, "b": 8},
            "xaxis": {**axis, "title": {"text": x_title}, "type": x_type, "showgrid": False},
            "yaxis": {**axis, "type": "log" if is_log else "linear", "nticks": 7},
        }
    )
    for line in lines:
        # Plotly reads tags and formulas in all its text.
        name = str(escape(compared.sweeps[line.sweep].name)).replace("$", "&#36;")
        figure.add_scatter(
            x=list(line.x),
            y=list(line.y),
            mode="lines+markers",
            name=name,
            text=[name] * len(line.x),
            hovertemplate="%{text}<br>%{x:.3~g}: %{y:.4~g}<extra></extra>",
            line={
                "color": sweep_colour(line.sweep),
                "dash": sweep_dash(line.sweep),
                "width": 2,
                "shape": "hv" if is_stepped else "linear",
            },
            marker={"size": 6},
        )
    return figure
