"""The expected best is the mean over all subsets, and choices are compared at one budget."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from reports.comparison import compare
from reports.expected_best import (
    BestInterval,
    ExpectedBest,
    best_interval,
    best_of_subsets,
    expected_best,
)
from reports.records import SweepRecord, TrialCost, TrialRecord, TrialState

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


@pytest.mark.parametrize(("goal", "best"), [("minimize", min), ("maximize", max)])
def test_expected_best_is_the_mean_over_all_subsets(
    goal: str, best: Callable[[Sequence[float]], float]
) -> None:
    scores = [7.0, 1.0, 4.0, 4.0, 9.0, 2.5, 30.0]
    sizes = range(1, 8)
    expected = [best_of_subsets(scores, size, goal) for size in sizes]
    by_hand = [statistics.mean(map(best, itertools.combinations(scores, n))) for n in sizes]
    assert expected == pytest.approx(by_hand)


def test_part_of_a_trial_lies_on_the_line_between_whole_ones() -> None:
    scores = [7.0, 1.0, 4.0, 9.0]
    two, part, three = (best_of_subsets(scores, size, "minimize") for size in (2, 2.25, 3))
    assert part == pytest.approx(0.75 * two + 0.25 * three)


@pytest.mark.slow
@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.parametrize(("count", "size"), [(6, 1), (6, 6), (20, 5), (20, 10), (50, 50)])
def test_interval_holds_the_median_best_as_often_as_it_says(
    count: int, size: int, goal: str
) -> None:
    """Of trials whose scores are drawn evenly from 0 to 1, whose best of n has a known median."""
    rng = np.random.default_rng(count + size)
    median = 1 - 0.5 ** (1 / size) if goal == "minimize" else 0.5 ** (1 / size)
    sign = 1 if goal == "minimize" else -1
    missed_better, missed_worse = 0, 0
    for _ in range(1000):
        interval = best_interval(rng.uniform(size=count).tolist(), size, goal)
        if interval.better is not None:
            missed_better += sign * interval.better > sign * median
        missed_worse += sign * interval.worse < sign * median
    # 2.5 % at most on each side, and four standard errors of a thousand draws.
    assert missed_better / 1000 <= 0.045
    assert missed_worse / 1000 <= 0.045


def test_interval_is_between_ordered_scores_and_open_where_the_best_may_be_beaten() -> None:
    scores = [float(i) for i in range(1, 21)]
    # Of 20 scores, the median lies between the 6th and the 15th in 95.9 % of cases.
    assert best_interval(scores, 1, "minimize") == BestInterval(6.0, 15.0)
    assert best_interval(scores, 1, "maximize") == BestInterval(15.0, 6.0)
    assert best_interval(scores, 20, "minimize").better is None


def test_large_sweep_keeps_its_weights() -> None:
    scores = [float(i) for i in range(1, 5001)]
    assert best_of_subsets(scores, 1, "minimize") == pytest.approx(2500.5)
    # (N + 1) / (n + 1), the mean least of n among 1 … N.
    assert best_of_subsets(scores, 2500, "minimize") == pytest.approx(5001 / 2501)
    interval = best_interval(scores, 1, "minimize")
    assert interval.better is not None
    assert interval.better < 2500.5 < interval.worse < 2600


def _by_loss(
    make_sweep: Sweep,
    make_trial: Make,
    make_scores: Scores,
    plan: dict[str, tuple[Sequence[float], float]],
) -> ExpectedBest:
    """Trials by loss, with their scores and the seconds that each took."""
    trials = []
    for loss, (levels, seconds) in plan.items():
        for level in levels:
            number = len(trials)
            cost = TrialCost(train_seconds=seconds)
            trials.append(
                make_trial(
                    number,
                    settings={"loss.name": loss},
                    scores=make_scores(level),
                    cost=cost,
                )
            )
    found = expected_best(compare(make_sweep(), trials))
    assert [best.path for best in found] == ["", "loss.name"]
    return found[1]


def test_choices_are_compared_at_the_budget_that_all_of_them_had(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    # Six slow hinge trials take 120 s; ten fast ones of wgan-gp 120 s, and two more 24 s.
    plan = {
        "wgan-gp": ([float(i) for i in range(2, 14)], 12.0),
        "hinge": ([1.0, 20.0, 30.0, 40.0, 50.0, 60.0], 20.0),
    }
    best = _by_loss(make_sweep, make_trial, make_scores, plan)
    assert best.equal_seconds == pytest.approx(120.0)
    assert [(row.name, row.num_drawn) for row in best.at_equal] == [
        ("hinge", pytest.approx(6.0)),
        ("wgan-gp", pytest.approx(10.0)),
    ]
    assert best.at_equal[0].expected == pytest.approx(1.0)
    by_hand = statistics.mean(map(min, itertools.combinations(range(2, 14), 10)))
    assert best.at_equal[1].expected == pytest.approx(by_hand)
    assert "wgan-gp: 12" in best.explanation
    assert "Fewer than 10, so no more than a hint: hinge." in best.explanation


def test_choice_of_few_trials_is_named_and_not_drawn(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    plan = {
        "hinge": ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 10.0),
        "wgan-gp": ([1.0, 2.0, 3.0, 4.0, 5.0], 10.0),
    }
    best = _by_loss(make_sweep, make_trial, make_scores, plan)
    assert (best.curves, best.at_equal) == ((), ())
    assert "only hinge has the 6 scored trials that it takes" in best.explanation


def test_trials_without_a_score_are_paid_for_by_the_others(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    cost = TrialCost(train_seconds=8.0, score_seconds=2.0)
    trials = [make_trial(i, scores=make_scores(5.0 + i), cost=cost) for i in range(6)]
    trials.append(make_trial(6, TrialState.DIVERGED, cost=TrialCost(train_seconds=30.0)))
    trials.append(make_trial(7, TrialState.RUNNING, cost=TrialCost(train_seconds=1e6)))
    curve = expected_best(compare(make_sweep(), trials))[0].curves[0]
    assert curve.num_trials == 6
    assert curve.seconds_per_trial == pytest.approx(15.0)
    assert curve.seconds[-1] == pytest.approx(90.0)


def test_few_trials_give_the_reason_instead(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(5)]
    best = expected_best(compare(make_sweep(), trials))[0]
    assert best.curves == ()
    assert best.explanation.startswith("It takes 6 finished trials with a score")
