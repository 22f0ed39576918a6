"""What all charts share: an empty one, logarithmic axes with readable ticks, and plain text."""

from __future__ import annotations

import hashlib
import html
import math
from collections.abc import Sequence

import plotly.graph_objects as go

MAX_LETTERS = 200
"""Of a line of text in a chart; tables have all of it."""
MAX_NAME_LETTERS = 24
"""Of a name at an axis: with more, of the widest letters, plotly finds no margins on a phone."""
MAX_PATH_LETTERS = 40
"""Of a setting's path, which is no tick label: those of the config are shorter."""

MIN_LOG_TICKS = 3
"""On a log axis: between two ticks alone it might be linear."""

BACKED = "backed"
"""Name of a note that the page puts on its own ground, which it knows by its theme."""

LOG_FROM_RATIO = 10.0
"""Values that span more than this are drawn on a log axis."""


def needs_log(values: Sequence[float]) -> bool:
    """Whether positive values span too much for a linear axis."""
    return min(values) > 0 and max(values) / min(values) > LOG_FROM_RATIO


def time_unit(longest_seconds: float) -> tuple[str, float]:
    """The unit of a time axis, and how many seconds it has."""
    if longest_seconds >= 7200:
        return "h", 3600.0
    return ("min", 60.0) if longest_seconds >= 120 else ("s", 1.0)


def empty_figure(*, x_title: str = "", y_title: str = "") -> go.Figure:
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
    bottom, top = _padded(low, high)
    if sum(bottom <= tick <= top for tick in ticks) < MIN_LOG_TICKS:
        return _even_ticks(bottom, top)
    start = max((tick for tick in ticks if tick <= low), default=ticks[0])
    end = min((tick for tick in ticks if tick >= high), default=ticks[-1])
    inside = [tick for tick in ticks if start <= tick <= end]
    every = math.ceil(len(inside) / 8)
    return inside[::every]


def _even_ticks(bottom: float, top: float) -> list[float]:
    """Multiples of a round number, as 0.8, 1, 1.2, from below `bottom` to above `top`.

    Between 0.6 and 1.8 a power's 1, 2, 5 leave a single tick, by which no scale can be read.
    """
    power = math.floor(math.log10(top - bottom))
    for step in (digit * 10.0**exponent for exponent in (power, power - 1) for digit in (5, 2, 1)):
        multiples = range(math.floor(bottom / step), math.ceil(top / step) + 1)
        # Rounded to what the step has: 3 times 0.1 is not 0.3.
        ticks = [round(multiple * step, 2 - power) for multiple in multiples if multiple > 0]
        if sum(bottom <= tick <= top for tick in ticks) >= MIN_LOG_TICKS:
            return ticks
    return [bottom, top]  # closer than numbers are to each other


def _padded(low: float, high: float) -> tuple[float, float]:
    """The ends of a log axis that shows values from `low` to `high`."""
    pad = 10 ** (0.06 * (math.log10(high / low) or 1))
    return low / pad, high * pad


def log_axis(axis: go.layout.XAxis | go.layout.YAxis, values: Sequence[float]) -> None:
    """Make an axis logarithmic, with readable ticks around the (positive) values."""
    low, high = min(values), max(values)
    ticks = log_ticks(low, high)
    axis.update(
        type="log",
        tickvals=ticks,
        ticktext=_tick_texts(ticks),
        range=[math.log10(end) for end in _padded(low, high)],
    )


def _tick_texts(ticks: Sequence[float]) -> list[str]:
    texts = [f"{tick:g}".replace("e-0", "e-") for tick in ticks]
    # Values next to each other take more digits than `g` gives.
    return texts if len(set(texts)) == len(texts) else [f"{tick:.12g}" for tick in ticks]


def plain(text: str, *, at_most: int = MAX_LETTERS) -> str:
    """Text that plotly, which reads tags in all its text, draws as it stands.

    A line of more letters than `at_most` loses its middle, and gets digits that tell it from others
    with the same ends: a label of a page's length would leave no room for the chart.
    """
    text = "\n".join(_without_middle(line, at_most) for line in text.split("\n"))
    # A pair of dollars would be taken for a formula, for which plotly wants MathJax.
    return html.escape(text, quote=False).replace("$", "&#36;")


def _without_middle(line: str, at_most: int) -> str:
    if len(line) <= at_most:
        return line
    digits = hashlib.sha256(line.encode(errors="surrogatepass")).hexdigest()[:6]
    kept = at_most - len(f"… ({digits})")
    end = kept // 3
    return f"{line[: kept - end]}…{line[-end:]} ({digits})"
