"""Charts of several settings at once: parallel axes, and the score against pairs."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from reports.comparison import Comparison
from reports.figures.canvas import (
    BACKED,
    MAX_NAME_LETTERS,
    MAX_PATH_LETTERS,
    empty_figure,
    log_ticks,
    needs_log,
    plain,
)
from reports.figures.palette import OTHERS_COLOUR, SCORE_SCALE, with_alpha
from reports.figures.settings import axis_value, set_setting_axis
from reports.formats import value_text
from reports.pairs import Pair
from reports.parallel import ParallelAxes


def parallel_figure(parallel: ParallelAxes, colours: dict[str, str]) -> go.Figure:
    """One line a trial across the axes.

    As ordinary lines, not plotly's `parcoords`: those are drawn by WebGL, which prints badly, can't
    say which trial a line is, and complains to the console where there is no graphics card.
    """
    figure = empty_figure()
    last = len(parallel.axes) - 1
    for line in reversed(parallel.lines):
        is_own = colours[line.trial] != OTHERS_COLOUR
        figure.add_scatter(
            x=list(range(last + 1)),
            y=list(line.places),
            mode="lines+markers",
            name=plain(line.trial),
            meta={"trial": line.trial},
            text=[plain(line.label)] * (last + 1),
            hovertemplate="%{text}<extra></extra>",
            line={
                "color": colours[line.trial] if is_own else with_alpha(colours[line.trial], 0.45),
                "width": 2.4 if is_own else 1,
            },
            marker={"size": 6 if is_own else 3},
        )
    for place, axis in enumerate(parallel.axes):
        for height, text in axis.ticks:
            figure.add_annotation(
                x=place,
                y=height,
                text=plain(text, at_most=MAX_NAME_LETTERS),
                showarrow=False,
                xanchor="right" if place == last else "left",
                xshift=-7 if place == last else 7,
                yshift=9,
                # On the page's ground, as lines run through it.
                name=BACKED,
                borderpad=1,
            )
    for place, axis in enumerate(parallel.axes):
        # As notes, since tick labels of the outer axes would be cut off.
        side = {0: "left", last: "right"}.get(place, "center")
        figure.add_annotation(
            x=place,
            y=0,
            yref="paper",
            yanchor="top",
            yshift=-6,
            xanchor=side,
            align=side,
            text=_in_lines(axis.name),
            showarrow=False,
            name="label",
        )
    figure.update_xaxes(
        showgrid=True,
        tickvals=list(range(last + 1)),
        showticklabels=False,
        range=[-0.05, last + 0.05],
    )
    figure.update_layout(margin={"b": 48})
    figure.update_yaxes(visible=False, range=[-0.06, 1.12])
    return figure


def pair_figure(pair: Pair, comparison: Comparison) -> go.Figure:
    """The score against two settings: contours where there are some, and a dot for each trial."""
    figure = empty_figure(
        x_title=plain(pair.x.path, at_most=MAX_PATH_LETTERS),
        y_title=plain(pair.y.path, at_most=MAX_PATH_LETTERS),
    )
    scores = [point.score for point in pair.points]
    is_log = needs_log(scores)
    low, high = min(scores), max(scores)
    scale = list(SCORE_SCALE)
    if comparison.objective.goal == "minimize":
        scale = [(1 - place, colour) for place, colour in reversed(scale)]
    ticks = [t for t in log_ticks(low, high) if low <= t <= high] if is_log else []
    if not ticks:
        ticks = [low, (low + high) / 2, high] if low < high else [low]
    colouring = {
        "colorscale": scale,
        "cmin": math.log10(low) if is_log else low,
        "cmax": math.log10(high) if is_log else high,
    }
    if pair.surface is not None:
        figure.add_contour(
            x=list(pair.surface.x),
            y=list(pair.surface.y),
            z=[
                [None if z is None else math.log10(z) if is_log else z for z in row]
                for row in pair.surface.scores
            ],
            zmin=colouring["cmin"],
            zmax=colouring["cmax"],
            colorscale=scale,
            connectgaps=True,
            showscale=False,
            opacity=0.6,
            line={"width": 0},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[axis_value(pair.x, point.x) for point in pair.points],
        y=[axis_value(pair.y, point.y) for point in pair.points],
        mode="markers",
        meta={"trials": [point.trial for point in pair.points]},
        text=[plain(point.label).replace("\n", "<br>") for point in pair.points],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "size": 11,
            "color": [math.log10(score) if is_log else score for score in scores],
            **colouring,
            "opacity": 0.9,
            "line": {"width": 1, "color": "#ffffff"},
            "showscale": True,
            "colorbar": {
                "thickness": 10,
                "outlinewidth": 0,
                "ticks": "",
                "tickvals": [math.log10(tick) if is_log else tick for tick in ticks],
                "ticktext": [value_text(comparison.objective, tick) for tick in ticks],
            },
        },
    )
    set_setting_axis(figure.layout.xaxis, pair.x)
    set_setting_axis(figure.layout.yaxis, pair.y)
    return figure


def _in_lines(name: str) -> str:
    """A path with a line for each part, as neighbours are near."""
    return "<br>".join(
        plain(part, at_most=MAX_NAME_LETTERS)
        for part in name.replace(" ", "\n").replace(".", ".\n").split("\n")
    )
