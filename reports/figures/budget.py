"""Charts of what a budget buys: score against cost, and the best score to be expected."""

from __future__ import annotations

import plotly.graph_objects as go

from reports.comparison import Comparison
from reports.expected_best import ExpectedBest
from reports.figures.canvas import empty_figure, log_axis, needs_log, plain, time_unit
from reports.figures.palette import ACCENT_COLOUR, PALETTE, REFERENCE_COLOUR, with_alpha
from reports.trade_off import CostPoint, TradeOff


def trade_off_figure(
    trade_off: TradeOff, comparison: Comparison, colours: dict[str, str]
) -> go.Figure:
    """Score against one cost, one dot a completed trial, the front as a step line."""
    every = (*trade_off.points, *trade_off.front)
    scores = [point.score for point in every]
    costs = [point.cost for point in every]
    is_time = trade_off.key == "seconds"
    unit, seconds = time_unit(max(costs)) if is_time else ("", 1.0)
    figure = empty_figure(
        x_title=plain(f"{trade_off.label} ({unit})" if unit else trade_off.label),
        y_title=plain(comparison.objective.label),
    )
    if needs_log(scores):
        log_axis(figure.layout.yaxis, scores)
    if needs_log(costs):
        log_axis(figure.layout.xaxis, [cost / seconds for cost in costs])
    figure.add_scatter(
        x=[point.cost / seconds for point in trade_off.front],
        y=[point.score for point in trade_off.front],
        mode="lines",
        line={"shape": "hv", "color": REFERENCE_COLOUR, "width": 2},
        hoverinfo="skip",
    )
    on_front = {point.trial for point in trade_off.front}
    beaten = [point for point in trade_off.points if point.trial not in on_front]
    for points, size, opacity in ((beaten, 8, 0.75), (trade_off.front, 12, 1.0)):
        _add_dots(figure, points, colours, seconds=seconds, size=size, opacity=opacity)
    return figure


def _add_dots(
    figure: go.Figure,
    points: tuple[CostPoint, ...] | list[CostPoint],
    colours: dict[str, str],
    *,
    seconds: float,
    size: int,
    opacity: float,
) -> None:
    figure.add_scatter(
        x=[point.cost / seconds for point in points],
        y=[point.score for point in points],
        mode="markers",
        meta={"trials": [point.trial for point in points]},
        text=[plain(point.label) for point in points],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "size": size,
            "color": [colours[point.trial] for point in points],
            "opacity": opacity,
            "line": {"width": 0},
        },
    )


def expected_best_figure(best: ExpectedBest, comparison: Comparison) -> go.Figure:
    """The expected best score over the time spent, one line a choice, with its 95 % band."""
    longest = max(curve.seconds[-1] for curve in best.curves)
    unit, seconds = time_unit(longest)
    figure = empty_figure(
        x_title=f"time of all trials together ({unit})", y_title=plain(comparison.objective.label)
    )
    values = [value for curve in best.curves for value in (*curve.low, *curve.high)]
    if needs_log(values):
        log_axis(figure.layout.yaxis, values)
    for place, curve in enumerate(best.curves):
        colour = PALETTE[place % len(PALETTE)] if best.path else ACCENT_COLOUR
        times = [time / seconds for time in curve.seconds]
        figure.add_scatter(
            x=[*times, *reversed(times)],
            y=[*curve.high, *reversed(curve.low)],
            mode="lines",
            fill="toself",
            fillcolor=with_alpha(colour, 0.13),
            line={"color": colour, "width": 0},
            hoverinfo="skip",
            showlegend=False,
        )
        name = plain(curve.name) if best.path else "all trials"
        figure.add_scatter(
            x=times,
            y=list(curve.expected),
            mode="lines+markers" if len(times) < 20 else "lines",
            name=name,
            text=[f"best of {num}" for num in curve.num_drawn],
            hovertemplate=f"{name}, %{{text}}: %{{y:.4~g}}<extra></extra>",
            # More choices than colours are told apart by their dashes, too.
            line={
                "color": colour,
                "width": 2,
                "dash": ("solid", "dash", "dot")[place // len(PALETTE) % 3],
            },
            marker={"size": 5},
        )
    if best.equal_seconds is not None:
        figure.add_vline(
            best.equal_seconds / seconds,
            line={"color": REFERENCE_COLOUR, "width": 1, "dash": "dot"},
        )
    figure.update_xaxes(rangemode="tozero")
    if best.path:
        figure.update_layout(
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"},
        )
    return figure
