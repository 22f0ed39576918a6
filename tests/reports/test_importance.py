"""Importance finds what mattered, says what it rests on, and knows when it can't say."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import optuna
import pytest

from reports.comparison import compare
from reports.importance import MAX_TRIALS, setting_importance
from reports.records import SweepRecord, TrialRecord

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def _trials(make_trial: Make, make_scores: Scores, *, sign: float) -> list[TrialRecord]:
    """Thirty trials whose score hangs on the depths alone."""
    rng = random.Random(5)
    trials = []
    for number in range(30):
        depths = rng.choice([(1, 1), (2, 2), (3, 2)])
        settings = {**make_trial(number).settings, "generator.depths": depths}
        level = 50 + sign * 20 * depths[0] + rng.random()
        trials.append(
            make_trial(number, settings=settings, scores=make_scores(level, precision=level))
        )
    return trials


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "sign"), [("fd_digits_classifier", -1), ("precision", 1)])
def test_setting_that_decides_is_the_most_important(
    objective: str, sign: float, make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = _trials(make_trial, make_scores, sign=sign)
    result = setting_importance(compare(make_sweep(objective=objective), trials))
    assert result.rows[0].path == "generator.depths"
    assert result.rows[0].importance > 2 * result.rows[1].importance
    assert sum(row.importance for row in result.rows) == pytest.approx(1)


@pytest.mark.slow
def test_interval_sets_the_setting_that_decides_apart_from_the_others(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    result = setting_importance(compare(make_sweep(), _trials(make_trial, make_scores, sign=-1)))
    first, second = (row.interval for row in result.rows[:2])
    assert first is not None
    assert second is not None
    assert first[0] > second[1]
    assert first[1] <= 1
    assert second[0] == 0
    assert "two standard errors to either side" in result.explanation


@pytest.mark.slow
def test_settings_of_pure_chance_can_not_be_told_apart(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    rng = random.Random(11)
    trials = [make_trial(i, scores=make_scores(rng.uniform(5, 50))) for i in range(30)]
    intervals = [row.interval for row in setting_importance(compare(make_sweep(), trials)).rows]
    assert all(intervals)
    # Each overlaps with the next: none stands out.
    assert all(b is not None and a is not None and b[1] > a[0] for a, b in pairwise(intervals))


def test_halves_of_few_trials_give_no_interval(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(7)]
    result = setting_importance(compare(make_sweep(), trials))
    assert all(row.interval is None for row in result.rows)
    assert "standard errors" not in result.explanation


@pytest.mark.slow
def test_many_trials_are_sampled_and_the_text_says_so(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(MAX_TRIALS + 1)]
    result = setting_importance(compare(make_sweep(), trials))
    assert f"Judged on {MAX_TRIALS} of them, taken at random." in result.explanation


@pytest.mark.slow
def test_few_trials_are_called_a_hint(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    result = setting_importance(compare(make_sweep(), make_trials()))
    assert len(result.rows) == 5
    assert "from the 8 trials scored at 20 kimg" in result.explanation
    assert "take it as a hint" in result.explanation
    assert "1 trial without a score there could not be used" in result.explanation


def test_too_few_trials_give_the_reason_instead(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(3)]
    result = setting_importance(compare(make_sweep(), trials))
    assert result.rows == ()
    assert "Only 3 trials" in result.explanation


def test_settings_that_never_vary_give_the_reason_instead(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, settings={"a": 1}, scores=make_scores(5.0 + i)) for i in range(5)]
    result = setting_importance(compare(make_sweep(space=()), trials))
    assert result.rows == ()
    assert result.explanation == "No searched setting differs between the scored trials."


@pytest.mark.slow
def test_conditional_setting_is_named_and_point_outside_the_bounds_is_taken(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = []
    for number in range(8):
        settings = {**make_trial(number).settings, "optimizer.generator_lr": 0.1 * (number + 1)}
        if number % 2:
            settings["loss.gradient_penalty"] = 1.0 + number
        trials.append(make_trial(number, settings=settings, scores=make_scores(5.0 + number)))
    result = setting_importance(compare(make_sweep(), trials))
    assert "optimizer.generator_lr" in {row.path for row in result.rows}
    assert "Not judged" in result.explanation
    assert "loss.gradient_penalty" in result.explanation


@pytest.mark.slow
def test_optuna_stays_as_loud_as_it_was(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    before = optuna.logging.get_verbosity()
    setting_importance(compare(make_sweep(), make_trials()))
    assert optuna.logging.get_verbosity() == before
