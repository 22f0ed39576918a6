"""The ledger adds up, and checks the forecast only once there is an outcome."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.cost import ledger, moment, work_seconds_until
from reports.records import Segment, SweepRecord, TrialCost, TrialRecord, TrialState

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]


def test_ledger_adds_up_by_kind_and_by_state(make_sweep: Sweep, make_trial: Make) -> None:
    cost = TrialCost(train_seconds=7.0, score_seconds=3.0)
    trials = [make_trial(0, cost=cost), make_trial(1, TrialState.FAILED, kimg=11.0, cost=cost)]
    total = ledger(make_sweep(), trials)
    assert (total.train_seconds, total.score_seconds, total.kimg) == (14.0, 6.0, 71.0)
    assert total.wall_seconds == 310.0
    assert total.score_share == 0.3
    assert total.wasted_seconds == 10.0
    assert {entry.state.value: entry.seconds for entry in total.by_state} == {
        "completed": 10.0,
        "failed": 10.0,
    }


def test_forecast_is_checked_against_the_wall_time(make_sweep: Sweep, make_trial: Make) -> None:
    wall = ledger(make_sweep(), [make_trial(0)]).checks[0]
    assert wall.error == pytest.approx(310 / 260 - 1)
    assert wall.is_within


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"forecast": None}, "no forecast was made"),
        ({"segments": ()}, "was not recorded"),
        (
            {"segments": (Segment(started_at="x", command="tg-sweep run", seconds=3.0),)},
            "has not finished",
        ),
    ],
    ids=["no-forecast", "no-time", "running"],
)
def test_forecast_without_an_outcome_says_why(
    changes: dict[str, object], reason: str, make_sweep: Sweep
) -> None:
    total = ledger(make_sweep(**changes), [])
    assert total.checks == ()
    assert total.unchecked_because is not None
    assert reason in total.unchecked_because


def test_time_that_is_none_is_none() -> None:
    assert moment("yesterday") is None
    assert moment(None) is None


def test_time_that_nobody_worked_after_a_kill_is_left_out() -> None:
    killed = Segment(
        started_at="2026-11-20T10:00:00+00:00", command="run", outcome="killed", seconds=60.0
    )
    resumed = Segment(started_at="2026-11-20T11:00:00+00:00", command="resume")
    for clock, seconds in (("10:00:30", 30), ("10:30:00", 60), ("11:00:20", 80)):
        when = moment(f"2026-11-20T{clock}+00:00")
        assert when is not None
        assert work_seconds_until(when, (killed, resumed)) == seconds
