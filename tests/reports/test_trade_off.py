"""The front holds the completed trials that none beats in score and cost at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.comparison import compare
from reports.records import SweepRecord, TrialCost, TrialRecord, TrialState
from reports.trade_off import MAX_DRAWN, CostPoint, pareto_front, trade_offs

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def _points(*pairs: tuple[float, float]) -> list[CostPoint]:
    return [CostPoint(str(i), cost, score, "") for i, (cost, score) in enumerate(pairs)]


@pytest.mark.parametrize(("maximize", "front"), [(False, ["3", "1", "2"]), (True, ["3", "0", "4"])])
def test_front_leaves_out_what_is_beaten_in_both(maximize: bool, front: list[str]) -> None:
    # The fifth costs as much as the third and scores otherwise; the first is beaten either way.
    points = _points((2.0, 9.0), (2.0, 5.0), (7.0, 1.0), (1.0, 8.0), (7.0, 12.0))
    assert [p.trial for p in pareto_front(points, maximize=maximize)] == front


def test_of_equal_trials_one_is_on_the_front() -> None:
    points = _points((2.0, 5.0), (2.0, 5.0), (3.0, 5.0))
    assert len(pareto_front(points, maximize=False)) == 1


def test_trials_that_did_not_complete_are_left_out_and_counted(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(3)]
    early = make_scores(0.5, until=20.0)
    trials.append(make_trial(3, TrialState.STOPPED_EARLY, kimg=20.0, scores=early))
    result = trade_offs(compare(make_sweep(), trials))
    assert [kind.key for kind in result.kinds] == ["seconds", "parameters"]
    assert {p.trial for kind in result.kinds for p in kind.points} == {"0000", "0001", "0002"}
    assert "1 other trial had less training" in result.explanation


def test_best_and_cheapest_are_on_the_front_by_cost(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    plan = [(5.0, 30.0), (6.0, 10.0), (7.0, 20.0), (9.0, 5.0)]
    trials = [
        make_trial(i, scores=make_scores(level), cost=TrialCost(train_seconds=seconds))
        for i, (level, seconds) in enumerate(plan)
    ]
    (kind,) = trade_offs(compare(make_sweep(), trials)).kinds
    assert [point.trial for point in kind.front] == ["0003", "0001", "0000"]


def test_operations_are_a_cost_where_they_are_on_record(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [
        make_trial(
            i,
            scores=make_scores(9.0 - i),
            cost=TrialCost(flops_per_real_image=3e9 * (i + 1) if i < 4 else None),
        )
        for i in range(5)
    ]
    (kind,) = trade_offs(compare(make_sweep(), trials)).kinds
    assert kind.key == "flops"
    assert [point.trial for point in kind.front] == ["0000", "0001", "0002", "0003"]
    assert kind.front[0].label.endswith(", 3 GFLOPs")


@pytest.mark.slow
def test_front_is_drawn_whole_where_the_trials_are_too_many(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [
        make_trial(i, scores=make_scores(5.0 + i), cost=TrialCost(train_seconds=3000.0 - i))
        for i in range(1000)
    ]
    (kind,) = trade_offs(compare(make_sweep(), trials)).kinds
    assert (len(kind.points), kind.num_trials) == (MAX_DRAWN, 1000)
    assert len(kind.front) == 1000


def test_few_trials_give_the_reason_instead(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0)) for i in range(2)]
    result = trade_offs(compare(make_sweep(), trials))
    assert result.kinds == ()
    assert result.explanation.startswith("Only 2 trials completed with a score")
