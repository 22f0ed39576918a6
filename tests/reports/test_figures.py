"""Charts: consistent colours, readable ticks, and text that is drawn as it stands."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from reports import figures
from reports.comparison import compare
from reports.curves import Curve, LossPanel, Mark, learning_curves
from reports.records import SweepRecord, TrialRecord, TrialState
from reports.slices import setting_slices

Trials = Callable[[], list[TrialRecord]]
Sweep = Callable[..., SweepRecord]


@pytest.mark.parametrize(
    ("low", "high"), [(0.43, 366.0), (1e-4, 3e-3), (4.0, 61.0), (3.9, 4.1), (1e-9, 1e9)]
)
def test_log_ticks_are_few_rise_and_lie_around_the_values(low: float, high: float) -> None:
    ticks = figures.log_ticks(low, high)
    assert 1 <= len(ticks) <= 8
    assert all(a < b for a, b in itertools.pairwise(ticks))
    assert ticks[0] <= low


def test_leaders_have_their_own_colour_and_the_rest_share_one(
    make_sweep: Sweep, make_trials: Trials
) -> None:
    comparison = compare(make_sweep(), make_trials())
    colours = figures.trial_colours(comparison)
    assert list(colours.values())[:7] == list(figures.PALETTE)
    assert set(list(colours.values())[7:]) == {figures.OTHERS_COLOUR}


def test_learning_curve_ends_in_the_mark_of_its_state(
    make_sweep: Sweep, make_trials: Trials
) -> None:
    comparison = compare(make_sweep(), make_trials())
    figure = figures.learning_curves_figure(
        learning_curves(comparison), figures.trial_colours(comparison)
    )
    ends = {t.meta["trial"]: t.marker.symbol[-1] for t in figure.data if t.meta}
    assert ends["0003"] == "circle"
    assert ends["0004"] == "square"
    assert ends["0006"] == "x"
    assert ends["0008"] == "diamond-open"


def test_markup_in_a_setting_is_drawn_as_text(
    make_sweep: Sweep, make_trial: Callable[..., TrialRecord], make_scores: Callable[..., object]
) -> None:
    hostile = "<a href='javascript:alert(1)'>x</a>"
    trials = [
        make_trial(i, settings={"loss.name": name}, scores=make_scores(5.0))
        for i, name in enumerate(["hinge", hostile])
    ]
    comparison = compare(make_sweep(), trials)
    (values,) = setting_slices(comparison)
    figure = figures.slice_figure(values, comparison, figures.trial_colours(comparison))
    assert "<a" not in figure.to_json()
    assert "\\u003ca" not in figure.to_json()


def test_finding_is_a_triangle_in_the_colour_of_its_trial() -> None:
    mark = Mark(12.0, 0.7, "mode collapse at 12 kimg")
    curves = (
        Curve("0000", TrialState.COMPLETED, (1.0, 12.0), (0.5, 0.7), marks=(mark,)),
        Curve("0001", TrialState.COMPLETED, (1.0, 12.0), (0.5, 0.6)),
    )
    colours = {"0000": "#111111", "0001": "#222222"}
    figure = figures.loss_figure(LossPanel("d_loss", "discriminator loss", curves), colours)
    (marks,) = [trace for trace in figure.data if trace.mode == "markers"]
    assert (marks.marker.symbol, marks.marker.color) == ("triangle-up", "#111111")
    assert (marks.x, marks.y) == ((12.0,), (0.7,))
    assert marks.text == ("Trial 0000: mode collapse at 12 kimg",)
