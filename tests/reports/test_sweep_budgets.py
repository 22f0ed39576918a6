"""Sweeps are compared for the same time, with the interval that their trials allow, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from reports.comparison import Comparison, compare
from reports.expected_best import best_interval, best_of_subsets
from reports.records import SweepRecord, TrialCost, TrialRecord, TrialState
from reports.sweep_budgets import equal_time, equal_time_sentences, sweep_budgets

Compared = Callable[..., Comparison]


@pytest.fixture
def compared(
    make_sweep: Callable[..., SweepRecord],
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., object],
) -> Compared:
    """A sweep whose completed trials have these scores, and took so many seconds each."""

    def made(levels: Sequence[float], seconds: float) -> Comparison:
        cost = TrialCost(train_seconds=seconds)
        trials = [
            make_trial(number, scores=make_scores(level), cost=cost)
            for number, level in enumerate(levels)
        ]
        return compare(make_sweep(), trials)

    return made


def test_curve_has_the_interval_of_the_median_best_from_six_trials_on(compared: Compared) -> None:
    six, five = ([float(level) for level in range(2, 2 + num)] for num in (6, 5))
    budgets = sweep_budgets(compared(six, 10.0))
    assert [budget.interval for budget in budgets] == [
        best_interval(six, budget.num_drawn, "minimize") for budget in budgets
    ]
    assert all(budget.interval is None for budget in sweep_budgets(compared(five, 10.0)))


def test_longer_sweep_is_held_to_the_time_that_the_shorter_had(compared: Compared) -> None:
    many, few = [float(level) for level in range(2, 22)], [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    equal = equal_time([compared(many, 10.0), compared(few, 15.0)])
    assert equal is not None
    assert equal.seconds == pytest.approx(90.0)
    first, second = equal.shares
    assert first is not None
    assert first.budget is not None
    assert first.budget.num_drawn == pytest.approx(9.0)
    assert first.budget.expected_best == pytest.approx(best_of_subsets(many, 9.0, "minimize"))
    assert second is not None
    assert second.budget is not None
    assert second.budget.expected_best == pytest.approx(3.0)
    sentences = equal_time_sentences(["many", "few"], compared(few, 1.0).objective, equal)
    # 20 scores of which nine are drawn: in 98.6 % of cases their median best is no worse than the
    # fifth, and in one case of five it is better than all of them.
    assert sentences[0] == (
        "For the same time, 1 min 30 s of trials, the best score to expect is 3.00 (95% interval "
        "5.00 or better) of few and 3.10 (95% interval 6.00 or better) of many."
    )
    assert sentences[1].startswith("The intervals of few and of many overlap")


def test_intervals_that_lie_apart_are_said_to(compared: Compared) -> None:
    low, high = ([base + place / 100 for place in range(40)] for base in (1.0, 9.0))
    one, two = compared(low, 10.0), compared(high, 10.0)
    equal = equal_time([one, two])
    assert equal is not None
    # At the end of both, either may be better than all that was seen, and then nothing is apart.
    assert "overlap" in equal_time_sentences(["a", "b"], one.objective, equal)[1]
    shorter = equal_time([one, two, compared([5.0], 50.0)])
    assert shorter is not None
    sentences = equal_time_sentences(["a", "b", "c"], one.objective, shorter)
    assert sentences[1].startswith("An interval takes 6 completed trials, and c has 1")
    assert sentences[2].startswith("The intervals of a and of b lie apart")


def test_sweep_that_cannot_say_is_named_or_leaves_nothing_to_compare(
    compared: Compared, make_trial: Callable[..., TrialRecord]
) -> None:
    some, slow, none = compared([2.0, 3.0], 10.0), compared([1.0], 500.0), compared([], 1.0)
    assert equal_time([some, none]) is None
    equal = equal_time([some, none, slow])
    assert equal is not None
    assert equal.shares[1] is None
    assert equal.shares[2] is not None
    assert equal.shares[2].budget is None
    sentences = equal_time_sentences(["some", "none", "slow"], some.objective, equal)
    assert sentences[-1] == "In that time slow would not complete a trial."
    failed = make_trial(0, TrialState.FAILED)
    assert sweep_budgets(compare(some.sweep, [failed])) == ()
