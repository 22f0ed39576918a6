"""Samples of many trials: small, evenly spread, with the leaders and every new best."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from reports.comparison import compare
from reports.drawn import MAX_CURVES, MAX_POINTS, NUM_LEADERS, drawn_trials, sample
from reports.records import SweepRecord, TrialRecord

Make = Callable[..., TrialRecord]


def _many(make_trial: Make, make_scores: Callable[..., object], num: int) -> list[TrialRecord]:
    return [make_trial(n, scores=make_scores(5.0 + n * 37 % 101)) for n in range(num)]


def test_few_trials_are_all_drawn_and_nothing_is_said(
    make_sweep: Callable[..., SweepRecord], make_trials: Callable[[], list[TrialRecord]]
) -> None:
    comparison = compare(make_sweep(), make_trials())
    drawn = drawn_trials(comparison)
    assert drawn.curves is drawn.points is comparison
    assert drawn.notes == ()


def test_sample_has_the_leaders_the_last_and_every_new_best(
    make_sweep: Callable[..., SweepRecord], make_trial: Make, make_scores: Callable[..., object]
) -> None:
    comparison = compare(make_sweep(), _many(make_trial, make_scores, 97))
    small = sample(comparison, 23)
    names = [standing.trial for standing in small.standings]
    every = [standing.trial for standing in comparison.standings]
    assert len(set(names)) == 23
    assert names[:NUM_LEADERS] == every[:NUM_LEADERS]
    places = [every.index(name) for name in names[NUM_LEADERS:]]
    assert places[-1] == 96
    assert {b - a for a, b in itertools.pairwise(places)} <= {6, 7}
    assert {milestone.best for milestone in small.milestones} == {
        milestone.best for milestone in comparison.milestones
    }
    assert small.equal_budget is not None
    assert [score.record.trial for score in small.equal_budget.scores] == sorted(names)
    assert small.verdict is comparison.verdict


def test_page_says_how_many_are_drawn(
    make_sweep: Callable[..., SweepRecord], make_trial: Make, make_scores: Callable[..., object]
) -> None:
    num = MAX_POINTS + 1
    drawn = drawn_trials(compare(make_sweep(), _many(make_trial, make_scores, num)))
    assert len(drawn.curves.standings) == MAX_CURVES
    assert len(drawn.points.standings) == MAX_POINTS
    assert f"drawn of {MAX_CURVES} of the {num} trials" in drawn.notes[0]
    assert f"are of {MAX_POINTS} of the {num} trials" in drawn.notes[1]
