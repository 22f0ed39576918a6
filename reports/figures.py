"""The report's charts: for each one, what it shows (a plain value), and how that is drawn."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import plotly.graph_objects as go

from reports.comparison import Comparison, Milestone
from reports.curves import Curve, LearningCurves, LossPanel
from reports.formats import setting_text
from reports.importance import Importance
from reports.records import TrialState
from reports.slices import Slice

# Okabe & Ito's colours, told apart by every kind of colour vision, the two extremes toned to be
# read on white and on black. More trials than colours share the grey.
PALETTE = ("#1f83c4", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#a6951f")
OTHERS_COLOUR = "#969ba3"
ACCENT_COLOUR = PALETTE[0]
REFERENCE_COLOUR = "#80868e"

END_SYMBOLS = {
    TrialState.RUNNING: "circle-open",
    TrialState.INTERRUPTED: "diamond-open",
    TrialState.COMPLETED: "circle",
    TrialState.STOPPED_EARLY: "square",
    TrialState.DIVERGED: "x",
    TrialState.OUT_OF_MEMORY: "x",
    TrialState.FAILED: "x",
}

MAX_RUNG_TICKS = 8
LOG_FROM_RATIO = 10.0


def trial_colours(comparison: Comparison) -> dict[str, str]:
    """The colour of each trial, the same in all figures: the first few in rank get their own."""
    names = [standing.trial for standing in comparison.standings]
    own = dict(zip(names, PALETTE, strict=False))
    return {name: own.get(name, OTHERS_COLOUR) for name in names}


def learning_curves_figure(curves: LearningCurves, colours: dict[str, str]) -> go.Figure:
    """The objective over training, one line a trial, its end marked by the trial's state."""
    figure = _figure(x_title="kimg", y_title=_plain(curves.column.label))
    if curves.is_log:
        levels = [level for level in (curves.floor, curves.ceiling) if level is not None]
        _log_axis(figure.layout.yaxis, [v for c in curves.curves for v in c.values] + levels)
    # The leaders are drawn last, on top.
    for curve in reversed(curves.curves):
        steps = len(curve.kimg) - 1
        symbol = END_SYMBOLS[curve.state]
        figure.add_scatter(
            x=list(curve.kimg),
            y=list(curve.values),
            mode="lines+markers",
            name=_plain(curve.trial),
            meta={"trial": curve.trial},
            text=[_plain(label) for label in curve.labels],
            hovertemplate="%{text}<extra></extra>",
            line={"color": colours[curve.trial], "width": 2 if _is_own(curve, colours) else 1.2},
            marker={
                "color": colours[curve.trial],
                "size": [5] * steps + [10],
                "symbol": ["circle"] * steps + [symbol],
                "opacity": 1,
                "line": {"width": [0] * steps + [2 if symbol.endswith("-open") else 0]},
            },
            error_y={
                "type": "data",
                "array": list(curve.errors),
                "thickness": 1,
                "width": 0,
                "color": colours[curve.trial],
            },
        )
    for level, name in ((curves.floor, "real images"), (curves.ceiling, "noise")):
        if level is not None:
            _reference_line(figure, level, name, curves)
    figure.update_xaxes(range=[0, curves.total_kimg * 1.03])
    if len(curves.rungs_kimg) <= MAX_RUNG_TICKS:
        figure.update_xaxes(tickvals=[0, *curves.rungs_kimg])
    return figure


def loss_figure(panel: LossPanel, colours: dict[str, str]) -> go.Figure:
    """One training loss over training, one line a trial."""
    figure = _figure(x_title="kimg")
    for curve in reversed(panel.curves):
        figure.add_scatter(
            x=list(curve.kimg),
            y=list(curve.values),
            mode="lines",
            name=_plain(curve.trial),
            meta={"trial": curve.trial},
            hovertemplate=f"Trial {_plain(curve.trial)}<br>%{{x:.3~f}} kimg: %{{y:.4~g}}"
            "<extra></extra>",
            line={"color": colours[curve.trial], "width": 1.2},
        )
    for curve in reversed(panel.curves):
        if curve.marks:
            _add_marks(figure, curve, colours[curve.trial])
    return figure


def _add_marks(figure: go.Figure, curve: Curve, colour: str) -> None:
    """Triangles where something was found to be wrong with a trial's training."""
    figure.add_scatter(
        x=[mark.kimg for mark in curve.marks],
        y=[mark.value for mark in curve.marks],
        mode="markers",
        name=_plain(curve.trial),
        meta={"trial": curve.trial},
        text=[_plain(f"Trial {curve.trial}: {mark.label}") for mark in curve.marks],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": colour, "size": 10, "symbol": "triangle-up"},
    )


def importance_figure(importance: Importance) -> go.Figure:
    """The settings' shares as bars, each named above its bar so that narrow screens fit."""
    rows = list(reversed(importance.rows))
    figure = _figure()
    figure.add_bar(
        x=[row.importance for row in rows],
        y=list(range(len(rows))),
        orientation="h",
        width=0.34,
        marker={"color": ACCENT_COLOUR, "cornerradius": 3},
        text=[f"{row.importance:.0%}" for row in rows],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    for place, row in enumerate(rows):
        figure.add_annotation(
            x=0,
            y=place + 0.36,
            text=_plain(row.path),
            showarrow=False,
            xanchor="left",
            xref="paper",
            xshift=-2,
            name="label",
        )
    figure.update_yaxes(visible=False, range=[-0.3, len(rows) - 0.3])
    figure.update_xaxes(visible=False, range=[0, 1.12])
    figure.update_layout(margin={"t": 0, "b": 0})
    return figure


def slice_figure(values: Slice, comparison: Comparison, colours: dict[str, str]) -> go.Figure:
    """Score against one setting, one dot a trial."""
    scores = [point.score for point in values.points]
    log_y = min(scores) > 0 and max(scores) / min(scores) > LOG_FROM_RATIO
    figure = _figure()
    if log_y:
        _log_axis(figure.layout.yaxis, scores)
    settings = [point.setting for point in values.points]
    figure.add_scatter(
        x=settings if values.is_numeric else [_plain(setting_text(s)) for s in settings],
        y=scores,
        mode="markers",
        meta={"trials": [point.trial for point in values.points]},
        text=[
            f"{_plain(point.label)}<br>{_plain(setting_text(point.setting))}"
            for point in values.points
        ],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "size": 10,
            "color": [colours[point.trial] for point in values.points],
            "opacity": 0.9,
            "line": {"width": 0},
        },
    )
    if not values.is_numeric:
        names = [_plain(choice) for choice in values.choices]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
        figure.update_xaxes(range=[-0.5, len(names) - 0.5])
    elif values.bounds and values.is_log and values.bounds[0] > 0:
        _log_axis(figure.layout.xaxis, values.bounds)
    elif values.bounds and values.bounds[0] < values.bounds[1]:
        low, high = values.bounds
        pad = 0.06 * (high - low)
        figure.update_xaxes(range=[low - pad, high + pad])
    return figure


def best_so_far_figure(
    milestones: Sequence[Milestone], comparison: Comparison, colours: dict[str, str]
) -> go.Figure:
    """The best score of a completed trial over the sweep's working time."""
    longest = milestones[-1].work_seconds
    unit, seconds = ("h", 3600) if longest >= 7200 else ("min", 60) if longest >= 120 else ("s", 1)
    times = [milestone.work_seconds / seconds for milestone in milestones]
    scores = [milestone.score for milestone in milestones]
    log_y = min(scores) > 0 and max(scores) / min(scores) > LOG_FROM_RATIO
    figure = _figure(x_title=f"working time ({unit})", y_title=_plain(comparison.objective.label))
    if log_y:
        _log_axis(figure.layout.yaxis, scores)
    figure.add_scatter(
        x=times,
        y=[milestone.best for milestone in milestones],
        mode="lines",
        line={"shape": "hv", "color": REFERENCE_COLOUR, "width": 2},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=times,
        y=scores,
        mode="markers",
        meta={"trials": [milestone.trial for milestone in milestones]},
        text=[_plain(f"Trial {milestone.trial}") for milestone in milestones],
        hovertemplate="%{text}: %{y:.4~g}<extra></extra>",
        marker={"size": 9, "color": [colours[milestone.trial] for milestone in milestones]},
    )
    figure.update_xaxes(rangemode="tozero")
    return figure


def _figure(*, x_title: str = "", y_title: str = "") -> go.Figure:
    """An empty chart; colours of text, grid and hover come from the page, which knows its theme."""
    axis = {"automargin": True, "zeroline": False, "ticks": "", "fixedrange": False}
    return go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "dragmode": False,
            "hovermode": "closest",
            "margin": {"l": 8, "r": 12, "t": 26 if y_title else 10, "b": 8},
            "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}, "showgrid": False},
            "yaxis": {**axis, "nticks": 7},
            # The axis' name lies flat above it, where it is read without turning the head.
            "annotations": [
                {
                    "text": y_title,
                    "xref": "paper",
                    "yref": "paper",
                    "x": 0,
                    "y": 1,
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "yshift": 4,
                    "showarrow": False,
                }
            ]
            if y_title
            else [],
        }
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Round values from below `low` to above `high`, about three to eight of them.

    Plotly's own log ticks print digits without their power, which few people can read.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps: tuple[int, ...] = (1,) if last - first > 4 else (1, 3) if last - first > 2 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    start = max((tick for tick in ticks if tick <= low), default=ticks[0])
    end = min((tick for tick in ticks if tick >= high), default=ticks[-1])
    inside = [tick for tick in ticks if start <= tick <= end]
    every = math.ceil(len(inside) / 8)
    return inside[::every]


def _log_axis(axis: go.layout.XAxis | go.layout.YAxis, values: Sequence[float]) -> None:
    """Make an axis logarithmic, with readable ticks around the (positive) values."""
    low, high = min(values), max(values)
    ticks = log_ticks(low, high)
    pad = 0.06 * (math.log10(high / low) or 1)
    axis.update(
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick:g}".replace("e-0", "e-") for tick in ticks],
        range=[math.log10(low) - pad, math.log10(high) + pad],
    )


def _reference_line(figure: go.Figure, level: float, name: str, curves: LearningCurves) -> None:
    figure.add_scatter(
        x=[0, curves.total_kimg * 1.03],
        y=[level, level],
        mode="lines",
        line={"color": REFERENCE_COLOUR, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        # Annotations on a log axis are placed by the exponent.
        y=math.log10(level) if curves.is_log else level,
        yanchor="bottom",
        text=name,
        showarrow=False,
    )


def _is_own(curve: Curve, colours: dict[str, str]) -> bool:
    return colours[curve.trial] != OTHERS_COLOUR


def _plain(text: str) -> str:
    """Text that plotly, which reads tags and formulas in all its text, draws as it stands."""
    return html.escape(text, quote=False).replace("$", "&#36;")
