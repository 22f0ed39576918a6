"""Learning curves end in their state's mark, under bands; findings are triangles."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import compare
from reports.curves import Curve, LossPanel, Mark, learning_curves
from reports.figures.palette import OTHERS_COLOUR, trial_colours
from reports.figures.progress import learning_curves_figure, loss_figure
from reports.records import SweepRecord, TrialRecord, TrialState

Trials = Callable[[], list[TrialRecord]]
Sweep = Callable[..., SweepRecord]


def test_learning_curve_ends_in_the_mark_of_its_state(
    make_sweep: Sweep, make_trials: Trials
) -> None:
    comparison = compare(make_sweep(), make_trials())
    figure = learning_curves_figure(learning_curves(comparison), trial_colours(comparison))
    ends = {t.meta["trial"]: t.marker.symbol[-1] for t in figure.data if t.marker.symbol}
    assert ends["0003"] == "circle"
    assert ends["0004"] == "square"
    assert ends["0006"] == "x"
    assert ends["0008"] == "diamond-open"


def test_finding_is_a_triangle_in_the_colour_of_its_trial() -> None:
    mark = Mark(12.0, 0.7, "mode collapse at 12 kimg")
    curves = (
        Curve("0000", TrialState.COMPLETED, (1.0, 12.0), (0.5, 0.7), marks=(mark,)),
        Curve("0001", TrialState.COMPLETED, (1.0, 12.0), (0.5, 0.6)),
    )
    colours = {"0000": "#111111", "0001": "#222222"}
    figure = loss_figure(LossPanel("d_loss", "discriminator loss", curves), colours)
    (marks,) = [trace for trace in figure.data if trace.mode == "markers"]
    assert (marks.marker.symbol, marks.marker.color) == ("triangle-up", "#111111")
    assert (marks.x, marks.y) == ((12.0,), (0.7,))
    assert marks.text == ("Trial 0000: mode collapse at 12 kimg",)


def test_leaders_have_a_band_and_the_others_have_none(
    make_sweep: Sweep, make_trials: Trials
) -> None:
    comparison = compare(make_sweep(), make_trials())
    colours = trial_colours(comparison)
    figure = learning_curves_figure(learning_curves(comparison), colours)
    bands = {t.meta["trial"]: t for t in figure.data if t.fill == "toself"}
    own = {trial for trial, colour in colours.items() if colour != OTHERS_COLOUR}
    assert set(bands) <= own
    best = comparison.best
    assert best is not None
    last = best.record.scores[-1].measurements[0]
    assert bands[best.trial].x == (20, 40, 60, 60, 40, 20)
    assert bands[best.trial].y[2:4] == (last.high, last.low)
