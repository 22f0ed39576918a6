"""Bars lie where the trials ran; of many trials the number that ran is drawn instead."""

from __future__ import annotations

import pytest

from reports.figures.palette import STATE_COLOURS
from reports.figures.schedule import rung_prediction_figure, timeline_figure
from reports.records import TrialState
from reports.rung_prediction import RungPrediction, RungPredictions
from reports.timeline import MAX_BARS, Bar, Timeline


def _timeline(*bars: Bar) -> Timeline:
    return Timeline(bars, ((0.0, 1.0), (60.0, 0.0)), 1.0, None, "")


def test_bar_begins_and_ends_with_its_trial_in_the_colour_of_its_state() -> None:
    times = _timeline(
        Bar("0000", TrialState.COMPLETED, 0, 0.0, 120.0),
        Bar("0<1", TrialState.DIVERGED, 1, 60.0, 150.0),
    )
    (bars,) = timeline_figure(times).data
    assert (bars.base, bars.x, bars.y) == ((0.0, 1.0), (2.0, 1.5), (0, 1))
    assert bars.marker.color == (
        STATE_COLOURS[TrialState.COMPLETED],
        STATE_COLOURS[TrialState.DIVERGED],
    )
    assert bars.text[1] == "0&lt;1"


def test_many_trials_are_drawn_as_a_number() -> None:
    bars = (Bar(str(i), TrialState.COMPLETED, 0, float(i), i + 1.0) for i in range(MAX_BARS + 1))
    (line,) = timeline_figure(_timeline(*bars)).data
    assert (line.type, line.line.shape) == ("scatter", "hv")
    assert line.y == (1.0, 0.0)


def test_correlation_has_its_interval_and_number_of_trials() -> None:
    rows = (RungPrediction(20.0, 0.5, -0.2, 0.8, 9), RungPrediction(40.0, 1.0, None, None, 8))
    figure = rung_prediction_figure(RungPredictions(rows, ""))
    (trace,) = figure.data
    assert trace.error_y.array == pytest.approx((0.3, 0.0))
    assert trace.error_y.arrayminus == pytest.approx((0.7, 0.0))
    assert figure.layout.xaxis.ticktext == ("20 kimg<br>9 trials", "40 kimg<br>8 trials")
    assert figure.layout.yaxis.range[0] < -0.2
