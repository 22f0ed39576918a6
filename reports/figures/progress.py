"""Charts over training and over the sweep: learning curves, losses, best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from reports.comparison import Comparison, Milestone
from reports.curves import Curve, LearningCurves, LossPanel
from reports.figures.canvas import empty_figure, log_axis, needs_log, plain, time_unit
from reports.figures.palette import OTHERS_COLOUR, REFERENCE_COLOUR, with_alpha
from reports.records import TrialState

END_SYMBOLS = {
    TrialState.RUNNING: "circle-open",
    TrialState.INTERRUPTED: "diamond-open",
    TrialState.COMPLETED: "circle",
    TrialState.STOPPED_EARLY: "square",
    TrialState.DIVERGED: "x",
    TrialState.COLLAPSED: "x",
    TrialState.INFEASIBLE: "x",
    TrialState.OUT_OF_MEMORY: "x",
    TrialState.FAILED: "x",
}

MAX_RUNG_TICKS = 8


def learning_curves_figure(curves: LearningCurves, colours: dict[str, str]) -> go.Figure:
    """The objective over training, one line a trial, its end marked by the trial's state.

    Trials with a colour of their own have their 95 % intervals as a band; those of all the others
    would hide one another.
    """
    figure = empty_figure(x_title="kimg", y_title=plain(curves.column.label))
    if curves.is_log:
        levels = [level for level in (curves.floor, curves.ceiling) if level is not None]
        log_axis(figure.layout.yaxis, [v for c in curves.curves for v in c.values] + levels)
    # A band may reach below 0, where a log axis has no place.
    lowest = min(v for c in curves.curves for v in c.values) / 2 if curves.is_log else -math.inf
    for curve in curves.curves:
        if _is_own(curve, colours):
            _add_band(figure, curve, colours[curve.trial], lowest)
    # The leaders are drawn last, on top.
    for curve in reversed(curves.curves):
        steps = len(curve.kimg) - 1
        symbol = END_SYMBOLS[curve.state]
        figure.add_scatter(
            x=list(curve.kimg),
            y=list(curve.values),
            mode="lines+markers",
            name=plain(curve.trial),
            meta={"trial": curve.trial},
            text=[plain(label) for label in curve.labels],
            hovertemplate="%{text}<extra></extra>",
            line={"color": colours[curve.trial], "width": 2 if _is_own(curve, colours) else 1.2},
            marker={
                "color": colours[curve.trial],
                "size": [5] * steps + [10],
                "symbol": ["circle"] * steps + [symbol],
                "opacity": 1,
                "line": {"width": [0] * steps + [2 if symbol.endswith("-open") else 0]},
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
    figure = empty_figure(x_title="kimg")
    for curve in reversed(panel.curves):
        figure.add_scatter(
            x=list(curve.kimg),
            y=list(curve.values),
            mode="lines",
            name=plain(curve.trial),
            meta={"trial": curve.trial},
            hovertemplate=f"Trial {plain(curve.trial)}<br>%{{x:.3~f}} kimg: %{{y:.4~g}}"
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
        name=plain(curve.trial),
        meta={"trial": curve.trial},
        text=[plain(f"Trial {curve.trial}: {mark.label}") for mark in curve.marks],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": colour, "size": 10, "symbol": "triangle-up"},
    )


def best_so_far_figure(
    milestones: Sequence[Milestone], comparison: Comparison, colours: dict[str, str]
) -> go.Figure:
    """The best score of a completed trial over the sweep's working time."""
    longest = milestones[-1].work_seconds
    unit, seconds = time_unit(longest)
    times = [milestone.work_seconds / seconds for milestone in milestones]
    scores = [milestone.score for milestone in milestones]
    log_y = needs_log(scores)
    figure = empty_figure(
        x_title=f"working time ({unit})", y_title=plain(comparison.objective.label)
    )
    if log_y:
        log_axis(figure.layout.yaxis, scores)
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
        text=[plain(f"Trial {milestone.trial}") for milestone in milestones],
        hovertemplate="%{text}: %{y:.4~g}<extra></extra>",
        marker={"size": 9, "color": [colours[milestone.trial] for milestone in milestones]},
    )
    figure.update_xaxes(rangemode="tozero")
    return figure


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


def _add_band(figure: go.Figure, curve: Curve, colour: str, lowest: float) -> None:
    """The area between the ends of the intervals; where only one is known, a bar."""
    known = [
        (kimg, max(lowest, band[0]), max(lowest, band[1]))
        for kimg, band in zip(curve.kimg, curve.bands, strict=True)
        if band is not None
    ]
    if not known:
        return
    kimg, low, high = zip(*known, strict=True)
    outline = {
        "x": [*kimg, *reversed(kimg)],
        "y": [*high, *reversed(low)],
        "mode": "lines",
        "name": plain(curve.trial),
        "meta": {"trial": curve.trial},
        "hoverinfo": "skip",
    }
    if len(known) == 1:
        figure.add_scatter(**outline, line={"color": colour, "width": 1})
        return
    figure.add_scatter(
        **outline,
        fill="toself",
        fillcolor=with_alpha(colour, 0.16),
        line={"color": colour, "width": 0},
    )


def _is_own(curve: Curve, colours: dict[str, str]) -> bool:
    return colours[curve.trial] != OTHERS_COLOUR
