"""Charts of several sweeps: readable times, named axes, bands, and dots that can be seen."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import Comparison, compare
from reports.figures.sweeps import (
    best_learning_figure,
    budgets_figure,
    sweeps_best_so_far_figure,
)
from reports.records import SweepRecord, TrialCost, TrialRecord
from reports.side_by_side import side_by_side
from reports.sweeps_page import noted_charts

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def _sweep(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores, num: int, **changes: object
) -> Comparison:
    cost = TrialCost(train_seconds=30.0)
    trials = [
        make_trial(i, scores=make_scores(4.0 + i / 10), cost=cost, **changes) for i in range(num)
    ]
    return compare(make_sweep(), trials)


def test_times_of_minutes_are_in_minutes_with_round_ticks_and_every_axis_has_a_name(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    sweeps = [_sweep(make_sweep, make_trial, make_scores, num) for num in (12, 3)]
    compared = side_by_side(sweeps)
    budgets = budgets_figure(compared)
    assert budgets is not None
    assert budgets.layout.xaxis.title.text == "time of all trials together (min)"
    assert budgets.layout.xaxis.type == "log"
    assert budgets.layout.xaxis.ticktext == ("0.5", "1", "2", "5", "10")
    best = sweeps_best_so_far_figure(compared)
    assert best is not None
    assert best.layout.xaxis.title.text == "working time (min)"
    learning = best_learning_figure(compared)
    for figure in (budgets, best, learning):
        assert figure is not None
        assert figure.layout.annotations[0].text == compared.objective.label


def test_sweep_of_enough_trials_has_a_band_and_the_other_a_note(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    sweeps = [_sweep(make_sweep, make_trial, make_scores, num) for num in (12, 3)]
    compared = side_by_side(sweeps)
    figure = budgets_figure(compared)
    assert figure is not None
    (band,) = [trace for trace in figure.data if trace.fill == "toself"]
    interval = compared.budgets[0][0].interval
    assert interval is not None
    assert band.y[0] == interval.worse
    assert band.y[-1] == interval.better
    notes = {noted.chart.key: noted.note for noted in noted_charts(compared)}
    assert notes["budget"].endswith("fewer: digits (2) has 3.")


def test_trial_scored_once_is_a_dot_at_its_place_in_training_and_said_to_be(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    (last,) = make_scores(4.0)[-1:]  # type: ignore[index]
    sweeps = [compare(make_sweep(), [make_trial(i, scores=(last,))]) for i in range(2)]
    compared = side_by_side(sweeps)
    figure = best_learning_figure(compared)
    assert figure is not None
    assert figure.layout.xaxis.range[0] == 0
    dots = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [(trace.x, trace.marker.size) for trace in dots] == [((60.0,), 11), ((60.0,), 11)]
    note = noted_charts(compared)[0].note
    assert note == (
        "Scored once, and so a dot without a curve: digits (1) at 60 kimg and digits (2) at 60 "
        "kimg."
    )
