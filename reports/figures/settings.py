"""Charts of the settings: how much each mattered, and the score against each."""

from __future__ import annotations

import plotly.graph_objects as go

from reports.comparison import Comparison
from reports.figures.canvas import (
    MAX_NAME_LETTERS,
    MAX_PATH_LETTERS,
    empty_figure,
    log_axis,
    needs_log,
    plain,
)
from reports.figures.palette import ACCENT_COLOUR, with_alpha
from reports.formats import setting_text
from reports.importance import Importance
from reports.records import Setting
from reports.slices import Slice


def importance_figure(importance: Importance) -> go.Figure:
    """The settings' shares as bars, each named above its bar so that narrow screens fit."""
    rows = list(reversed(importance.rows))
    figure = empty_figure()
    figure.add_bar(
        x=[row.importance for row in rows],
        y=list(range(len(rows))),
        orientation="h",
        width=0.34,
        # Let through, so that the interval is seen on top of it.
        marker={"color": with_alpha(ACCENT_COLOUR, 0.45), "cornerradius": 3},
        hoverinfo="skip",
    )
    intervals = [(place, row.interval) for place, row in enumerate(rows) if row.interval]
    figure.add_scatter(
        x=[end for _, interval in intervals for end in (*interval, None)],
        y=[y for place, _ in intervals for y in (place, place, None)],
        mode="lines+markers",
        line={"color": ACCENT_COLOUR, "width": 2.5},
        marker={"symbol": "line-ns", "size": 11, "line": {"width": 2.5, "color": ACCENT_COLOUR}},
        hoverinfo="skip",
    )
    for place, row in enumerate(rows):
        interval = row.interval
        text = f"<b>{row.importance:.0%}</b>"
        if interval:
            text += f"  {interval[0]:.0%} to {interval[1]:.0%}"
        for side, shown in ((0, plain(row.path, at_most=MAX_PATH_LETTERS)), (1, text)):
            figure.add_annotation(
                x=side,
                y=place + 0.36,
                text=shown,
                showarrow=False,
                xanchor="right" if side else "left",
                xref="paper",
                xshift=0 if side else -2,
                name="" if side else "label",
            )
    figure.update_yaxes(visible=False, range=[-0.3, len(rows) - 0.3])
    figure.update_xaxes(visible=False, range=[0, 1.02])
    # Below the buttons, which always show where nothing hovers.
    figure.update_layout(margin={"t": 26, "b": 0})
    return figure


def slice_figure(values: Slice, comparison: Comparison, colours: dict[str, str]) -> go.Figure:
    """Score against one setting, one dot a trial."""
    scores = [point.score for point in values.points]
    log_y = needs_log(scores)
    figure = empty_figure()
    if log_y:
        log_axis(figure.layout.yaxis, scores)
    settings = [point.setting for point in values.points]
    figure.add_scatter(
        x=[axis_value(values, setting) for setting in settings],
        y=scores,
        mode="markers",
        meta={"trials": [point.trial for point in values.points]},
        text=[
            f"{plain(point.label)}<br>{plain(setting_text(point.setting))}"
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
    set_setting_axis(figure.layout.xaxis, values)
    return figure


def set_setting_axis(axis: go.layout.XAxis | go.layout.YAxis, values: Slice) -> None:
    """An axis from end to end of what was searched, or with every choice in its order."""
    if not values.is_numeric:
        names = [plain(choice, at_most=MAX_NAME_LETTERS) for choice in values.choices]
        axis.update(type="category", categoryorder="array", categoryarray=names)
        axis.update(range=[-0.5, len(names) - 0.5])
    elif values.bounds and values.is_log and values.bounds[0] > 0:
        log_axis(axis, values.bounds)
    elif values.bounds and values.bounds[0] < values.bounds[1]:
        low, high = values.bounds
        pad = 0.06 * (high - low)
        axis.update(range=[low - pad, high + pad])


def axis_value(values: Slice, setting: Setting) -> Setting:
    """A setting as its axis takes it: a number, or the choice as printed."""
    if values.is_numeric:
        return setting
    return plain(setting_text(setting), at_most=MAX_NAME_LETTERS)
