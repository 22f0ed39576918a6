"""A comparison holds whatever the records say, finished or not."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import compare
from reports.records import SweepRecord, TrialRecord, TrialState

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def test_counts_group_the_states_finished_first(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    counts = compare(make_sweep(), make_trials()).counts
    assert list(counts) == [
        TrialState.COMPLETED,
        TrialState.STOPPED_EARLY,
        TrialState.DIVERGED,
        TrialState.FAILED,
        TrialState.INTERRUPTED,
    ]
    assert sum(counts.values()) == 9


def test_equal_budget_is_the_last_rung_that_every_scored_trial_reached(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [
        make_trial(0, scores=make_scores(5.0)),
        make_trial(1, TrialState.STOPPED_EARLY, kimg=40.0, scores=make_scores(9.0, until=40.0)),
        make_trial(2, TrialState.DIVERGED, kimg=3.0),
    ]
    budget = compare(make_sweep(), trials).equal_budget
    assert budget is not None
    assert budget.kimg == 40.0
    assert [score.record.trial for score in budget.scores] == ["0000", "0001"]


def test_settings_are_varied_constant_or_conditional(make_sweep: Sweep, make_trial: Make) -> None:
    trials = [
        make_trial(0, settings={"loss.name": "hinge", "same": 2, "depths": (1, 2)}),
        make_trial(1, settings={"loss.name": "wgan-gp", "same": 2, "depths": (1, 2), "gp": 3.0}),
    ]
    comparison = compare(make_sweep(space=()), trials)
    assert comparison.varied == ("loss.name", "gp")
    assert comparison.constant == {"same": 2, "depths": (1, 2)}


def test_best_so_far_leaves_the_pause_between_segments_out(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [
        make_trial(0, scores=make_scores(9.0), ended_at="2026-11-20T10:01:00+00:00"),
        make_trial(1, scores=make_scores(12.0), ended_at="2026-11-20T10:02:00+00:00"),
        make_trial(2, scores=make_scores(4.0), ended_at="2026-11-20T11:01:00+00:00"),
    ]
    milestones = compare(make_sweep(), trials).milestones
    assert [m.work_seconds for m in milestones] == [60.0, 120.0, 240.0]
    assert [round(m.best, 9) for m in milestones] == [9.0, 9.0, 4.0]


def test_failures_of_one_cause_are_one_group(make_sweep: Sweep, make_trial: Make) -> None:
    trials = [
        make_trial(i, TrialState.FAILED, cause=cause)
        for i, cause in enumerate(["disk full", "killed", "disk full", None])
    ]
    groups = compare(make_sweep(), trials).failures
    assert [(g.cause, len(g.trials)) for g in groups] == [
        ("disk full", 2),
        ("killed", 1),
        ("no cause was recorded", 1),
    ]


def test_sweep_without_a_trial_compares_to_nothing(make_sweep: Sweep) -> None:
    comparison = compare(make_sweep(), [])
    assert comparison.best is None
    assert comparison.tied == ()
    assert comparison.quality == ()
    assert comparison.milestones == ()
    assert comparison.equal_budget is None
