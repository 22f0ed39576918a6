"""Every analysis is drawn where there is enough of it, and says why where there is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from reports.charts import PageCharts, page_charts
from reports.comparison import compare
from reports.curves import learning_curves
from reports.figures.palette import trial_colours
from reports.importance import setting_importance
from reports.records import SweepRecord, TrialRecord, TrialState

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def _charts(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> PageCharts:
    comparison = compare(sweep, trials)
    curves, importance = learning_curves(comparison), setting_importance(comparison)
    return page_charts(comparison, (), curves, importance, trial_colours(comparison))


def test_sweep_without_a_trial_has_words_in_place_of_charts(make_sweep: Sweep) -> None:
    charts = _charts(make_sweep(), [])
    assert charts.drawn == ()
    assert charts.progress.predictions.explanation.startswith("It takes scores at two rungs")
    assert charts.settings.parallel_note.startswith("Too few scored trials")
    assert charts.settings.pairs_note.startswith("Too few scored trials")
    assert charts.budget.trade_offs.explanation.startswith("No trial completed")
    assert charts.budget.expected[0].best.explanation.startswith("It takes 6 finished trials")
    assert charts.timeline.explanation == "No trial's start and end are on record."


@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.FAILED, TrialState.RUNNING])
def test_one_trial_in_any_state_draws_no_comparison(
    state: TrialState, make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    charts = _charts(make_sweep(), [make_trial(0, state, scores=make_scores(5.0))])
    keys = {chart.key for chart in charts.drawn}
    assert keys - {"slice0"} == {"learning", "timeline"}


@pytest.mark.slow
def test_sixty_trials_have_every_chart_once_with_words_for_it(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + (7 * i) % 60)) for i in range(60)]
    charts = _charts(make_sweep(), trials)
    keys = [chart.key for chart in charts.drawn]
    assert len(set(keys)) == len(keys)
    assert {
        "learning",
        "best",
        "foresight",
        "importance",
        "parallel",
        "slice4",
        "pair9",
        "front-seconds",
        "front-parameters",
        "expected0",
        "expected1",
        "expected2",
        "timeline",
    } <= set(keys)
    assert all(len(chart.alternative) > 20 for chart in charts.drawn)


@pytest.mark.slow
def test_charts_of_many_trials_are_light_and_say_what_they_leave_out(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(2000)]
    charts = _charts(make_sweep(), trials)
    assert sum(len(chart.figure.to_json()) for chart in charts.drawn) < 1_500_000
    settings = charts.settings
    assert "Drawn are 600 of 2,000 trials" in settings.slices_note
    assert "Drawn are 80 of 2,000 trials" in settings.parallel_note
    assert "Drawn are 150 of 2,000 trials" in settings.pairs_note
    # What is computed, not drawn, is of all of them.
    assert charts.budget.expected[0].best.curves[0].num_trials == 2000
    assert charts.progress.predictions.rows[0].num_trials == 2000
    assert charts.budget.trade_offs.kinds[0].num_trials == 2000
