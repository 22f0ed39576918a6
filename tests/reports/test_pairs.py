"""Two settings at once: every pair once, contours only where there is something to join."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from reports.comparison import Comparison, compare
from reports.importance import Importance, ImportanceRow
from reports.pairs import MAX_TRIALS_IN_SURFACE, setting_pairs
from reports.records import SweepRecord, TrialRecord

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]

FIRST, SECOND = "optimizer.generator_lr", "optimizer.discriminator_lr"


def _comparison(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores, count: int, objective: str
) -> Comparison:
    rng = random.Random(1)
    trials = []
    for number in range(count):
        first, second = (10 ** rng.uniform(-4, -2.6) for _ in range(2))
        settings = {**make_trial(number).settings, FIRST: first, SECOND: second}
        score = 5 + number + rng.random()
        trials.append(
            make_trial(number, settings=settings, scores=make_scores(score, precision=score))
        )
    return compare(make_sweep(objective=objective), trials)


@pytest.mark.parametrize("objective", ["fd_digits_classifier", "precision"])
@pytest.mark.parametrize("paths", [(FIRST, SECOND), (SECOND, FIRST)])
def test_surface_has_each_trial_where_its_settings_cross(
    paths: tuple[str, str], objective: str, make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    comparison = _comparison(make_sweep, make_trial, make_scores, 12, objective)
    importance = Importance(tuple(ImportanceRow(path, 0.1) for path in paths), "")
    pairs = setting_pairs(comparison, importance)
    assert len({frozenset((pair.x.path, pair.y.path)) for pair in pairs}) == len(pairs) == 10
    first = pairs[0]
    assert (first.x.path, first.y.path) == paths
    surface = first.surface
    assert surface is not None
    assert len(first.points) == 12
    for point in first.points:
        across = min(range(len(surface.x)), key=lambda i: abs(surface.x[i] - float(point.x)))
        up = min(range(len(surface.y)), key=lambda i: abs(surface.y[i] - float(point.y)))
        score = surface.scores[up][across]
        assert score is not None
        assert math.isclose(score, point.score)


def test_choices_and_few_trials_have_dots_alone(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    importance = Importance((), "")
    few = _comparison(make_sweep, make_trial, make_scores, 9, "fd_digits_classifier")
    assert all(pair.surface is None for pair in setting_pairs(few, importance))
    more = _comparison(make_sweep, make_trial, make_scores, 12, "fd_digits_classifier")
    drawn = [pair for pair in setting_pairs(more, importance) if pair.surface]
    assert [{pair.x.path, pair.y.path} for pair in drawn] == [{FIRST, SECOND}]


def test_surface_of_many_trials_is_thinned(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    comparison = _comparison(make_sweep, make_trial, make_scores, 300, "fd_digits_classifier")
    importance = Importance(tuple(ImportanceRow(path, 0.1) for path in (FIRST, SECOND)), "")
    pair = setting_pairs(comparison, importance)[0]
    assert pair.num_trials == 300
    assert pair.surface is not None
    # Optuna pads each side by one.
    assert len(pair.surface.x) <= MAX_TRIALS_IN_SURFACE + 2


def test_three_trials_have_no_pairs(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    few = _comparison(make_sweep, make_trial, make_scores, 3, "fd_digits_classifier")
    assert setting_pairs(few, Importance((), "")) == ()
