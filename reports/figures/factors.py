"""Charts of what a setting does on average: each value's effect with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from reports.factors import FactorAnswer, FactorPoint
from reports.figures.canvas import MAX_NAME_LETTERS, empty_figure, log_axis, plain
from reports.figures.palette import ACCENT_COLOUR, REFERENCE_COLOUR, with_alpha


def factor_figure(
    answer: FactorAnswer, everything: Sequence[FactorPoint], *, is_ratio: bool
) -> go.Figure:
    """The effects of one setting's values: a line in its band for numbers, else dots with bars.

    Args:
        answer: what is drawn.
        everything: the points of all settings, whose charts share an axis so that effects can be
            compared.
        is_ratio: whether effects are ratios to the average, or differences from it.
    """
    figure = empty_figure()
    ends = [end for point in everything for end in (point.low, point.high)]
    if is_ratio:
        log_axis(figure.layout.yaxis, ends)
    else:
        pad = 0.06 * (max(ends) - min(ends))
        figure.update_yaxes(range=[min(ends) - pad, max(ends) + pad])
    figure.add_hline(
        1.0 if is_ratio else 0.0, line={"color": REFERENCE_COLOUR, "width": 1, "dash": "dot"}
    )
    if answer.is_numeric:
        _add_band(figure, answer)
    else:
        _add_dots(figure, answer)
    return figure


def _add_band(figure: go.Figure, answer: FactorAnswer) -> None:
    points = answer.points
    numbers = [point.value for point in points if point.value is not None]
    figure.add_scatter(
        x=[*numbers, *reversed(numbers)],
        y=[*(point.high for point in points), *(point.low for point in reversed(points))],
        mode="lines",
        fill="toself",
        fillcolor=with_alpha(ACCENT_COLOUR, 0.15),
        line={"width": 0, "color": ACCENT_COLOUR},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=numbers,
        y=[point.effect for point in points],
        mode="lines+markers",
        line={"color": ACCENT_COLOUR, "width": 2},
        marker={"size": 6},
        text=[plain(point_text(point)) for point in points],
        hovertemplate="%{text}<extra></extra>",
    )
    if answer.is_log:
        log_axis(figure.layout.xaxis, numbers)


def _add_dots(figure: go.Figure, answer: FactorAnswer) -> None:
    points = answer.points
    names = [plain(point.label, at_most=MAX_NAME_LETTERS) for point in points]
    figure.add_scatter(
        x=names,
        y=[point.effect for point in points],
        mode="markers",
        marker={"color": ACCENT_COLOUR, "size": 10},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.effect for point in points],
            "arrayminus": [point.effect - point.low for point in points],
            "thickness": 2,
            "width": 5,
            "color": with_alpha(ACCENT_COLOUR, 0.7),
        },
        text=[plain(point_text(point)) for point in points],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
    figure.update_xaxes(range=[-0.5, len(names) - 0.5])


def point_text(point: FactorPoint) -> str:
    """A value's effect in words: `hinge: 1.08 (0.53 to 2.2), 2 trials`."""
    text = f"{point.label}: {point.effect:.3g} ({point.low:.3g} to {point.high:.3g})"
    if point.num_trials is None:
        return text
    return f"{text}, {point.num_trials} trial{'' if point.num_trials == 1 else 's'}"
