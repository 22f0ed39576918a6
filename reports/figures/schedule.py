"""Charts of the sweep's own course: which trial ran when, and how well early rungs foretold."""

from __future__ import annotations

import plotly.graph_objects as go

from reports.figures.canvas import empty_figure, plain, time_unit
from reports.figures.palette import ACCENT_COLOUR, REFERENCE_COLOUR, STATE_COLOURS, with_alpha
from reports.formats import duration_text, kimg_text, state_text
from reports.rung_prediction import RungPredictions
from reports.timeline import MAX_BARS, Timeline


def timeline_figure(times: Timeline) -> go.Figure:
    """A bar for each trial in the place where it ran; of many trials, how many ran at once."""
    last = max(bar.end_seconds for bar in times.bars)
    unit, seconds = time_unit(last)
    if len(times.bars) > MAX_BARS:
        return _running_figure(times, unit, seconds)
    figure = empty_figure(x_title=f"working time ({unit})")
    bars = times.bars
    figure.add_bar(
        base=[bar.start_seconds / seconds for bar in bars],
        x=[(bar.end_seconds - bar.start_seconds) / seconds for bar in bars],
        y=[bar.lane for bar in bars],
        orientation="h",
        width=0.72,
        meta={"trials": [bar.trial for bar in bars]},
        text=[plain(bar.trial) for bar in bars],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        insidetextfont={"color": "#ffffff"},
        customdata=[
            plain(
                f"Trial {bar.trial} ({state_text(bar.state)}): "
                f"{duration_text(bar.end_seconds - bar.start_seconds)}"
            )
            for bar in bars
        ],
        hovertemplate="%{customdata}<extra></extra>",
        marker={
            "color": [STATE_COLOURS[bar.state] for bar in bars],
            "opacity": 0.9,
            "cornerradius": 3,
            "line": {"width": 0},
        },
    )
    figure.update_yaxes(
        range=[times.places - 0.4, -0.6],
        tickvals=list(range(times.places)),
        ticktext=[f"place {place + 1}" for place in range(times.places)],
        showgrid=False,
    )
    figure.update_xaxes(rangemode="tozero", showgrid=True)
    # A name that would be too small to read is left out; the bar still says it when pointed at.
    figure.update_layout(uniformtext={"minsize": 9, "mode": "hide"})
    return figure


def _running_figure(times: Timeline, unit: str, seconds: float) -> go.Figure:
    figure = empty_figure(x_title=f"working time ({unit})", y_title="trials at once")
    figure.add_scatter(
        x=[start / seconds for start, _ in times.running],
        y=[running for _, running in times.running],
        mode="lines",
        fill="tozeroy",
        fillcolor=with_alpha(ACCENT_COLOUR, 0.2),
        line={"shape": "hv", "color": ACCENT_COLOUR, "width": 1.5},
        hovertemplate="%{y:.3~g} at once<extra></extra>",
    )
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(rangemode="tozero")
    return figure


def rung_prediction_figure(predictions: RungPredictions) -> go.Figure:
    """The rank correlation of each rung with the last, with its interval and number of trials."""
    rows = predictions.rows
    figure = empty_figure(x_title="rung", y_title="rank correlation with the last rung")
    names = [f"{kimg_text(row.kimg)}<br>{row.num_trials} trials" for row in rows]
    figure.add_scatter(
        x=list(range(len(rows))),
        y=[row.correlation for row in rows],
        mode="lines+markers",
        line={"color": ACCENT_COLOUR, "width": 1.5},
        marker={"size": 10, "color": ACCENT_COLOUR},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [0.0 if row.high is None else row.high - row.correlation for row in rows],
            "arrayminus": [0.0 if row.low is None else row.correlation - row.low for row in rows],
            "thickness": 1.5,
            "width": 5,
            "color": ACCENT_COLOUR,
        },
        hovertemplate="%{y:.2f}<extra></extra>",
    )
    figure.add_hline(0, line={"color": REFERENCE_COLOUR, "width": 1, "dash": "dot"})
    figure.update_yaxes(range=[min(-0.1, *(row.low or 0.0 for row in rows)) - 0.05, 1.08])
    figure.update_xaxes(
        tickvals=list(range(len(rows))), ticktext=names, range=[-0.5, len(rows) - 0.5], tickangle=0
    )
    return figure
