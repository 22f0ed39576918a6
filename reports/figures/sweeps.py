"""Charts of several sweeps: the learning curves of their best, what a budget buys, best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from reports.expected_best import BestInterval
from reports.figures.canvas import empty_figure, log_axis, needs_log, plain, time_unit
from reports.figures.palette import PALETTE, with_alpha
from reports.ranking import finite_measurement
from reports.side_by_side import NamedSweep, SideBySide

DASHES = ("solid", "dash", "dot", "dashdot")
MAX_RUNG_TICKS = 8

Ends = tuple[float, float] | None
"""Lower and upper end of an interval, where there is one."""


@dataclass(frozen=True)
class Line:
    """One sweep's line in a chart."""

    place: int
    """Of the sweep, in the order given."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    ends: tuple[Ends, ...] = ()


def sweep_colour(place: int) -> str:
    """The colour of the sweep that was given as number `place`, the same in all charts."""
    return PALETTE[place % len(PALETTE)]


def sweep_dash(place: int) -> str:
    """Its line, which tells apart those that share a colour."""
    return DASHES[place // len(PALETTE) % len(DASHES)]


def best_learning_figure(compared: SideBySide) -> go.Figure | None:
    """The objective of each sweep's best trial over training; None where none was scored."""
    lines = [_learning(place, sweep) for place, sweep in enumerate(compared.sweeps)]
    figure = _figure(compared, lines, "kimg")
    if figure is None:
        return None
    # From 0 to the planned end: a trial that was scored once is a dot at its place in training,
    # not in the middle of an axis that has nothing else.
    total = max(sweep.comparison.sweep.total_kimg for sweep in compared.sweeps)
    last = max(kimg for line in lines for kimg in line.x)
    figure.update_xaxes(range=[0, max(total, last) * 1.03])
    rungs = sorted({kimg for line in lines for kimg in line.x})
    if len(rungs) <= MAX_RUNG_TICKS:
        figure.update_xaxes(tickvals=[0, *rungs])
    return figure


def budgets_figure(compared: SideBySide) -> go.Figure | None:
    """The expected best of each sweep over the time of its trials, with its 95 % band."""
    longest = max((budgets[-1].seconds for budgets in compared.budgets if budgets), default=0.0)
    unit, seconds = time_unit(longest)
    lines = [
        Line(
            place,
            tuple(budget.seconds / seconds for budget in budgets),
            tuple(budget.expected_best for budget in budgets),
            tuple(_ends(budget.interval, budgets[-1].expected_best) for budget in budgets),
        )
        for place, budgets in enumerate(compared.budgets)
    ]
    figure = _figure(compared, lines, f"time of all trials together ({unit})")
    if figure is None:
        return None
    times = [time for line in lines for time in line.x]
    if needs_log(times):
        log_axis(figure.layout.xaxis, times)
    else:
        figure.update_xaxes(rangemode="tozero")
    return figure


def sweeps_best_so_far_figure(compared: SideBySide) -> go.Figure | None:
    """The best score of each sweep's completed trials over its own working time."""
    ends = [s.comparison.milestones[-1:] for s in compared.sweeps]
    unit, seconds = time_unit(max((m.work_seconds for last in ends for m in last), default=0.0))
    lines = [_best_so_far(place, sweep, seconds) for place, sweep in enumerate(compared.sweeps)]
    figure = _figure(compared, lines, f"working time ({unit})", shape="hv")
    if figure is not None:
        figure.update_xaxes(rangemode="tozero")
    return figure


def _learning(place: int, sweep: NamedSweep) -> Line:
    comparison = sweep.comparison
    points = [
        (rung.kimg, measurement)
        for rung in (comparison.best.record.scores if comparison.best else ())
        if (measurement := finite_measurement(rung, comparison.objective.name))
    ]
    return Line(
        place,
        tuple(kimg for kimg, _ in points),
        tuple(measurement.value for _, measurement in points),
        tuple(None if m.low is None or m.high is None else (m.low, m.high) for _, m in points),
    )


def _best_so_far(place: int, sweep: NamedSweep, seconds: float) -> Line:
    """The times at which a sweep had a new best, and its end."""
    points: list[tuple[float, float]] = []
    milestones = sweep.comparison.milestones
    for milestone in milestones:
        if not points or milestone.best != points[-1][1] or milestone is milestones[-1]:
            points.append((milestone.work_seconds / seconds, milestone.best))
    return Line(place, tuple(x for x, _ in points), tuple(y for _, y in points))


def _ends(interval: BestInterval | None, best: float) -> Ends:
    """An interval's ends; an open one is drawn to the best score seen."""
    if interval is None:
        return None
    better = best if interval.better is None else interval.better
    return min(better, interval.worse), max(better, interval.worse)


def _figure(
    compared: SideBySide, lines: Sequence[Line], x_title: str, *, shape: str = "linear"
) -> go.Figure | None:
    there = [line for line in lines if line.x]
    if not there:
        return None
    figure = empty_figure(x_title=x_title, y_title=plain(compared.objective.label))
    values = [value for line in there for value in line.y]
    is_log = needs_log(values)
    # An interval may reach below 0, where a log axis has no place.
    lowest = min(values) / 2 if is_log else -math.inf
    bands = [_band(line, lowest) for line in there]
    if is_log:
        log_axis(
            figure.layout.yaxis, [*values, *(e for band in bands for _, *es in band for e in es)]
        )
    for line, band in zip(there, bands, strict=True):
        _add_band(figure, band, sweep_colour(line.place))
    for line in there:
        name = plain(compared.sweeps[line.place].name)
        figure.add_scatter(
            x=list(line.x),
            y=list(line.y),
            mode="lines+markers",
            name=name,
            text=[name] * len(line.x),
            hovertemplate="%{text}<br>%{x:.3~g}: %{y:.4~g}<extra></extra>",
            line={
                "color": sweep_colour(line.place),
                "dash": sweep_dash(line.place),
                "width": 2,
                "shape": shape,
            },
            # A line of one point is a dot, and has to be seen without its line.
            marker={"size": 6 if len(line.x) > 1 else 11},
        )
    return figure


def _band(line: Line, lowest: float) -> list[tuple[float, float, float]]:
    """Where the interval is known: the place, and its ends as far as the axis can show them."""
    return [
        (x, max(lowest, ends[0]), max(lowest, ends[1]))
        for x, ends in zip(line.x, line.ends, strict=False)
        if ends is not None
    ]


def _add_band(figure: go.Figure, band: Sequence[tuple[float, float, float]], colour: str) -> None:
    """The area between the ends; a bar where there is only one."""
    if not band:
        return
    x, low, high = zip(*band, strict=True)
    filled = len(band) > 1
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        mode="lines",
        fill="toself" if filled else "none",
        fillcolor=with_alpha(colour, 0.13),
        line={"color": colour, "width": 0 if filled else 1.5},
        hoverinfo="skip",
    )
